"""When something happens, from the times of the evidence: no model reads a clock better."""

from collections.abc import Mapping, Sequence

from graphs.events import Answer, Citation
from graphs.temporal.answering import nothing
from graphs.temporal.phrases import at, say, span
from graphs.temporal.state import Plan
from graphs.temporal.understand import hinted, sought
from graphs.temporal.words import content, coverage

MATCHES = 0.6
"""Share of the sought words that a moment must have where no cross-encoder speaks for it."""

FITS = 0.0
"""Cross-encoder logit from which a moment is about the question though it uses other words."""

JOIN_SECONDS = 2.0


def pinpoint_by_rule(plan: Plan, evidence: Sequence[Citation], fits: Mapping[int, float]) -> Answer:
    """The moment that has the sought words, up to three when several have them all; or nothing."""
    wanted, kinds = sought(plan.topic, "moment"), hinted(plan.question)
    timed = [each for each in evidence if each.start is not None]
    matches = {each.n: _match(each, timed, wanted) for each in timed}

    def worth(each: Citation) -> float:
        return (
            matches[each.n] + (0.15 if each.modality in kinds else 0.0) + 0.02 * fits.get(each.n, 0.0) - 0.01 * each.n
        )

    chosen = [each for each in sorted(timed, key=worth, reverse=True) if matches[each.n] >= MATCHES]
    if chosen:
        most = matches[chosen[0].n]
        chosen = [each for each in chosen[:3] if each is chosen[0] or matches[each.n] >= max(most, 0.9)]
    elif fits and (fitting := [each for each in timed if fits.get(each.n, -100.0) >= FITS]):
        chosen = [max(fitting, key=lambda each: fits[each.n])]
    elif not fits and timed and not _comparable(plan, timed[0]):
        # another language: there are no words to compare, and the search by meaning has put the nearest first
        chosen = timed[:1]
    if not chosen:
        return nothing(plan)
    text = " ".join(_told(each, plan.language) for each in chosen)
    return Answer(text=text, answered=True, citations=chosen)


def _match(each: Citation, timed: Sequence[Citation], wanted: Sequence[str]) -> float:
    """Coverage by the moment alone, or nearly as good by it and what follows at once, for words cut in two."""
    alone = coverage(wanted, each.text)
    after = [
        other.text
        for other in timed
        if other.media == each.media
        and other.modality == each.modality
        and 0 <= (other.start or 0.0) - (each.end or each.start or 0.0) <= JOIN_SECONDS
    ]
    joined = max((coverage(wanted, f"{each.text} {text}") for text in after), default=0.0)
    return max(alone, joined - 0.1) if alone >= 0.3 else alone


def _comparable(plan: Plan, each: Citation) -> bool:
    return plan.topic.isascii() == each.text.isascii() or bool({*content(plan.topic)} & {*content(each.text)})


def _told(each: Citation, language: str) -> str:
    quote = each.text if len(each.text) <= 160 else f"{each.text[:160].rsplit(' ', 1)[0]} …"
    time = span(each.start or 0.0, each.end)
    return say(at(each.modality), language, time=time, quote=f"«{' '.join(quote.split())}» [{each.n}]")
