"""Faces: where they are and how they are shaped. Nobody is identified here."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from tools.capability import Capability
from tools.vision import Box, Image


@dataclass(frozen=True)
class Face:
    """`landmarks` has shape `[468, 3]`: x and y as fractions of width and height, z in fractions of width."""

    box: Box
    confidence: float
    landmarks: NDArray[np.float32] | None = None


class FaceLandmarks(Protocol):
    def find(self, images: list[Image], landmarks: bool) -> list[list[Face]]:
        """The faces on each image, largest first; `landmarks` says whether to fit the mesh too."""
        ...


FACE_LANDMARKS: Capability[FaceLandmarks] = Capability("face-landmarks", FaceLandmarks)
