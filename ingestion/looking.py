"""Pictures into segments: text on screen, things and faces, each with the time it was in view."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from difflib import SequenceMatcher

from pydantic import BaseModel, ConfigDict, TypeAdapter

from ingestion.frames import Picture
from ingestion.scenes import told
from ingestion.shots import Shot
from ingestion.timeline import ShotSeen
from knowledge.segment import Made, Modality, Segment, segment_id
from tools.bench import Bench
from tools.looking import DetectInput, FaceInput, ReadInput, SeenFace, SeenObject, SeenText
from tools.looking import find_faces as find_faces_tool
from tools.looking import find_objects as find_objects_tool
from tools.looking import read_text as read_text_tool
from tools.vision import Box

VERSION = "2"
_SURE = 0.5
_OFTEN = 3
_WINDOW = 30.0
_IRREGULAR = {"person": "persons", "mouse": "mice", "knife": "knives", "sheep": "sheep", "scissors": "scissors"}


class Look(BaseModel):
    """What a tool saw on one picture, as it is kept until all pictures are seen."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    picture: Picture
    model: str
    lines: list[SeenText] = []
    objects: list[SeenObject] = []
    faces: list[SeenFace] = []


LOOKS = TypeAdapter(list[Look])


@dataclass(frozen=True)
class Seen:
    """One thing that was in view from `start` to `end`."""

    text: str
    start: float
    end: float
    confidence: float
    box: Box | None
    image: str
    model: str


@dataclass(frozen=True)
class Place:
    """Where segments of one medium belong."""

    sha: str
    knowledge_base: str
    recorded_at: datetime | None = None

    def segment(self, modality: Modality, seen: Seen) -> Segment:
        recorded = self.recorded_at
        return Segment(
            id=segment_id(self.sha, modality, f"{seen.start:.3f}-{seen.end:.3f}", seen.text),
            knowledge_base=self.knowledge_base,
            source=self.sha,
            modality=modality,
            text=seen.text,
            start=seen.start,
            end=max(seen.start, seen.end),
            recorded_from=recorded + timedelta(seconds=seen.start) if recorded else None,
            recorded_to=recorded + timedelta(seconds=seen.end) if recorded else None,
            box=seen.box,
            confidence=round(min(1.0, max(0.0, seen.confidence)), 4),
            image=seen.image,
            made=Made(model=seen.model, version=VERSION),
        )


async def read_text(pictures: Sequence[Picture], bench: Bench) -> list[Look]:
    seen = await bench.call(read_text_tool, ReadInput(images=[each.image for each in pictures]))
    return [
        Look(picture=picture, model=seen.model, lines=[line for line in each.lines if line.confidence >= _SURE])
        for picture, each in zip(pictures, seen.images, strict=True)
    ]


async def find_objects(pictures: Sequence[Picture], bench: Bench) -> list[Look]:
    seen = await bench.call(find_objects_tool, DetectInput(images=[each.image for each in pictures]))
    return [
        Look(picture=picture, model=seen.model, objects=each.objects)
        for picture, each in zip(pictures, seen.images, strict=True)
    ]


async def find_faces(pictures: Sequence[Picture], bench: Bench) -> list[Look]:
    seen = await bench.call(find_faces_tool, FaceInput(images=[each.image for each in pictures]))
    return [
        Look(picture=picture, model=seen.model, faces=each.faces)
        for picture, each in zip(pictures, seen.images, strict=True)
    ]


@dataclass
class Shown:
    """A line of text on screen, for as long as it stays."""

    text: str
    box: Box
    confidence: float
    start: float
    end: float
    image: str
    model: str


@dataclass
class Screen:
    """Follows lines of text over pictures that come in order of time.

    A line that stays is one line, in its surest reading.
    """

    open: list[Shown] = field(default_factory=list)
    gone: list[Shown] = field(default_factory=list)

    def see(self, look: Look) -> None:
        before, self.open = self.open, []
        for line in look.lines:
            known = next((each for each in before if _same_line(each, line)), None)
            if known is None:
                picture = look.picture
                shown = Shown(
                    line.text, line.box, line.confidence, picture.start, picture.end, picture.image, look.model
                )
                self.open.append(shown)
                continue
            before.remove(known)
            known.end = look.picture.end
            # the surest reading is the one to keep; a moving background spoils single ones
            if line.confidence > known.confidence:
                known.text, known.confidence, known.box = line.text, line.confidence, line.box
            self.open.append(known)
        self.gone += before

    def leave(self) -> list[Shown]:
        """The lines that have gone since the last call; those that came and went together are all in it."""
        gone, self.gone = self.gone, []
        return gone

    def end(self) -> None:
        """The video is over: what is still there goes."""
        self.gone += self.open
        self.open = []


