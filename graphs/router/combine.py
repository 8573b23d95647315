"""One answer out of several, and out of a run that was cut short."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from graphs.catalog import INSIDE, Agent
from graphs.events import Answer, Citation
from graphs.router.state import Answered, Combined, Part, Route, Said


def combined(route: Route, said: Sequence[Said]) -> Answer:
    """What the agents answered, in the message's order; what one of them only made for another is in the result."""
    if len(route.parts) == 1:
        return said[0].answer
    ordered = sorted(said, key=lambda each: each.number)
    handed = {part.after for part in route.parts if part.after is not None}
    shown = [each for each in ordered if each.number not in handed or each.failure] or ordered
    texts, citations = list[str](), list[Citation]()
    for each in shown:
        text, moved = _renumbered(each.answer, len(citations))
        texts.append(_headed(route.parts[each.number], text) if len(shown) > 1 else text)
        citations += moved
    made = Combined(parts=[_part(route.parts[each.number], each) for each in ordered])
    return Answer(
        text="\n\n".join(texts),
        answered=any(each.answer.answered for each in shown),
        citations=citations,
        result=made.model_dump(mode="json"),
        artefacts=tuple(file for each in ordered for file in each.answer.artefacts),
        agent=route.parts[-1].agent,
    )


def partial(agents: Mapping[str, Agent], values: Mapping[str, Any], spoken: str) -> Answer | None:
    """The answer of a finished state, or what the agents had when the run was cut short."""
    whole = values.get("answer")
    if isinstance(whole, Answer):
        return whole
    route, said = values.get("route"), list[Said](values.get("said") or [])
    if not isinstance(route, Route):
        return None
    for name, inner in values.get(INSIDE, []):
        ended = {each.number for each in said}
        waiting = (number for number, part in enumerate(route.parts) if number not in ended and part.agent == name)
        number = next(waiting, None)
        if number is not None and (answer := agents[name].conclude(inner, spoken)) is not None:
            said.append(Said(number=number, answer=answer.model_copy(update={"agent": name})))
    if not said and len(route.parts) == 1:
        return agents[route.parts[0].agent].conclude({}, spoken)
    if not said:
        return None
    reached = tuple(route.parts[each.number].model_copy(update={"after": None}) for each in said)
    counted = [each.model_copy(update={"number": number}) for number, each in enumerate(said)]
    return combined(Route(parts=reached), counted)


def _renumbered(answer: Answer, offset: int) -> tuple[str, list[Citation]]:
    """The answer with its citations counted on from the one before."""
    numbers = {each.n: offset + place for place, each in enumerate(answer.citations, 1)}
    text = re.sub(r"\[(\d+)\]", lambda mark: f"[{numbers.get(int(mark[1]), mark[1])}]", answer.text)
    return text, [each.model_copy(update={"n": numbers[each.n]}) for each in answer.citations]


def _headed(part: Part, text: str) -> str:
    return f"**{part.question.strip()}**\n\n{text}"


def _part(part: Part, said: Said) -> Answered:
    kept = said.answer.model_dump(include={"text", "answered", "citations", "result"})
    return Answered(agent=part.agent, question=part.question, failure=said.failure, **kept)
