"""How the picture moves between frames a quarter of a second apart: the camera's pan, tilt and zoom, and what moves
beside it; and whether one picture is turning into another, as in a fade or a dissolve.

Shifts are found by phase correlation (Kuglin and Hines 1975) on small luma pictures.
"""

from collections import deque
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from tools.media.looks import HEIGHT, PLANAR, WIDTH, pointed, samples

if TYPE_CHECKING:
    from av import VideoFrame
    from av.video.reformatter import VideoReformatter

STEP = 0.25
"""Seconds between the frames that are compared."""
_FURTHEST = 0.6
"""Seconds beyond which two frames have no motion in common."""
_OVER = 4
"""Points per side that are averaged to one pixel: single points of a fine texture are noise."""
_SURE = 0.08
"""Height of the correlation's peak from which a shift is believed."""
_BLOCK, _EVEN = 6, 0.3
"""Pixels per side of a block, and how far from halfway, as a share of all change, a mixture may be."""
_SAME = 0.75
"""Correlation from which two pictures are one that moved or got another light."""
_QUIET = 1.5
"""Grey levels of mean difference below which nothing has moved."""

Motion = NDArray[np.float32]
"""Shape `[n, 7]`: time; shift of the content right, down (fractions of width and height) and its growth (fraction of
its size), each a second and NaN where nothing sure can be said; how much moves besides, 0..1; how much of the picture
turned evenly into another that is unlike it, 0..1, and how alike the two are (correlation, -1..1)."""

_Grey = NDArray[np.float32]
_Spectrum = NDArray[np.complexfloating]

_ROWS, _COLUMNS = HEIGHT // 2, WIDTH // 2
"""Of a quarter of the picture."""
_WINDOW = np.outer(np.hanning(HEIGHT), np.hanning(WIDTH)).astype(np.float32)
_QUARTER = np.outer(np.hanning(_ROWS), np.hanning(_COLUMNS)).astype(np.float32)


