"""Answers that need no model: composed of verified sentences, quoted from the evidence, or an honest «not in there»."""

from collections.abc import Mapping, Sequence
from typing import Any

from graphs.events import Answer, Citation
from graphs.speak import harmless
from graphs.temporal.evidence import best_sentence
from graphs.temporal.phrases import Phrase, say
from graphs.temporal.state import Plan
from graphs.temporal.understand import general, sought
from graphs.temporal.verify import Judged, judge_all
from graphs.temporal.words import content, coverage

_NAMED = 3
"""Sources that are named at most."""
SAME = 0.5
"""Share of the question's words that a passage has when it is taken to be about the same thing."""


def nothing(plan: Plan, arriving: Sequence[str] = ()) -> Answer:
    """Not in the material; it may be in the sources that are still being ingested."""
    text = say("nothing", plan.language)
    if arriving:
        names = ", ".join(arriving[:_NAMED]) + (" …" if len(arriving) > _NAMED else "")
        text = f"{text} {say('arriving', plan.language, names=names)}"
    return Answer(text=text, answered=False, citations=[])


def compose(kept: Sequence[Judged]) -> Answer:
    """The sentences with the marks of what they stand on; the numbers are those of the evidence event."""
    text = " ".join(f"{each.text} {''.join(f'[{cited.n}]' for cited in each.evidence)}".strip() for each in kept)
    cited = {each.n: each for one in kept for each in one.evidence}
    return Answer(text=text, answered=True, citations=list(cited.values()))


def extract(plan: Plan, evidence: Sequence[Citation], why: Phrase, fits: Mapping[int, float] | None = None) -> Answer:
    """The best sentence of the evidence in its own words, when anything says that it is about the question."""
    wanted = sought(plan.question, "fact")
    best = best_sentence(evidence, wanted)
    if best is None:
        return nothing(plan)
    quote, citation = best
    if general(plan.question):
        return _quote(plan, why, quote, citation)
    fit = (fits or {}).get(citation.n)
    shared = coverage(wanted, citation.text)
    comparable = bool({*wanted} & {*content(citation.text)}) or quote.isascii() == plan.question.isascii()
    if fit is not None and fit < 0 and shared < SAME:
        return nothing(plan)
    if fit is None and comparable and shared < SAME:
        return nothing(plan)
    return _quote(plan, why, quote, citation)


def _quote(plan: Plan, why: Phrase, quote: str, citation: Citation) -> Answer:
    # a link or an image of the page would call another host when the answer is shown
    quote = " ".join(word for word in quote.split() if harmless(word, ""))
    if not quote:
        return nothing(plan)
    return Answer(text=say(why, plan.language, quote=f"«{quote}» [{citation.n}]"), answered=True, citations=[citation])


def trusted(plan: Plan, evidence: Sequence[Citation], fits: Mapping[int, float], floor: float) -> bool:
    """Whether a model should read this evidence at all: it fits, or shares the words, or the question names nothing."""
    wanted = sought(plan.question, "fact")
    return (
        max(fits.values(), default=0.0) >= floor
        or general(plan.question)
        or max(coverage(wanted, each.text) for each in evidence) >= 0.75
    )


def conclude(state: Mapping[str, Any], spoken: str) -> Answer:
    """The state's answer, or what can be said when the run was cut short."""
    answer, plan = state.get("answer"), state.get("plan")
    if isinstance(answer, Answer):
        return answer
    if not isinstance(plan, Plan):
        return Answer(text=say("too_early", "en"), answered=False, citations=[])
    evidence: list[Citation] = state.get("evidence") or []
    if not evidence:
        return Answer(text=say("too_early", plan.language), answered=False, citations=[])
    kept = [each for each in judge_all(spoken, evidence, plan.question) if each.verdict == "supported"]
    return compose(kept) if kept else extract(plan, evidence, "cut", state.get("fits"))
