"""Where one shot ends and the next begins, from how much each decoded frame differs from the one before."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from tools.media.frames import Changes

_LEAST = 0.12
CUT = 0.27
"""How much two frames differ that have nothing but chance in common."""
_TIMES = 3.0
_AROUND = 8
_SHORTEST = 0.5


class Shot(BaseModel):
    """Seconds of the medium; the end is exclusive."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    start: float
    end: float


def strength(changes: Changes) -> NDArray[np.float32]:
    """How strong each change is, 0..1: mostly by colours, which motion leaves alone."""
    score: NDArray[np.float32] = 0.65 * changes[:, 1] + 0.35 * changes[:, 2]
    return score


def find_cuts(changes: Changes, *, exact: bool = True) -> list[float]:
    """Times of the first frames of new shots.

    A cut stands out from the frames around it, so the threshold follows them: hand-held camera and fast motion raise
    it, a still interview lowers it. Between keyframes alone (`exact` false) there is no such neighbourhood and only
    strong differences count.
    """
    if len(changes) < 2:
        return []
    times = changes[:, 0]
    score = strength(changes)
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
        if peak and score[at] >= max(_LEAST, usual * _TIMES) and not _flash(score, int(at)):
            cuts.append(float(times[at]))
    return _apart(cuts)


def _flash(score: NDArray[np.float32], at: int) -> bool:
    """A flash or a dropped-in black frame changes everything and then changes it back."""
    near = np.concatenate([score[max(0, at - 3) : at], score[at + 1 : at + 4]])
    return bool(len(near) and near.max() >= score[at] * 0.6)


def _apart(cuts: Sequence[float]) -> list[float]:
    kept = list[float]()
    for cut in cuts:
        if cut >= _SHORTEST and (not kept or cut - kept[-1] >= _SHORTEST):
            kept.append(cut)
    return kept


def shots(cuts: Sequence[float], duration: float) -> list[Shot]:
    """The stretches between cuts, covering the whole medium."""
    edges = [0.0, *(cut for cut in cuts if cut < duration), max(duration, cuts[-1] if cuts else 0.0)]
    return [Shot(start=start, end=end) for start, end in pairwise(edges) if end > start]
