"""The stretches of a video that have a subject of their own: cut where the words change, at a pause or a new shot.

After TextTiling (Hearst, 1997): a boundary is where the words before and after it have least in common.
"""

import math
from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain, pairwise

from graphs.temporal.words import content
from graphs.video import trust
from graphs.video.sayings import Saying
from graphs.video.state import Chapter
from ingestion.timeline import Timeline
from tools.writing.finding import keywords_of

MOST = 16
_SECONDS = 120.0
"""Length that a chapter has at about."""
_SHORTEST = 20.0
_AROUND = 60.0
"""Seconds on either side of a boundary whose words are compared."""
_TITLE_WORDS = 8


def chapters_of(timeline: Timeline, spoken: Sequence[Saying]) -> list[Chapter]:
    """The chapters, covering the whole video; a short one is a single chapter."""
    wanted = min(MOST, int(timeline.duration // _SECONDS) or (2 if timeline.duration >= 3 * _SHORTEST else 1))
    edges = [0.0, *_boundaries(timeline, spoken, wanted - 1), timeline.duration]
    return [
        Chapter(
            number=number,
            start=start,
            end=end,
            title=_title(timeline, spoken, start, end, number),
            image=_image(timeline, start),
        )
        for number, (start, end) in enumerate(pairwise(edges), 1)
    ]


def _boundaries(timeline: Timeline, spoken: Sequence[Saying], wanted: int) -> list[float]:
    """The best places to cut, none near another or an end."""
    apart = max(_SHORTEST, timeline.duration / (2.5 * (wanted + 1)))
    shots = {each.start: 0.15 * (2.0 if each.transition != "cut" else 1.0) for each in timeline.shots if each.start > 0}
    places = dict(shots)
    for before, after in pairwise(spoken):
        pause = min(max(after.start - before.end, 0.0), 4.0)
        nearest = next((at for at in shots if before.end - 0.5 <= at <= after.start + 0.5), after.start)
        places[nearest] = places.get(nearest, 0.0) + 0.1 * pause
    talk = _Talk([each.start for each in spoken], [content(each.text) for each in spoken])
    worth = {at: bonus + talk.change(at) for at, bonus in places.items()}
    chosen = list[float]()
    for at in sorted(worth, key=lambda each: -worth[each]):
        if len(chosen) == wanted:
            break
        if all(abs(at - other) >= apart for other in (0.0, timeline.duration, *chosen)):
            chosen.append(at)
    return sorted(chosen)


@dataclass(frozen=True)
class _Talk:
    """The stems of all sentences in order, and when each begins."""

    starts: list[float]
    stems: list[list[str]]

    def change(self, at: float) -> float:
        """How little the words before and after a time have in common, 0..1; nothing is known without words."""
        before, after = self._words(at - _AROUND, at), self._words(at, at + _AROUND)
        if not before or not after:
            return 0.5 if before or after else 0.0
        shared = sum(count * after[word] for word, count in before.items())
        norm = math.sqrt(sum(n * n for n in before.values()) * sum(n * n for n in after.values()))
        return 1.0 - shared / norm

    def _words(self, low: float, high: float) -> Counter[str]:
        inside = self.stems[bisect_left(self.starts, low) : bisect_left(self.starts, high)]
        return Counter(chain.from_iterable(inside))


def _title(timeline: Timeline, spoken: Sequence[Saying], start: float, end: float, number: int) -> str:
    """The title that the video itself shows there, else its commonest words, else a number."""
    for each in timeline.during(start, min(end, start + max((end - start) / 3, 10.0))):
        if each.modality == "screen_text" and (each.start or 0.0) >= start - 0.5:
            lines = trust.legible(each.text, each.confidence)
            if lines and len(lines[0].split()) <= _TITLE_WORDS and len(lines) <= 3:
                return lines[0]
    words = keywords_of(" ".join(each.text for each in spoken if start <= each.start < end), 3)
    if words:
        text = ", ".join(words)
        return text[:1].upper() + text[1:]
    return f"Part {number}"


def _image(timeline: Timeline, start: float) -> str | None:
    return next((each.image for each in timeline.shots if each.end > start), None)
