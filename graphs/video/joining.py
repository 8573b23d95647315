"""Where a chat model may help: it shortens what is said at length. Each of its sentences is held to one statement."""

from collections.abc import Sequence
from functools import cache
from importlib.resources import files

from langchain_core.messages import HumanMessage, SystemMessage

from graphs.context import Context, guess_tokens
from graphs.events import Citation
from graphs.speak import speak
from graphs.temporal.verify import judge
from graphs.temporal.words import sentences, without_marks
from graphs.video.clauses import shortens
from graphs.video.condensing import without_lead
from graphs.video.state import Statement
from tools.errors import BudgetSpent, SutradharError
from tools.writing.text import words

LONG, LONG_ON_CPU = 70, 400
"""Words of speech above which shortening is worth a call of a model. On a processor a call takes half a minute, and a
small model seldom shortens without distorting: there the rules' own choice of sentences does for a few minutes of talk.
"""

_PROMPT_TOKENS = 420


@cache
def prompt(name: str) -> str:
    return files("graphs.video").joinpath("prompts", f"{name}.md").read_text(encoding="utf-8").rstrip("\n")


def worth_shortening(statements: Sequence[Statement], most: int) -> bool:
    """Whether more than so many words are said."""
    return sum(len(words(without_lead(each.text))) for each in statements if each.about == "speech") > most


async def shortened(context: Context, statements: Sequence[Statement], most: int) -> list[Statement]:
    """What a model makes of statements that quote speech, in at most so many sentences; nothing where none stands."""
    read, spent = list[Statement](), 0
    for each in statements:
        spent += guess_tokens(without_lead(each.text)) + 4
        if spent > _PROMPT_TOKENS:
            break
        read.append(each)
    shown = "\n".join(f"[{n}] {without_lead(each.text).strip('“”')}" for n, each in enumerate(read, 1))
    messages = [
        SystemMessage(prompt("shorten")),
        HumanMessage(f"{shown}\n\nCopy the {most} most important sentence{'s' if most > 1 else ''}, shortened."),
    ]
    try:
        draft = await speak(
            context, "writing", messages, most_tokens=45 * most, enough=lambda text: len(sentences(text)) > most,
            temperature=0.1, seed=7,
        )  # fmt: skip
    except BudgetSpent:
        raise
    except SutradharError:
        return []
    return held(draft, read)[:most]


def held(draft: str, statements: Sequence[Statement]) -> list[Statement]:
    """The sentences of a draft that one of the statements carries alone, each with its moments, in order of time."""
    evidence = [_evidence(n, each) for n, each in enumerate(statements, 1)]
    found = dict[int, Statement]()
    for each in sentences(draft):
        at = carried(each, evidence)
        if at is not None and at not in found:
            source = statements[at - 1]
            text = without_marks(each).strip(" “”\"'-")
            told = f"{text[:1].upper()}{text[1:]}"
            told = f"Heard, in short: {told}" if source.about == "speech" else told
            found[at] = source.model_copy(update={"text": told, "by": "model"})
    return [found[at] for at in sorted(found)]


def _evidence(n: int, statement: Statement) -> Citation:
    text = without_lead(statement.text).strip("“”")
    return Citation(n=n, source="", media="", modality=statement.moments[0].modality, text=text)


def carried(sentence: str, evidence: Sequence[Citation]) -> int | None:
    """The number of the one piece of evidence that says all of a sentence; None where it says anything else.

    It has to be that piece with whole clauses left out, and none of those that change what the rest means.
    """
    plain = without_marks(sentence)
    for each in sorted(evidence, key=lambda one: f"[{one.n}]" not in sentence):
        if shortens(plain, each.text) and judge(f"{plain} [{each.n}]", [each], "").verdict == "supported":
            return each.n
    return None
