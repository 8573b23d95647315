"""What one look at a live picture came to."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from tools.looking import SeenFace, SeenObject, SeenText

Eye = Literal["objects", "faces", "text"]


class Observed(BaseModel):
    """`at` is the caller's time of the frame, in seconds.

    `brightness` is the mean luma, `motion` the share of the picture that changed since the frame before; None for the
    first. `looked` are the senses that looked at this very frame: what the others tell is from the last one that they
    looked at. `late` is for how many seconds the frame had waited when this was told. Reading is slow and holds up
    nothing: with `reading` this is what was read on a frame that has been told of, and perhaps others after it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    at: float
    objects: list[SeenObject] = []
    faces: list[SeenFace] = []
    lines: list[SeenText] = []
    brightness: Annotated[float, Field(ge=0, le=1)] = 0.0
    motion: Annotated[float, Field(ge=0, le=1)] | None = None
    scene_change: bool = False
    looked: list[Eye] = []
    late: float = 0.0
    reading: bool = False
