"""A timeline as numbered evidence for the content agent's writers: what is said, shown, read and captioned."""

from collections.abc import Sequence

from graphs.content.grounding import MOST, numbered
from graphs.content.state import Outline, Part
from graphs.events import Citation
from graphs.temporal.words import alike, content
from graphs.video.analysing import Observed, figures_of, joined, lasting
from graphs.video.condensing import telling, without_lead
from graphs.video.sayings import Saying
from graphs.video.state import Statement
from graphs.video.telling import title_of
from tools.writing.finding import keywords_of
from tools.writing.text import words

_PASSAGE = 30
"""Words of speech that make one passage."""
_SIGHTS = 6


def evidence_of(seen: Observed) -> list[Citation]:
    """At most as many passages as a piece stands on, in order of time, spread over the whole video."""
    spoken = [_citation(seen, text, parts) for text, parts in _passages(seen.spoken)]
    texts = [_of(seen, each) for each in telling([one for one in seen.statements if one.about == "text"], _SIGHTS)]
    told = [each for each in seen.statements if each.about == "actions"]
    sights = [each for each in seen.statements if each.about in ("people", "objects")]
    shown = [_of(seen, each) for each in [*told[:_SIGHTS], *joined(sights)[:_SIGHTS]]]
    room = max(MOST - len(texts) - len(shown) - 1, 1)
    step = max(len(spoken) / room, 1.0)
    some = [spoken[int(at * step)] for at in range(min(len(spoken), room))]
    whole = _of(seen, lasting(seen.timeline, figures_of(seen.timeline, seen.spoken)))
    found = [*some, *texts, *shown]
    return numbered(found or [whole])


def held_outline(outline: Outline, evidence: Sequence[Citation], name: str) -> Outline:
    """The outline without words that the video does not have: a title says something too.

    A title that is made up is the video's name; a heading that is made up is the commonest words of its own evidence.
    """
    known = {word for each in evidence for word in content(each.text)}

    def stands(text: str) -> bool:
        return all(any(alike(word, other) for other in known) for word in content(text))

    parts, used = list[Part](), set[str]()
    for each in outline.parts:
        own = " ".join(one.text for one in evidence if one.n in each.evidence)
        words_there = ", ".join(keywords_of(own, 2))
        heading = each.heading if stands(each.heading) else words_there[:1].upper() + words_there[1:]
        if not heading or heading in used:
            heading = f"Part {each.number + 1}"
        used.add(heading)
        parts.append(each.model_copy(update={"heading": heading}))
    return Outline(title=outline.title if stands(outline.title) else title_of(name), parts=parts)


def topic_of(seen: Observed) -> str:
    """What a piece is about: the words that are said most, else the video's name."""
    said = keywords_of(" ".join(each.text for each in seen.spoken), 4)
    return ", ".join(said) if said else title_of(seen.timeline.name)


def _passages(spoken: Sequence[Saying]) -> list[tuple[str, list[Saying]]]:
    """Sentences in a row, gathered to passages of a paragraph's size."""
    found, run = list[tuple[str, list[Saying]]](), list[Saying]()
    for each in spoken:
        run.append(each)
        if sum(len(words(one.text)) for one in run) >= _PASSAGE:
            found.append((" ".join(one.text for one in run), run))
            run = []
    return [*found, (" ".join(one.text for one in run), run)] if run else found


def _citation(seen: Observed, text: str, parts: Sequence[Saying]) -> Citation:
    return Citation(
        n=0,
        source=seen.timeline.name,
        media=seen.timeline.source,
        modality="speech",
        text=text,
        start=parts[0].start,
        end=parts[-1].end,
        segment=str(parts[0].segments[0].id),
    )


def _of(seen: Observed, statement: Statement) -> Citation:
    first = statement.moments[0]
    text = without_lead(statement.text).strip("“”") if statement.about == "text" else statement.text
    return Citation(
        n=0,
        source=seen.timeline.name,
        media=seen.timeline.source,
        modality=first.modality,
        text=text,
        start=first.start,
        end=first.end,
        thumbnail=first.thumbnail,
        segment=first.segment,
    )
