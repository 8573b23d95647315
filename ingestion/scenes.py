"""What a shot looks like without any model: its light, its main colours, and whether it was seen before."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

import numpy as np

from ingestion.timeline import Light, ShotSeen
from tools.media.frames import Image

if TYPE_CHECKING:
    from ingestion.shots import Shot

_DARK, _DIM = 0.13, 0.3
_SHARE = 0.15
"""Share of the picture from which a colour is one of its main ones."""
_COLOURS = 3
_HUES = ((15, "red"), (45, "orange"), (70, "yellow"), (165, "green"), (195, "cyan"), (255, "blue"), (290, "purple"))
_NEAR = 0.02
"""Seconds by which the clocks of pictures and shots may differ."""
_PRINT = (16, 9)
_SAME_MEAN, _SAME_MOST = 7.0, 30.0
"""Grey levels by which two prints of the same picture may differ: on average, and nearly everywhere."""
_DRIFT = 0.035
"""Mean difference of prints, as a share of their contrast, from which a shot is not called still."""
LEAST_CAMERA = 1.5
"""Seconds of a shot under which nothing is said of its camera."""
_CLEAR = 0.2
"""Motion beside the camera's own from which the camera cannot be told."""
_FLAT, _SAME_PLACES = 2.0, 0.93
"""Standard deviation below which a picture is empty, and how alike (correlation) two others are that are the same."""
_APART = 32.0
"""Grey levels by which the prints of two shots differ on average."""


class Shown(Protocol):
    """A picture with its time in view."""

    @property
    def start(self) -> float: ...
    @property
    def end(self) -> float: ...
    @property
    def image(self) -> str: ...
    @property
    def colours(self) -> list[str]: ...
    @property
    def print(self) -> str: ...


def colours_of(image: Image) -> list[str]:
    """The names of the main colours, the largest first."""
    from PIL import Image as Pillow

    small = Pillow.fromarray(image).resize((64, 36), Pillow.Resampling.BOX).convert("HSV")
    hue, saturation, value = (np.asarray(each, np.float32) for each in small.split())
    degrees = hue * 360 / 256
    names = np.full(hue.shape, "pink", object)
    for until, name in reversed(_HUES):
        names[degrees < until] = name
    names[degrees >= 345] = "red"
    names[(names == "orange") & (value < 150)] = "brown"
    grey = saturation < 40
    names[grey] = "grey"
    names[grey & (value > 200)] = "white"
    names[value < 45] = "black"
    found, counts = np.unique(names.astype(str), return_counts=True)
    order = np.argsort(-counts, kind="stable")
    main = [str(found[at]) for at in order if counts[at] >= _SHARE * names.size]
    return (main or [str(found[order[0]])])[:_COLOURS]


def print_of(image: Image) -> str:
    """The picture as 16 x 9 RGB pixels, in hexadecimal digits."""
    from PIL import Image as Pillow

    return Pillow.fromarray(image).resize(_PRINT, Pillow.Resampling.BOX).tobytes().hex()


def same(one: str, other: str) -> bool:
    """Whether two prints are of the same picture, perhaps compressed anew or with a little moved in it."""
    if not one or not other:
        return False
    first, second = (np.frombuffer(bytes.fromhex(each), np.uint8).astype(np.float32) for each in (one, other))
    apart = np.abs(first - second)
    if float(apart.mean()) > _SAME_MEAN or float(np.quantile(apart, 0.95)) > _SAME_MOST:
        return False
    # dark pictures differ by little: what there is in them must be in the same places
    first, second = first - first.mean(), second - second.mean()
    size = float(np.sqrt((first**2).sum() * (second**2).sum()))
    return size < _FLAT**2 * len(first) or float((first * second).sum()) >= _SAME_PLACES * size


def apart(one: str, other: str) -> bool:
    """Whether two prints have nothing in common, as those of two shots."""
    first, second = (np.frombuffer(bytes.fromhex(each), np.uint8).astype(np.int16) for each in (one, other))
    return float(np.abs(first - second).mean()) >= _APART


def drifted(one: str, other: str) -> bool:
    """Whether a picture has changed by more than noise, measured by its own contrast."""
    if not one or not other:
        return False
    first, second = (np.frombuffer(bytes.fromhex(each), np.uint8).astype(np.int16) for each in (one, other))
    return float(np.abs(first - second).mean()) > _DRIFT * max(float(first.std()), 4.0)


def light_of(brightness: float) -> Light:
    return "dark" if brightness < _DARK else "dim" if brightness < _DIM else "bright"


def scenes(shots: Sequence["Shot"], pictures: Sequence[Shown]) -> list[ShotSeen]:
    """The shots with their key pictures; a shot none of whose pictures was kept has the one in view."""
    found, prints = list[ShotSeen](), list[list[str]]()
    at = 0
    for shot in shots:
        while at < len(pictures) and pictures[at].end <= shot.start:
            at += 1
        inside = [each for each in _from(pictures, at, shot.end - _NEAR) if each.end > shot.start]
        own = [each for each in inside if each.start >= shot.start - _NEAR] or inside
        if not own:
            continue
        key = max(own, key=lambda each: min(each.end, shot.end) - max(each.start, shot.start))
        mine = [each.print for each in own[:3]] + [key.print]
        # too slow to be measured from frame to frame, and still not still
        creeps = shot.camera == "still" and drifted(own[0].print, own[-1].print)
        found.append(
            ShotSeen(
                **shot.model_copy(update={"camera": "unknown"} if creeps else {}).model_dump(),
                image=key.image,
                light=light_of(shot.brightness),
                colours=key.colours,
                repeats=_before(mine, prints),
            )
        )
        prints.append(mine)
    return found


def _from(pictures: Sequence[Shown], first: int, until: float) -> list[Shown]:
    last = first
    while last < len(pictures) and pictures[last].start < until:
        last += 1
    return list(pictures[first:last])


def _before(mine: Sequence[str], before: Sequence[Sequence[str]]) -> int | None:
    """The number of the first shot that looked like this one; the one just before it is no repetition but a jump."""
    for number, theirs in enumerate(before[:-1]):
        if any(same(one, other) for one in mine for other in theirs):
            return number
    return None


def camera_is_clear(shot: ShotSeen) -> bool:
    """Whether what looks like the camera's motion is its own: a bus that passes close looks like a pan."""
    return shot.motion < _CLEAR and shot.end - shot.start >= LEAST_CAMERA


def told(shot: ShotSeen, repeated: ShotSeen | None) -> str:
    """A shot in words, as memory keeps it."""
    from knowledge.segment import moment

    colours = " and ".join(shot.colours[:2])
    parts = [f"A {shot.light} shot, mostly {colours}" if colours else f"A {shot.light} shot"]
    if shot.transition in ("fade", "dissolve"):
        parts.append(f"it begins with a {shot.transition}")
    if shot.camera == "still":
        parts.append("the camera stands still")
    elif shot.camera not in ("unknown", "shaky") and camera_is_clear(shot):
        verb, way = shot.camera.split()
        parts.append(f"the camera {verb}s {way}")
    if repeated is not None:
        parts.append(f"it shows the same picture as {moment(repeated.start)}")
    return "; ".join(parts) + "."
