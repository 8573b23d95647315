"""What a video showed and said, in order of time: what descriptions, summaries and reports are written from.

Every clause that is written of a video traces to something in here. It is kept in the media store after each pass, so
that a first answer needs only the first pass.
"""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from knowledge.segment import Segment
from tools.served import MediaRef
from tools.vision import Box

Fraction = Annotated[float, Field(ge=0, le=1)]
Transition = Literal["start", "cut", "fade", "dissolve"]
Camera = Literal["still", "pan left", "pan right", "tilt up", "tilt down", "zoom in", "zoom out", "shaky", "unknown"]
Light = Literal["dark", "dim", "bright"]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ShotSeen(_Frozen):
    """One shot, seconds of the medium. `image` is its key frame.

    `transition` is how it begins, `motion` how much moves in it beside the camera, `brightness` the mean of its luma,
    `colours` names its main colours, the largest first. `repeats` is the number, from 0, of the earlier shot whose
    picture this one shows again.
    """

    start: float
    end: float
    image: MediaRef
    transition: Transition = "cut"
    camera: Camera = "unknown"
    motion: Fraction = 0.0
    brightness: Fraction = 0.5
    light: Light = "bright"
    colours: list[str] = []
    repeats: int | None = None


class Track(_Frozen):
    """One thing or face that stays in view from `start` to `end`; `box` and `image` are where it was seen best.

    `label` is the detector's word, `face` for a face. Nobody is identified. `looks` counts the pictures it was on.
    """

    label: str
    start: float
    end: float
    looks: Annotated[int, Field(ge=1)] = 1
    confidence: Fraction
    box: Box
    image: MediaRef


class Pass(_Frozen):
    """One pass over the medium: `step` is the seconds between pictures, `covered` the share of the medium it saw.

    `senses` names what looked or listened; `missing` says of others why they did not.
    """

    name: Literal["coarse", "speech", "full"]
    step: float | None = None
    covered: Fraction = 1.0
    seconds: float = 0.0
    senses: list[str] = []
    missing: dict[str, str] = {}


class Timeline(_Frozen):
    """All that is known of one medium. `segments` are what memory keeps of it, in order of time.

    `complete` is false while later passes are still to come or a budget ended them; `notes` say what was left out.
    `version` names the models and steps that made it.
    """

    source: str
    name: str
    duration: float
    width: int | None = None
    height: int | None = None
    shots: list[ShotSeen] = []
    tracks: list[Track] = []
    segments: list[Segment] = []
    passes: list[Pass] = []
    complete: bool = False
    notes: list[str] = []
    version: str = ""

    def during(self, start: float, end: float) -> list[Segment]:
        """The segments that overlap a stretch of time; those without times belong to every stretch."""
        return [
            each
            for each in self.segments
            if (each.start is None or each.start < end) and (each.end is None or each.end > start)
        ]
