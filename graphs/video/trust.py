"""What of a detector's findings can be believed. A wrong statement is worse than a missing one.

The bars were set by looking at photographs of known content beside the embedded detector's answers: it is right about
people above .6, sees an umbrella in a retina at .52, a kite in the moon at .45 and a dog in a cat at .45. Its names of
animals and vehicles are less sure than that there is one, so below the bar for names it says only that.
"""

import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from graphs.temporal.words import content
from ingestion.timeline import Track
from tools.vision import Box

PERSON, FACE = "person", "face"

_NAMED = 0.6
_NAMED_OFTEN = 0.55
_KIND = 0.5
_SPOKEN_OF = 0.4
_PERSON = 0.6
_PERSON_WITH_FACE = 0.5
_FACE = 0.75
_SMALLEST = 0.004
"""Share of the picture below which a thing is too small to be told."""
_SAME = 0.5
"""Overlap of two boxes above which they are one thing that was found twice."""

TEXT = 0.9
SPEECH = 0.4
_LETTERS = 3

_ANIMALS = frozenset({"bird", "cat", "dog", "horse", "sheep", "cow", "elephant", "bear", "zebra", "giraffe"})
_VEHICLES = frozenset({"bicycle", "car", "motorcycle", "airplane", "bus", "train", "truck", "boat"})


@dataclass(frozen=True)
class Thing:
    """Something that is believed to be there: its name, and the track that shows it best."""

    name: str
    track: Track


def thing(track: Track, spoken: Collection[str] = ()) -> Thing | None:
    """A track under a name that can be believed, its own or its kind's; None where neither can. People have their own
    rule.

    `spoken` are the stems of what is said meanwhile: a thing that is seen unsurely and spoken of is there.
    """
    if track.label in (PERSON, FACE) or _area(track.box) < _SMALLEST:
        return None
    if track.confidence >= _NAMED or (track.confidence >= _NAMED_OFTEN and track.looks > 1):
        return Thing(track.label, track)
    if track.confidence >= _SPOKEN_OF and {*content(track.label)} <= {*spoken}:
        return Thing(track.label, track)
    if track.confidence >= _KIND:
        kind = "animal" if track.label in _ANIMALS else "vehicle" if track.label in _VEHICLES else ""
        return Thing(kind, track) if kind else None
    return None


def people(tracks: Sequence[Track]) -> list[Track]:
    """The tracks of people, found by their figure; an unsure one counts where its face is sure."""
    faces = sure_faces(tracks)
    found = [
        each
        for each in tracks
        if each.label == PERSON
        and (
            each.confidence >= _PERSON
            or (
                each.confidence >= _PERSON_WITH_FACE
                and any(within(face.box, each.box) and together(face, each) for face in faces)
            )
        )
    ]
    return distinct(found)


def sure_faces(tracks: Sequence[Track]) -> list[Track]:
    return distinct([each for each in tracks if each.label == FACE and each.confidence >= _FACE])


def distinct(tracks: Sequence[Track]) -> list[Track]:
    """Without things that were found twice at once, the surest first."""
    kept = list[Track]()
    for each in sorted(tracks, key=lambda track: -track.confidence):
        if not any(together(each, other) and overlap(each.box, other.box) > _SAME for other in kept):
            kept.append(each)
    return kept


def at_once(tracks: Sequence[Track]) -> list[Track]:
    """The most of these tracks that are in view at one time."""
    best: list[Track] = []
    for each in tracks:
        there = [other for other in tracks if (other.start <= each.start and other.end > each.start) or other is each]
        best = max(best, there, key=len)
    return best


def together(one: Track, other: Track) -> bool:
    return one.start <= other.end and other.start <= one.end


def within(inner: Box, outer: Box) -> bool:
    """Whether the middle of a box lies in another."""
    x, y = (inner[0] + inner[2]) / 2, (inner[1] + inner[3]) / 2
    return outer[0] <= x <= outer[2] and outer[1] <= y <= outer[3]


def overlap(one: Box, other: Box) -> float:
    """Intersection over union, 0..1."""
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    if width <= 0 or height <= 0:
        return 0.0
    shared = width * height
    return shared / (_area(one) + _area(other) - shared)


def _area(box: Box) -> float:
    return max(box[2] - box[0], 0.0) * max(box[3] - box[1], 0.0)


def legible(text: str, confidence: float | None) -> list[str]:
    """The lines of a text on screen that were read surely; textures and logos look like one or two letters."""
    if confidence is not None and confidence < TEXT:
        return []
    return [line for each in text.splitlines() if _is_text(line := " ".join(each.split()))]


def _is_text(line: str) -> bool:
    letters = re.findall(r"[^\W_]", line)
    return len(letters) >= _LETTERS and len(letters) >= 0.6 * len(line.replace(" ", ""))


def letters_of(text: str) -> str:
    """What two readings of one text have in common."""
    return re.sub(r"\W+", "", text.casefold())


def unsure(tracks: Iterable[Track], spoken: Collection[str] = ()) -> int:
    """How many tracks are left out because nothing of them can be believed."""
    every = list(tracks)
    told = {id(each) for each in (*people(every), *sure_faces(every))}
    return sum(id(each) not in told and thing(each, spoken) is None for each in every)
