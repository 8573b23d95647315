"""Seeing: text on an image, things in it, and questions about images and clips."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from tools.capability import Capability

Image = NDArray[np.uint8]
"""RGB, shape `[height, width, 3]`."""

Box = tuple[float, float, float, float]
"""Left, top, right, bottom as fractions of width and height, 0..1."""


@dataclass(frozen=True)
class TextLine:
    text: str
    box: Box
    confidence: float


@dataclass(frozen=True)
class Detection:
    label: str
    box: Box
    confidence: float


class TextReading(Protocol):
    def read(self, images: list[Image], language: str | None = None) -> list[list[TextLine]]:
        """The lines of text on each image, top to bottom; `language` (ISO 639-1) helps where it is known."""
        ...


class ObjectDetection(Protocol):
    def detect(self, images: list[Image], threshold: float) -> list[list[Detection]]:
        """The things on each image with at least this confidence (0..1), surest first."""
        ...


@dataclass(frozen=True)
class Question:
    """Something asked or wanted about images; where they are frames of one clip, `times` are their seconds, rising."""

    text: str
    images: list[Image]
    times: list[float] | None = None
    most_tokens: int = 256


class VisionLanguage(Protocol):
    def answer(self, questions: list[Question]) -> Iterator[list[str]]:
        """Answers to all questions together: each item holds the new piece of each answer, empty where there is none.

        Raises `InvalidInput` for a question that the model cannot take, such as two images where it sees one.
        """
        ...


TEXT_READING: Capability[TextReading] = Capability("text-reading", TextReading)
OBJECT_DETECTION: Capability[ObjectDetection] = Capability("object-detection", ObjectDetection)
VISION_LANGUAGE: Capability[VisionLanguage] = Capability("vision-language", VisionLanguage)
