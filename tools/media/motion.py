"""How the picture moves between frames a quarter of a second apart: the camera's pan, tilt and zoom, and what moves
beside it; and whether one picture is turning into another, as in a fade or a dissolve.

Shifts are found by phase correlation (Kuglin and Hines 1975) on small luma pictures.
"""

from collections import deque
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from tools.media.looks import HEIGHT, PLANAR, WIDTH, samples

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


class Mover:
    """Takes the frames of one medium in order and measures some of them."""

    def __init__(self) -> None:
        self._kept: deque[tuple[float, _Grey]] = deque(maxlen=5)
        self._rows: list[tuple[float, ...]] = []
        self._window = np.outer(np.hanning(HEIGHT), np.hanning(WIDTH)).astype(np.float32)
        self._quarter = np.outer(np.hanning(HEIGHT // 2), np.hanning(WIDTH // 2)).astype(np.float32)

    def see(self, time: float, frame: "VideoFrame", scaler: "VideoReformatter") -> None:
        if self._kept and time - self._kept[-1][0] < STEP * 0.9:
            return
        grey = small(frame, scaler)
        if self._kept and time - self._kept[-1][0] > _FURTHEST:
            self._kept.clear()
        if self._kept:
            before_time, before = self._kept[-1]
            seconds = time - before_time
            moved = self._moved(before, grey, seconds)
            self._kept.append((time, grey))
            self._rows.append((time, *moved, *self._mixing()))
        else:
            self._kept.append((time, grey))

    def taken(self) -> Motion:
        """The rows since the last call."""
        rows, self._rows = self._rows, []
        return np.array(rows, np.float32).reshape(-1, 7)

    def _moved(self, before: _Grey, after: _Grey, seconds: float) -> tuple[float, float, float, float]:
        if float(np.abs(after - before).mean()) < _QUIET:
            return 0.0, 0.0, 0.0, 0.0
        right, down, sure = shift(before * self._window, after * self._window)
        if sure < _SURE:
            return np.nan, np.nan, np.nan, min(1.0, float(np.abs(after - before).mean()) / 32)
        growth = self._growth(before, after)
        left = _residual(before, after, round(right), round(down))
        return right / WIDTH / seconds, down / HEIGHT / seconds, growth / seconds, min(1.0, left / 32)

    def _growth(self, before: _Grey, after: _Grey) -> float:
        """How much further apart the four quarters have moved, as a fraction of their distance."""
        half_y, half_x = HEIGHT // 2, WIDTH // 2
        across, upright = [0.0, 0.0], [0.0, 0.0]
        for row in (0, 1):
            for column in (0, 1):
                part = np.s_[row * half_y : (row + 1) * half_y, column * half_x : (column + 1) * half_x]
                right, down, sure = shift(before[part] * self._quarter, after[part] * self._quarter)
                if sure < _SURE:
                    return float("nan")
                across[column] += right / 2
                upright[row] += down / 2
        return ((across[1] - across[0]) / half_x + (upright[1] - upright[0]) / half_y) / 2

    def _mixing(self) -> tuple[float, float]:
        """An even mixture of before and after lies halfway between them: a cut, a pan or an object does not.

        It is judged on the means of blocks, which the motion of both pictures beside their mixing hardly touches.
        """
        best = (0.0, 1.0)
        for span in (2, 4):
            if len(self._kept) <= span:
                continue
            first, middle, last = (self._kept[at][1] for at in (-1 - span, -1 - span // 2, -1))
            before, between, after = _blocks(first), _blocks(middle), _blocks(last)
            apart = float(np.abs(before - after).mean())
            halfway = float(np.abs(between - (before + after) / 2).mean())
            if apart <= _QUIET or halfway >= _EVEN * apart or apart / 255 <= best[0]:
                continue
            alike = max(_alike(before, after), self._alike_moved(first, last))
            if alike < _SAME:
                best = (apart / 255, alike)
        return best

    def _alike_moved(self, before: _Grey, after: _Grey) -> float:
        """How alike two pictures are where they show the same, once the camera's shift is taken out."""
        right, down, sure = shift(before * self._window, after * self._window)
        if sure < _SURE or abs(right) > WIDTH / 2 or abs(down) > HEIGHT / 2:
            return -1.0
        return _alike(*_overlap(before, after, round(right), round(down)))


def small(frame: "VideoFrame", scaler: "VideoReformatter") -> _Grey:
    """Luma as `[54, 96]`, averaged over four points each way."""
    if frame.format.name in PLANAR:
        plane = samples(frame.planes[0])
        rows = (np.arange(HEIGHT * _OVER) * 2 + 1) * plane.shape[0] // (2 * HEIGHT * _OVER)
        columns = (np.arange(WIDTH * _OVER) * 2 + 1) * plane.shape[1] // (2 * WIDTH * _OVER)
        points = plane[rows[:, None], columns].astype(np.float32)
    else:
        grey = scaler.reformat(frame, WIDTH * _OVER, HEIGHT * _OVER, "gray", interpolation="POINT")
        points = samples(grey.planes[0]).astype(np.float32)
    mean: _Grey = points.reshape(HEIGHT, _OVER, WIDTH, _OVER).mean(axis=(1, 3))
    return mean


def shift(before: _Grey, after: _Grey) -> tuple[float, float, float]:
    """How far the content went right and down, in pixels, and the height of the correlation's peak (0..1)."""
    cross = np.fft.rfft2(after - after.mean()) * np.conj(np.fft.rfft2(before - before.mean()))
    plane = np.fft.irfft2(cross / np.maximum(np.abs(cross), 1e-6), s=before.shape)
    row, column = (int(each) for each in np.unravel_index(int(plane.argmax()), plane.shape))
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


def _blocks(grey: _Grey) -> _Grey:
    mean: _Grey = grey.reshape(HEIGHT // _BLOCK, _BLOCK, WIDTH // _BLOCK, _BLOCK).mean(axis=(1, 3))
    return mean


def _alike(one: _Grey, other: _Grey) -> float:
    one, other = one - one.mean(), other - other.mean()
    size = float(np.sqrt((one**2).sum() * (other**2).sum()))
    return float((one * other).sum()) / size if size > 1.0 else 0.0
