"""How alike two frames look, on thumbnails: cheap enough for every decoded frame."""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from av import VideoFrame
    from av.video.plane import VideoPlane
    from av.video.reformatter import VideoReformatter

WIDTH, HEIGHT = 96, 54
PLANAR = {"yuv420p", "yuvj420p", "yuv422p", "yuvj422p", "yuv444p", "yuvj444p"}
_HAMMING = 6
_BLOCK = 14.0

CUT = 0.27
"""How much two frames differ that have nothing but chance in common."""

Thumb = NDArray[np.uint8]


def strength(colours: float, structure: float) -> float:
    """How strong a change is, 0..1: mostly by colours, which motion leaves alone."""
    return 0.65 * colours + 0.35 * structure


def strengths(changes: NDArray[np.float32]) -> NDArray[np.float32]:
    """The strength of each of `Changes`."""
    score: NDArray[np.float32] = 0.65 * changes[:, 1] + 0.35 * changes[:, 2]
    return score


def thumbnail(frame: "VideoFrame", scaler: "VideoReformatter", *, exact: bool) -> Thumb:
    """Planes Y, U, V as `[3, 54, 96]`. A thumbnail that is not exact samples single points and costs almost nothing."""
    if not exact and frame.format.name in PLANAR:
        return np.stack([pointed(samples(plane), HEIGHT, WIDTH) for plane in frame.planes])
    small = scaler.reformat(frame, WIDTH, HEIGHT, "yuv444p", interpolation="AREA" if exact else "POINT")
    return np.stack([samples(plane)[:, :WIDTH] for plane in small.planes])


def samples(plane: "VideoPlane") -> Thumb:
    """One plane as `[height, width]`, without copying."""
    rows: Thumb = np.frombuffer(memoryview(plane), np.uint8)[: plane.height * plane.line_size]
    return rows.reshape(plane.height, plane.line_size)[:, : plane.width]


def pointed(plane: Thumb, height: int, width: int) -> Thumb:
    """A plane by single points, evenly spread, as `[height, width]`."""
    rows = (np.arange(height) * 2 + 1) * plane.shape[0] // (2 * height)
    columns = (np.arange(width) * 2 + 1) * plane.shape[1] // (2 * width)
    # lines first: one by one, points cost three times as much
    found: Thumb = plane[rows].take(columns, axis=1)
    return found


def histogram(thumb: Thumb) -> NDArray[np.float32]:
    """Luma in 32 bins and chroma in 8 x 8, each part summing to 1."""
    luma = np.bincount(thumb[0].ravel() >> 3, minlength=32)
    chroma = np.bincount(((thumb[1] >> 5).astype(np.intp) * 8 + (thumb[2] >> 5)).ravel(), minlength=64)
    return np.concatenate([luma, chroma]).astype(np.float32) / np.float32(WIDTH * HEIGHT)


def edges(luma: NDArray[np.int16]) -> NDArray[np.bool_]:
    strength = np.zeros_like(luma)
    strength[:, 1:] = np.abs(luma[:, 1:] - luma[:, :-1])
    strength[1:] += np.abs(luma[1:] - luma[:-1])
    strong: NDArray[np.bool_] = strength > 24
    return strong


class Change:
    """The difference of each frame from the one before it."""

    def __init__(self) -> None:
        self._colours: NDArray[np.float32] | None = None
        self._luma: NDArray[np.int16] | None = None
        self._edges: NDArray[np.bool_] | None = None

    def of(self, thumb: Thumb) -> tuple[float, float]:
        """Change of colours and of structure, both 0..1; zero for the first frame."""
        colours, luma = histogram(thumb), thumb[0].astype(np.int16)
        lines = edges(luma)
        answer = (0.0, 0.0)
        if self._colours is not None and self._luma is not None and self._edges is not None:
            colour = float(np.abs(colours - self._colours).sum()) / 4
            moved = float(np.abs(luma - self._luma).mean()) / 255
            either = int((lines | self._edges).sum())
            edge = int((lines ^ self._edges).sum()) / either if either > WIDTH else 0.0
            # edges of noise and grain flicker, so they only count where brightness moved as well
            answer = (colour, min(1.0, moved * 4) * (0.5 + edge / 2))
        self._colours, self._luma, self._edges = colours, luma, lines
        return answer


class Look:
    """A perceptual hash (dHash 8 x 8) and a coarse luma grid; the grid sees one new line of text, the hash does not."""

    def __init__(self, thumb: Thumb) -> None:
        luma = thumb[0].astype(np.float32)
        rows = luma[: HEIGHT // 8 * 8].reshape(8, -1, WIDTH).mean(axis=1)
        columns = np.stack([part.mean(axis=1) for part in np.array_split(rows, 9, axis=1)], axis=1)
        self._hash = columns[:, 1:] > columns[:, :-1] + 1.0
        self._grid = luma.reshape(HEIGHT // 2, 2, WIDTH // 2, 2).mean(axis=(1, 3))

    def same(self, other: "Look") -> bool:
        hamming = int((self._hash != other._hash).sum())
        return hamming <= _HAMMING and float(np.abs(self._grid - other._grid).max()) < _BLOCK
