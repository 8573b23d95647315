"""What occurs in several of the things that were sent together: words, names, things and times, each traced."""

import re
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict

from graphs.relating.texts import TextSeen, TimeTold, capitalised, times
from graphs.temporal.stopwords import STOPWORDS
from graphs.temporal.words import content, stem, words
from ingestion.timeline import Timeline
from knowledge.segment import Segment
from tools.vision import Box
from tools.vision.coco import LABELS

Part = Literal["text", "context", "image", "video"]
Kind = Literal["thing", "name", "word", "time"]

_WORDS = 20
_PLACES = 6
"""Places that are shown of one relation in one part."""
_SHORTEST = 3
_PEOPLE = re.compile(r"\b(?:people|man|men|woman|women|child|children|boys?|girls?)\b", re.IGNORECASE)


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Passage(_Frozen):
    """Something that a part says or shows. `seen` are labels of things and not words; `start` and `end` are seconds."""

    part: Part
    modality: str
    text: str
    start: float | None = None
    end: float | None = None
    box: Box | None = None
    at: int | None = None
    seen: bool = False


class Relation(_Frozen):
    """What occurs in several `parts`, and where in each."""

    kind: Kind
    what: str
    parts: list[Part]
    places: list[Passage]


def of_text(part: Part, text: str) -> list[Passage]:
    """A text by its sentences."""
    found, at = list[Passage](), 0
    for piece in re.split(r"(?<=[.!?।])\s+|\n+", text):
        at = max(text.find(piece, at), 0)
        if piece.strip():
            found.append(Passage(part=part, modality="text", text=piece.strip()[:400], at=at))
        at += len(piece)
    return found


def of_video(timeline: Timeline) -> list[Passage]:
    """What was said and written in a video, and the things that were tracked in it."""
    worded = [_of_segment(each) for each in timeline.segments if each.modality in ("speech", "caption", "screen_text")]
    tracked = [
        Passage(
            part="video", modality="object", text=each.label, start=each.start, end=each.end, box=each.box, seen=True
        )
        for each in timeline.tracks
        if each.label != "face"
    ]
    return [*worded, *tracked]


def _of_segment(segment: Segment) -> Passage:
    return Passage(
        part="video",
        modality=segment.modality,
        text=" ".join(segment.text.split())[:400],
        start=segment.start,
        end=segment.end,
        box=segment.box,
    )


def relate(passages: Sequence[Passage], texts: dict[Part, TextSeen], now: datetime) -> list[Relation]:
    """All that occurs in two parts or more: things first, then names, times and other words."""
    things = _joined("thing", [(label, each) for each in passages for label in _things(each)])
    named = _joined("name", _called([(name, each) for each in passages for name in _names(each)]))
    taken = {word for each in (*things, *named) for word in content(each.what)}
    worded = _joined("word", [(word, each) for each in passages if not each.seen for word in _words(each, taken)])
    ordered = sorted(worded, key=lambda each: (-len(each.parts), -len(each.what), each.what))
    return [*things, *named, *_dated(passages, texts, now), *_moments(passages, texts), *ordered[:_WORDS]]


def _joined(kind: Kind, pairs: Sequence[tuple[str, Passage]]) -> list[Relation]:
    groups: dict[str, list[Passage]] = {}
    written: dict[str, str] = {}
    for what, passage in pairs:
        key = " ".join(stem(word) for word in what.lower().split())
        written.setdefault(key, what)
        if passage not in groups.setdefault(key, []):
            groups[key].append(passage)
    return [
        relation for key, places in groups.items() if (relation := _relation(kind, written[key], places)) is not None
    ]


def _relation(kind: Kind, what: str, places: Sequence[Passage]) -> Relation | None:
    parts = list(dict.fromkeys(each.part for each in places))
    if len(parts) < 2:
        return None
    shown = [each for part in parts for each in [one for one in places if one.part == part][:_PLACES]]
    return Relation(kind=kind, what=what, parts=parts, places=shown)


def _things(passage: Passage) -> Iterator[str]:
    """Labels that were seen, or that the words of a passage name."""
    if passage.seen:
        yield passage.text
        return
    said = f" {' '.join(stem(word) for word in re.findall(r'[a-z]+', passage.text.lower()))} "
    for label in LABELS:
        if f" {' '.join(stem(word) for word in label.split())} " in said:
            yield label
    if _PEOPLE.search(passage.text):
        yield "person"


def _names(passage: Passage) -> list[str]:
    """A sign in capitals says names too; what begins a sentence may be one where the other part has it as well."""
    return [] if passage.seen else [name.title() for name, _, _ in capitalised(passage.text)]


def _called(pairs: Sequence[tuple[str, Passage]]) -> list[tuple[str, Passage]]:
    """Each name as it is told most briefly: «Professor Ada Lovelace» is who another part calls «Lovelace»."""
    brief = sorted({name for name, _ in pairs}, key=len)
    return [(next(each for each in brief if f" {name}".endswith(f" {each}")), passage) for name, passage in pairs]


def _words(passage: Passage, taken: set[str]) -> Iterator[str]:
    for word in words(passage.text):
        if len(word) >= _SHORTEST and word not in STOPWORDS and stem(word) not in taken and not word.isdigit():
            yield word


def _dated(passages: Sequence[Passage], texts: dict[Part, TextSeen], now: datetime) -> list[Relation]:
    """The same date, year or clock in several parts."""
    told = [(each.value, _place(part, each)) for part, seen in texts.items() for each in seen.times if _absolute(each)]
    worded = [each for each in passages if each.part in ("image", "video") and not each.seen]
    told += [(time.value, each) for each in worded for time in times(each.text, now) if _absolute(time)]
    return _joined("time", told)


def _moments(passages: Sequence[Passage], texts: dict[Part, TextSeen]) -> list[Relation]:
    """What a video has at a moment that a text speaks of."""
    found = list[Relation]()
    for part, time in [(part, each) for part, seen in texts.items() for each in seen.times if each.kind == "moment"]:
        start = time.start or 0.0
        end = time.end if time.end is not None else float("inf")
        there = [each for each in passages if each.part == "video" and _overlaps(each, start, max(end, start + 1.0))]
        if (relation := _relation("time", time.text, [_place(part, time), *there])) is not None:
            found.append(relation)
    return found


def _absolute(time: TimeTold) -> bool:
    return time.kind in ("date", "year", "clock")


def _place(part: Part, time: TimeTold) -> Passage:
    return Passage(part=part, modality="text", text=time.sentence[:400])


def _overlaps(passage: Passage, start: float, end: float) -> bool:
    if passage.start is None:
        return False
    return passage.start < end and (passage.end if passage.end is not None else passage.start) > start
