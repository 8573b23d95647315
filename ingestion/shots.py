"""Where one shot ends and the next begins, how it begins, and what the camera does in it, from measures of frames."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from ingestion.timeline import Camera, Transition
from tools.media.frames import Changes, Motion
from tools.media.looks import CUT, strengths
from tools.media.motion import STEP

_LEAST = 0.12
_TIMES = 2.6
_AROUND = 8
_SHORTEST = 0.5
_FLASH_SECONDS, _FLASH_LIGHT = 0.4, 0.04
"""How long a flash lasts at most, and what it does to the brightness at least."""
_MIXING, _TURNED = 0.02, 0.03
"""Shares of the grey scale by which a picture turned into another within a second: worth following, and enough."""
_OTHER = 0.72
"""Correlation under which the pictures before and after are two, not one that moved or that is in another light."""
_BLACK, _WHITE = 0.07, 0.9
"""Brightness of a picture that is black or white; the grey scale of video ends a little before 0 and 1."""
_DARK_SECONDS, _FADE_SECONDS = 3.0, 0.15
_SLOPE, _LEAP = 0.002, 0.12
"""How much the light changes from frame to frame in a fade, at least and at most."""
_FEWEST = 3
_MOVES = 0.03
"""Fractions of the picture a second from which the camera is said to move."""
_AGREE, _SHAKES = 0.7, 0.3
_WAYS: tuple[tuple[Camera, Camera], ...] = (
    ("pan left", "pan right"),
    ("tilt up", "tilt down"),
    ("zoom in", "zoom out"),
)
"""By what the content does: right, down, growing; and the opposite."""


class Shot(BaseModel):
    """Seconds of the medium; the end is exclusive. The fields are those of `ingestion.timeline.ShotSeen`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    start: float
    end: float
    transition: Transition = "cut"
    camera: Camera = "unknown"
    motion: float = 0.0
    brightness: float = 0.5


class Turn(NamedTuple):
    """One picture turns into another over some time: the boundary is taken in the middle."""

    start: float
    end: float
    kind: Transition

    @property
    def middle(self) -> float:
        return (self.start + self.end) / 2