def screen_text(lines: Sequence[Shown], place: Place) -> list[Segment]:
    """One segment for lines that were on screen for the same time, however long that was."""
    groups: dict[tuple[float, float], list[Shown]] = {}
    for each in lines:
        if each.text.strip():
            groups.setdefault((each.start, each.end), []).append(each)
    found = list[Segment]()
    for (start, end), together in sorted(groups.items()):
        together.sort(key=lambda each: (round(each.box[1], 2), each.box[0]))
        first = together[0]
        seen = Seen(
            text="\n".join(each.text.strip() for each in together),
            start=start,
            end=end,
            confidence=sum(each.confidence for each in together) / len(together),
            box=_around(each.box for each in together),
            image=first.image,
            model=first.model,
        )
        found.append(place.segment("screen_text", seen))
    return found


def written(looks: Sequence[Look], place: Place) -> list[Segment]:
    """The text of pictures that come in order of time."""
    screen = Screen()
    for look in looks:
        if look.lines:
            screen.see(look)
    screen.end()
    return screen_text(screen.leave(), place)


def scene_segments(shots: Sequence[ShotSeen], place: Place) -> list[Segment]:
    """How each shot looks, in words."""
    return [
        place.segment(
            "scene",
            Seen(
                text=told(each, None if each.repeats is None else shots[each.repeats]),
                start=each.start,
                end=each.end,
                confidence=1.0,
                box=None,
                image=each.image,
                model="rules",
            ),
        )
        for each in shots
    ]


def things(looks: Sequence[Look], shots: Sequence[Shot], place: Place) -> list[Segment]:
    """What is to be seen in each shot: «2 persons, 1 cup»."""
    found = list[Segment]()
    for group in _by_shot(looks, shots):
        seen = [look for look in group if look.objects]
        if not seen:
            continue
        most = _most(group)
        if not most:
            continue
        ordered = sorted(most, key=lambda label: (-most[label], label))
        text = ", ".join(_counted(most[label], label) for label in ordered)
        best = max(seen, key=lambda look: (len(look.objects), sum(each.confidence for each in look.objects)))
        sure = max(each.confidence for each in best.objects)
        found.append(place.segment("object", _over(seen, best, text, sure)))
    return found


def _most(looks: Sequence[Look]) -> dict[str, int]:
    """How many of each thing are to be seen at once. In a shot that was looked at often, a thing that one look alone
    found, and not surely, is a mistake of the detector."""
    counts = [Counter(each.label for each in look.objects) for look in looks]
    sure = {each.label for look in looks for each in look.objects if each.confidence >= _SURE}
    again = Counter(label for count in counts for label in count)
    most = Counter[str]()
    for count in counts:
        most |= count
    return {label: n for label, n in most.items() if label in sure or again[label] > 1 or len(looks) < _OFTEN}


def faces(looks: Sequence[Look], shots: Sequence[Shot], place: Place) -> list[Segment]:
    """How many faces each shot shows; the box is the largest face's."""
    found = list[Segment]()
    for group in _by_shot(looks, shots):
        seen = [look for look in group if look.faces]
        if not seen:
            continue
        best = max(seen, key=lambda look: (len(look.faces), look.faces[0].confidence))
        face = best.faces[0]
        text = _counted(len(best.faces), "face")
        found.append(place.segment("face", _over(seen, best, text, face.confidence, face.box)))
    return found


def _over(seen: Sequence[Look], best: Look, text: str, sure: float, box: Box | None = None) -> Seen:
    start, end = seen[0].picture.start, seen[-1].picture.end
    return Seen(text=text, start=start, end=end, confidence=sure, box=box, image=best.picture.image, model=best.model)


def _by_shot(looks: Sequence[Look], shots: Sequence[Shot]) -> list[list[Look]]:
    """Looks by shot, a long shot in windows."""
    groups: dict[tuple[int, int], list[Look]] = {}
    for look in looks:
        middle = look.picture.start
        shot = next((n for n, each in enumerate(shots) if each.start <= middle < each.end), len(shots))
        since = middle - (shots[shot].start if shot < len(shots) else 0.0)
        groups.setdefault((shot, int(since // _WINDOW)), []).append(look)
    return [groups[key] for key in sorted(groups)]


def _same_line(shown: Shown, line: SeenText) -> bool:
    old, new = _letters(shown.text), _letters(line.text)
    # a counter, a clock or a page number is what tells two lines apart
    if re.findall(r"\d", old) != re.findall(r"\d", new):
        return False
    overlaps = shown.box[0] < line.box[2] and line.box[0] < shown.box[2]
    if not overlaps or abs(shown.box[1] - line.box[1]) > 0.08:
        return False
    return old == new or SequenceMatcher(None, old, new, autojunk=False).ratio() >= 0.85


def _letters(text: str) -> str:
    return re.sub(r"\W+", "", text.casefold())


def _around(boxes: Iterable[Box]) -> Box:
    lefts, tops, rights, bottoms = zip(*boxes, strict=True)
    return (min(lefts), min(tops), max(rights), max(bottoms))


def _counted(number: int, label: str) -> str:
    if number == 1:
        return f"1 {label}"
    plural = _IRREGULAR.get(label) or (f"{label}es" if label.endswith(("s", "ch", "sh", "x")) else f"{label}s")
    return f"{number} {plural}"
