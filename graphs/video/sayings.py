"""What is said, as whole sentences with their times: a recogniser's segments end where it breathed, not where we do."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from graphs.video.trust import SPEECH
from ingestion.timeline import Timeline
from knowledge.segment import Segment
from tools.writing.text import sentences

_PAUSE = 2.0
"""Seconds of silence after which nobody goes on with a sentence."""
_LONGEST = 600
"""Letters after which a speaker without full stops is cut where a segment ends."""


@dataclass(frozen=True)
class Saying:
    """A sentence, seconds, and the segments that it was heard in."""

    text: str
    start: float
    end: float
    segments: tuple[Segment, ...]
    speaker: str | None = None


def heard(timeline: Timeline) -> list[Segment]:
    """The speech that was understood, in order of time; a speaker is named only beside another one."""
    spoken = _understood(timeline)
    if len(speakers_of(timeline)) == 1:
        spoken = [each.model_copy(update={"speaker": None}) for each in spoken]
    return sorted((each for each in spoken if each.start is not None), key=lambda each: each.start or 0.0)


def speakers_of(timeline: Timeline) -> set[str]:
    """Whose voices were told apart."""
    return {each.speaker for each in _understood(timeline) if each.speaker}


def _understood(timeline: Timeline) -> list[Segment]:
    spoken = [each for each in timeline.segments if each.modality == "speech" and each.text.strip()]
    return [each for each in spoken if each.confidence is None or each.confidence >= SPEECH]


def sayings(segments: Iterable[Segment]) -> list[Saying]:
    """The sentences of segments in order of time."""
    found, run = list[Saying](), list[Segment]()
    for each in segments:
        if run and _breaks(run, each):
            found += _sentences(run)
            run = []
        run.append(each)
    return found + (_sentences(run) if run else [])


def _breaks(run: Sequence[Segment], after: Segment) -> bool:
    last = run[-1]
    apart = (after.start or 0.0) - (last.end or last.start or 0.0) > _PAUSE
    other = last.speaker != after.speaker or last.language != after.language
    return apart or other or sum(len(each.text) for each in run) > _LONGEST


def _sentences(run: Sequence[Segment]) -> list[Saying]:
    """The sentences of one run; each has the times of the segments that it touches."""
    places, text = list[tuple[int, int, Segment]](), ""
    for each in run:
        begin = len(text) + bool(text)
        text = f"{text} {' '.join(each.text.split())}".strip()
        places.append((begin, len(text), each))
    found, at = list[Saying](), 0
    for piece in sentences(text):
        first = text.find(piece, at)
        at = first + len(piece)
        inside = [each for begin, end, each in places if begin < at and end > first] or [run[-1]]
        starts, ends = inside[0].start or 0.0, inside[-1].end or inside[-1].start or 0.0
        found.append(Saying(piece, starts, max(starts, ends), tuple(inside), run[0].speaker))
    return found
