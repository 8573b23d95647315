"""Seeing nothing, at once: for tests, load tests and rehearsals."""

from collections.abc import Mapping
from pathlib import Path

from tools.catalog import Row
from tools.faces import Face
from tools.vision import Detection, Image, TextLine


class Blind:
    """No text, no things, no faces."""

    def __init__(self, row: Row, files: Mapping[str, Path], device: str) -> None:
        pass

    def read(self, images: list[Image], language: str | None = None) -> list[list[TextLine]]:
        return [[] for _ in images]

    def detect(self, images: list[Image], threshold: float) -> list[list[Detection]]:
        return [[] for _ in images]

    def find(self, images: list[Image], landmarks: bool) -> list[list[Face]]:
        return [[] for _ in images]