def find_cuts(changes: Changes, *, exact: bool = True) -> list[float]:
    """Times of the first frames of new shots.

    A cut stands out from the frames around it, so the threshold follows them: hand-held camera and fast motion raise
    it, a still interview lowers it. Between keyframes alone (`exact` false) there is no such neighbourhood and only
    strong differences count.
    """
    if len(changes) < 2:
        return []
    times = changes[:, 0]
    score = strengths(changes)
    if not exact:
        strong = [int(i) for i in np.flatnonzero(score >= CUT)]
        return _apart([float(times[i]) for i in strong])
    cuts = list[float]()
    for at in np.flatnonzero(score >= _LEAST):
        first, last = max(0, at - _AROUND), min(len(score), at + _AROUND + 1)
        around = np.concatenate([score[first:at], score[at + 1 : last]])
        peak = score[at] >= score[first:last].max()
        # the quiet half of the neighbours: a second cut nearby must not hide this one
        usual = float(np.sort(around)[: max(1, len(around) * 3 // 4)].mean()) if len(around) else 0.0
        if peak and score[at] >= max(_LEAST, usual * _TIMES) and not _flash(changes, score, int(at)):
            cuts.append(float(times[at]))
    return _apart(cuts)


def _flash(changes: Changes, score: NDArray[np.float32], at: int) -> bool:
    """A flash or a dropped-in black frame changes the light and then changes it back."""
    near = np.flatnonzero((np.abs(changes[:, 0] - changes[at, 0]) <= _FLASH_SECONDS) & (score >= score[at] * 0.6))
    light = changes[:, 3]
    for other in near:
        first, last = min(at, int(other)), max(at, int(other))
        if first in (last, 0):
            continue
        before, after, inside = float(light[first - 1]), float(light[last]), float(light[first:last].mean())
        if abs(inside - before) >= _FLASH_LIGHT and abs(after - before) <= 0.25 * abs(inside - before):
            return True
    return False


def _apart(cuts: Sequence[float]) -> list[float]:
    kept = list[float]()
    for cut in cuts:
        if cut >= _SHORTEST and (not kept or cut - kept[-1] >= _SHORTEST):
            kept.append(cut)
    return kept


def find_turns(motion: Motion, changes: Changes) -> list[Turn]:
    """Fades and dissolves: stretches in which one picture evenly turns into one that is unlike it."""
    found = _fades(changes)
    for rows in _runs(motion[motion[:, 5] > _MIXING]):
        # what is measured at a time began two to four steps before
        start, end = max(0.0, float(rows[0, 0]) - 3 * STEP), float(rows[-1, 0])
        if float(rows[:, 5].max()) < _TURNED or float(rows[:, 6].min()) > _OTHER:
            continue
        if any(start <= fade.end and end >= fade.start for fade in found) or _cut_between(
            changes, start - STEP, end + STEP
        ):
            continue
        found.append(Turn(start, end, "dissolve"))
    return sorted(found)


def _fades(changes: Changes) -> list[Turn]:
    """Where the light goes evenly down to black or up to white, or comes back from there."""
    times, light = changes[:, 0], changes[:, 3]
    ended = np.flatnonzero((light < _BLACK) | (light > _WHITE))
    found = list[Turn]()
    for run in np.split(ended, np.flatnonzero(np.diff(ended) > 1) + 1):
        if not len(run):
            continue
        first, last = int(run[0]), int(run[-1])
        start, end = _slope(times, light, first, -1), _slope(times, light, last, 1)
        leaves, comes = times[first] - start >= _FADE_SECONDS, end - times[last] >= _FADE_SECONDS
        if times[last] - times[first] < _DARK_SECONDS and (leaves or comes):
            found.append(Turn(start, end, "fade"))
            continue
        found += [Turn(start, float(times[first]), "fade")] * bool(leaves)
        found += [Turn(float(times[last]), end, "fade")] * bool(comes)
    return found


def _slope(times: NDArray[np.float32], light: NDArray[np.float32], at: int, way: Literal[-1, 1]) -> float:
    """How far from a frame, backward or forward, the light evenly goes away from what it is there."""
    up = 1.0 if light[at] < 0.5 else -1.0
    here = at
    while 0 <= here + way < len(light):
        there = min(max(here + 3 * way, 0), len(light) - 1)
        steady = up * (light[there] - light[here]) > _SLOPE * abs(there - here)
        if not steady or abs(times[here + way] - times[here]) > STEP or abs(light[here + way] - light[here]) > _LEAP:
            break
        here += way
    return float(times[here])


def _cut_between(changes: Changes, start: float, end: float) -> bool:
    inside = changes[(changes[:, 0] >= start) & (changes[:, 0] <= end)]
    return len(inside) > 0 and float(strengths(inside).max()) >= CUT


def _runs(rows: Motion) -> list[Motion]:
    """Rows that follow each other without a gap."""
    gaps = np.flatnonzero(np.diff(rows[:, 0]) > 2.5 * STEP) + 1
    return [each for each in np.split(rows, gaps) if len(each)]


def shots(cuts: Sequence[float], duration: float, turns: Sequence[Turn] = ()) -> list[Shot]:
    """The stretches between cuts and turns, covering the whole medium. A cut within a turn is part of it."""
    begins: dict[float, Transition] = {each.middle: each.kind for each in turns if each.middle >= _SHORTEST}
    begins |= {cut: "cut" for cut in cuts if not any(each.start - STEP <= cut <= each.end + STEP for each in turns)}
    last = max([duration, *cuts[-1:]])
    edges = [0.0, *sorted(each for each in begins if each < duration), last]
    first: dict[float, Transition] = {0.0: "start"}
    return [
        Shot(start=round(start, 3), end=round(end, 3), transition=(first | begins)[start])
        for start, end in pairwise(edges)
        if end > start
    ]


def filmed(shots: Sequence[Shot], changes: Changes, motion: Motion) -> list[Shot]:
    """The shots with what the camera does in them, how much moves beside it, and how bright they are."""
    return [_filmed(each, changes, motion) for each in shots]


def _filmed(shot: Shot, changes: Changes, motion: Motion) -> Shot:
    light = changes[(changes[:, 0] >= shot.start) & (changes[:, 0] < shot.end), 3]
    inside = (motion[:, 0] > shot.start + STEP) & (motion[:, 0] < shot.end - STEP / 2) & (motion[:, 5] <= _MIXING)
    rows = motion[inside]
    return shot.model_copy(
        update={
            "camera": camera(rows),
            "motion": round(float(np.median(rows[:, 4])), 3) if len(rows) else 0.0,
            "brightness": round(float(light.mean()), 3) if len(light) else 0.5,
        }
    )


def camera(rows: Motion) -> Camera:
    """What the camera does over some rows of motion; `unknown` where they are too few or disagree."""
    sure = rows[~np.isnan(rows[:, 1:4]).any(axis=1)]
    if len(sure) < _FEWEST or len(sure) < len(rows) / 2:
        return "unknown"
    speeds = np.median(sure[:, 1:4], axis=0)
    which = int(np.abs(speeds).argmax())
    agreeing = float((np.sign(sure[:, 1 + which]) == np.sign(speeds[which])).mean())
    if abs(speeds[which]) >= _MOVES and agreeing >= _AGREE:
        # the content goes where the camera does not
        return _WAYS[which][int(speeds[which] < 0)]
    rough = np.quantile(np.abs(sure[:, 1:3]), 0.9)
    if rough < _MOVES / 2:
        return "still"
    back_and_forth = float((np.diff(np.sign(sure[:, 1:3]), axis=0) != 0).mean())
    return "shaky" if rough >= _MOVES and back_and_forth > _SHAKES else "unknown"
