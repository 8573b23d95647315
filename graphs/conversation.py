"""What a thread said before: handed to every agent with its question, so that agents share one conversation."""

from graphs.catalog import Ask, Turn
from graphs.log import EventLog, Run

TURNS = 4
"""Turns that follow-up questions may refer to."""

LAST, OLDER = 12_000, 1_000
"""Characters kept of the last answer, which a follow-up may ask to change, and of those before it."""


async def turns_after(row: Run, log: EventLog) -> list[Turn]:
    """The turns that a question after this run comes with.

    A run's ask has those before it, so that a thread that was forked goes on from where it was forked.
    """
    ask, answer = Ask.model_validate_json(row.ask), await log.answer(row.run)
    before = [turn.model_copy(update={"answer": turn.answer[:OLDER]}) for turn in ask.turns]
    if answer is None:
        return before
    last = Turn(question=ask.question[:LAST], answer=answer.text[:LAST], agent=answer.agent or row.graph)
    return [*before, last][-TURNS:]
