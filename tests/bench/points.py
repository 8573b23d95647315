"""Segments with random vectors, for the benches of the store: videos of two hours."""

from collections.abc import Iterator
from hashlib import sha256

import numpy as np
from numpy.typing import NDArray

from knowledge.segment import Made, Segment, segment_id
from knowledge.store import Indexed

DIMENSIONS = 384
VIDEOS = 20
SECONDS = 7_200.0

_BATCH = 1_000
_WORDS = [
    "then",
    "the",
    "camera",
    "turns",
    "to",
    "a",
    "quiet",
    "street",
    "where",
    "two",
    "people",
    "speak",
    "about",
    "rain",
    "rivers",
    "trains",
    "and",
    "markets",
]


def vectors(count: int, seed: int) -> NDArray[np.float32]:
    """L2-normalised, shape `[count, DIMENSIONS]`."""
    made = np.random.default_rng(seed).standard_normal((count, DIMENSIONS)).astype(np.float32)
    return np.asarray(made / np.linalg.norm(made, axis=1, keepdims=True), dtype=np.float32)


def place(number: int, count: int) -> tuple[str, float, float]:
    """The video, start and end of one of `count` segments spread evenly over the videos."""
    step = SECONDS / (count / VIDEOS)
    start = (number // VIDEOS) * step
    return sha256(f"video {number % VIDEOS}".encode()).hexdigest(), start, start + step


def batches(made: NDArray[np.float32]) -> Iterator[list[Indexed]]:
    """The segments of these vectors, a thousand at a time."""
    for first in range(0, len(made), _BATCH):
        numbers = range(first, min(first + _BATCH, len(made)))
        yield [Indexed(_segment(number, len(made)), made[number]) for number in numbers]


def _segment(number: int, count: int) -> Segment:
    source, start, end = place(number, count)
    text = " ".join(_WORDS[(number + step * 7) % len(_WORDS)] for step in range(12)) + f" n{number}"
    return Segment(
        id=segment_id(source, "speech", str(number), text),
        knowledge_base="bench",
        source=source,
        modality="speech",
        text=text,
        start=start,
        end=end,
        made=Made(model="bench"),
    )
