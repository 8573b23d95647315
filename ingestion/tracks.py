"""The same thing on picture after picture: detections joined to tracks, so that who or what stays is one entry.

Boxes of one label are joined where they overlap or lie close, within one shot, over a miss or two. Nobody is
identified: two tracks may be the same person.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from ingestion.looking import Look
from ingestion.shots import Shot
from ingestion.timeline import Track
from tools.vision import Box

FACE = "face"
_OVERLAP, _NEAR = 0.2, 0.15
_PATIENCE = 6.0
"""Seconds after its last look that a thing which is seen again is still the same."""


@dataclass(frozen=True)
class _Seen:
    label: str
    box: Box
    confidence: float


@dataclass
class _Open:
    best: _Seen
    box: Box
    start: float
    end: float
    image: str
    shot: int
    looks: int = 1

    def closed(self) -> Track:
        return Track(
            label=self.best.label,
            start=self.start,
            end=max(self.start, self.end),
            looks=self.looks,
            confidence=round(min(1.0, max(0.0, self.best.confidence)), 4),
            box=self.best.box,
            image=self.image,
        )


def tracks(looks: Sequence[Look], shots: Sequence[Shot]) -> list[Track]:
    """All tracks, by their beginning. Looks may come from several senses; each counts only its own label."""
    going, gone = list[_Open](), list[Track]()
    for look in sorted(looks, key=lambda each: each.picture.start):
        at, shot = look.picture.start, _shot(look.picture.start, shots)
        ended = [each for each in going if each.shot != shot or at - each.end > _PATIENCE]
        gone += [each.closed() for each in ended]
        going = [each for each in going if each not in ended]
        going = _join(going, _seen(look), look, shot)
    every = [*gone, *(each.closed() for each in going)]
    return sorted(every, key=lambda each: (each.start, each.label, -each.confidence))


def _seen(look: Look) -> list[_Seen]:
    things = [_Seen(each.label, each.box, each.confidence) for each in look.objects]
    return sorted(
        [*things, *(_Seen(FACE, each.box, each.confidence) for each in look.faces)], key=lambda each: -each.confidence
    )


def _join(going: list[_Open], seen: Sequence[_Seen], look: Look, shot: int) -> list[_Open]:
    free = list(going)
    for each in seen:
        near = [track for track in free if track.best.label == each.label and _close(track.box, each.box)]
        if not near:
            picture = look.picture
            going.append(_Open(each, each.box, picture.start, picture.end, picture.image, shot))
            continue
        track = max(near, key=lambda known: _overlap(known.box, each.box))
        free.remove(track)
        track.box, track.end, track.looks = each.box, max(track.end, look.picture.end), track.looks + 1
        if each.confidence > track.best.confidence:
            track.best, track.image = each, look.picture.image
    return going


def _shot(at: float, shots: Sequence[Shot]) -> int:
    return next((number for number, each in enumerate(shots) if each.start <= at < each.end), len(shots))


def _close(one: Box, other: Box) -> bool:
    across = (one[0] + one[2]) / 2 - (other[0] + other[2]) / 2
    upright = (one[1] + one[3]) / 2 - (other[1] + other[3]) / 2
    return _overlap(one, other) >= _OVERLAP or across**2 + upright**2 <= _NEAR**2


def _overlap(one: Box, other: Box) -> float:
    """Intersection over union."""
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    if width <= 0 or height <= 0:
        return 0.0
    areas = [(each[2] - each[0]) * (each[3] - each[1]) for each in (one, other)]
    return width * height / max(sum(areas) - width * height, 1e-9)