class _Seen:
    """A frame; what it is compared by is made once, and only when it is needed."""

    def __init__(self, time: float, grey: _Grey) -> None:
        self.time, self.grey = time, grey

    @cached_property
    def blocks(self) -> _Grey:
        mean: _Grey = self.grey.reshape(HEIGHT // _BLOCK, _BLOCK, WIDTH // _BLOCK, _BLOCK).mean(axis=(1, 3))
        return mean

    @cached_property
    def spectrum(self) -> _Spectrum:
        return _spectrum(self.grey * _WINDOW)

    @cached_property
    def quarters(self) -> _Spectrum:
        """Top left, top right, bottom left and bottom right."""
        parts = self.grey.reshape(2, _ROWS, 2, _COLUMNS).swapaxes(1, 2).reshape(4, _ROWS, _COLUMNS)
        return _spectrum(parts * _QUARTER)

    def shift_to(self, after: "_Seen") -> tuple[float, float, float]:
        """How far the content went right and down until then, in pixels, and how sure that is (0..1)."""
        (found,) = _shifts(self.spectrum[None], after.spectrum[None], WIDTH)
        return found


class Mover:
    """Takes the frames of one medium in order and measures some of them."""

    def __init__(self) -> None:
        self._kept: deque[_Seen] = deque(maxlen=5)
        self._rows: list[tuple[float, ...]] = []

    def see(self, time: float, frame: "VideoFrame", scaler: "VideoReformatter") -> None:
        if self._kept and time - self._kept[-1].time < STEP * 0.9:
            return
        seen = _Seen(time, small(frame, scaler))
        if self._kept and time - self._kept[-1].time > _FURTHEST:
            self._kept.clear()
        before = self._kept[-1] if self._kept else None
        self._kept.append(seen)
        if before is not None:
            self._rows.append((time, *_moved(before, seen), *self._mixing()))

    def taken(self) -> Motion:
        """The rows since the last call."""
        rows, self._rows = self._rows, []
        return np.array(rows, np.float32).reshape(-1, 7)

    def _mixing(self) -> tuple[float, float]:
        """An even mixture of before and after lies halfway between them: a cut, a pan or an object does not.

        It is judged on the means of blocks, which the motion of both pictures beside their mixing hardly touches.
        """
        best = (0.0, 1.0)
        for span in (2, 4):
            if len(self._kept) <= span:
                continue
            first, middle, last = (self._kept[at] for at in (-1 - span, -1 - span // 2, -1))
            apart = float(np.abs(first.blocks - last.blocks).mean())
            halfway = float(np.abs(middle.blocks - (first.blocks + last.blocks) / 2).mean())
            if apart <= _QUIET or halfway >= _EVEN * apart or apart / 255 <= best[0]:
                continue
            alike = max(_alike(first.blocks, last.blocks), _alike_moved(first, last))
            if alike < _SAME:
                best = (apart / 255, alike)
        return best


def _moved(before: _Seen, after: _Seen) -> tuple[float, float, float, float]:
    seconds, change = after.time - before.time, float(np.abs(after.grey - before.grey).mean())
    if change < _QUIET:
        return 0.0, 0.0, 0.0, 0.0
    right, down, sure = before.shift_to(after)
    if sure < _SURE:
        return np.nan, np.nan, np.nan, min(1.0, change / 32)
    left = _residual(before.grey, after.grey, round(right), round(down))
    return right / WIDTH / seconds, down / HEIGHT / seconds, _growth(before, after) / seconds, min(1.0, left / 32)


def _growth(before: _Seen, after: _Seen) -> float:
    """How much further apart the four quarters have moved, as a fraction of their distance."""
    found = _shifts(before.quarters, after.quarters, _COLUMNS)
    if min(sure for _, _, sure in found) < _SURE:
        return float("nan")
    across = [(found[0][0] + found[2][0]) / 2, (found[1][0] + found[3][0]) / 2]
    upright = [(found[0][1] + found[1][1]) / 2, (found[2][1] + found[3][1]) / 2]
    return ((across[1] - across[0]) / _COLUMNS + (upright[1] - upright[0]) / _ROWS) / 2


def _alike_moved(before: _Seen, after: _Seen) -> float:
    """How alike two pictures are where they show the same, once the camera's shift is taken out."""
    right, down, sure = before.shift_to(after)
    if sure < _SURE or abs(right) > WIDTH / 2 or abs(down) > HEIGHT / 2:
        return -1.0
    return _alike(*_overlap(before.grey, after.grey, round(right), round(down)))


def small(frame: "VideoFrame", scaler: "VideoReformatter") -> _Grey:
    """Luma as `[54, 96]`, averaged over four points each way."""
    if frame.format.name in PLANAR:
        points = pointed(samples(frame.planes[0]), HEIGHT * _OVER, WIDTH * _OVER)
    else:
        grey = scaler.reformat(frame, WIDTH * _OVER, HEIGHT * _OVER, "gray", interpolation="POINT")
        points = samples(grey.planes[0])
    # a sum over whole lines, and then of every fourth column with its neighbours, is five times faster than a mean
    lines = points.reshape(HEIGHT, _OVER, WIDTH * _OVER).sum(axis=1, dtype=np.uint16)
    mean: _Grey = sum(lines[:, first::_OVER] for first in range(_OVER)) / np.float32(_OVER**2)
    return mean


def _spectrum(pictures: _Grey) -> _Spectrum:
    """Of one picture or several, `[..., height, width]`, without their means."""
    found: _Spectrum = np.fft.rfft2(pictures - pictures.mean(axis=(-2, -1), keepdims=True))
    return found


def _shifts(before: _Spectrum, after: _Spectrum, width: int) -> list[tuple[float, float, float]]:
    """How far the content of each went right and down, in pixels, and the height of the correlation's peak (0..1)."""
    cross = after * np.conj(before)
    planes = np.fft.irfft2(cross / np.maximum(np.abs(cross), 1e-6), s=(before.shape[1], width))
    return [_peak(plane) for plane in planes]


def _peak(plane: _Grey) -> tuple[float, float, float]:
    row, column = divmod(int(plane.argmax()), plane.shape[1])
    height, width = plane.shape
    down = row + _vertex(plane[(row - 1) % height, column], plane[row, column], plane[(row + 1) % height, column])
    right = column + _vertex(plane[row, (column - 1) % width], plane[row, column], plane[row, (column + 1) % width])
    down = down - height if down > height / 2 else down
    right = right - width if right > width / 2 else right
    return right, down, float(plane[row, column])


def _vertex(left: float, top: float, right: float) -> float:
    """Where between pixels the peak stands, by a parabola through three of them."""
    bend = left - 2 * top + right
    return 0.0 if bend >= 0 else float(np.clip((left - right) / (2 * bend), -0.5, 0.5))


def _residual(before: _Grey, after: _Grey, right: int, down: int) -> float:
    """Mean difference of what both frames show, once the camera's own shift is taken out."""
    height, width = before.shape
    if abs(right) >= width // 2 or abs(down) >= height // 2:
        return float(np.abs(after - before).mean())
    old, new = _overlap(before, after, right, down)
    return float(np.abs(new - old).mean())


def _overlap(before: _Grey, after: _Grey, right: int, down: int) -> tuple[_Grey, _Grey]:
    """What both frames show, when the content went so many pixels right and down."""
    height, width = before.shape
    old = before[max(0, -down) : height - max(0, down), max(0, -right) : width - max(0, right)]
    new = after[max(0, down) : height - max(0, -down), max(0, right) : width - max(0, -right)]
    return old, new


def _alike(one: _Grey, other: _Grey) -> float:
    one, other = one - one.mean(), other - other.mean()
    size = float(np.sqrt((one**2).sum() * (other**2).sum()))
    return float((one * other).sum()) / size if size > 1.0 else 0.0
