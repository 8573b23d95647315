"""The segment: one thing that was said, shown, written or seen, and when."""

from datetime import UTC, datetime
from hashlib import blake2b
from typing import Annotated, Literal
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, model_validator

Modality = Literal[
    "speech", "caption", "screen_text", "object", "face", "scene", "sound", "page", "table", "image", "series", "event"
]


class Made(BaseModel):
    """Which model made a segment, and by which version of our own steps."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str
    version: str = "1"


class Segment(BaseModel):
    """The unit of memory.

    `start` and `end` are seconds of the medium; `page` counts from 1. `recorded_from` and `recorded_to` are wall-clock
    times where the medium tells them. `box` is left, top, right, bottom as fractions, 0..1. `image` refers to a frame
    or page in the media store.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: UUID
    knowledge_base: str
    source: str
    modality: Modality
    text: str
    start: Annotated[float, Field(ge=0)] | None = None
    end: Annotated[float, Field(ge=0)] | None = None
    page: Annotated[int, Field(ge=1)] | None = None
    heading: str | None = None
    recorded_from: AwareDatetime | None = None
    recorded_to: AwareDatetime | None = None
    language: str | None = None
    speaker: str | None = None
    box: tuple[float, float, float, float] | None = None
    confidence: Annotated[float, Field(ge=0, le=1)] | None = None
    image: str | None = None
    made: Made

    @model_validator(mode="after")
    def _times_are_in_order(self) -> "Segment":
        if self.start is not None and self.end is not None and self.end < self.start:
            raise ValueError(f"segment ends at {self.end} before it starts at {self.start}")
        return self


def segment_id(source: str, modality: Modality, where: str, text: str) -> UUID:
    """The same content at the same place has the same id, so that ingesting twice changes nothing.

    `source` is the content hash; `where` the place in it, such as `12.480-15.920` or `page 3/2`.
    """
    key = "\x1f".join((source, modality, where, text)).encode()
    return UUID(bytes=blake2b(key, digest_size=16).digest())


def moment(start: float) -> str:
    """Seconds as people write them: `7.4` is `00:07`, `3723` is `1:02:03`."""
    whole = int(start)
    hours, rest = divmod(whole, 3600)
    return f"{hours}:{rest // 60:02d}:{rest % 60:02d}" if hours else f"{rest // 60:02d}:{rest % 60:02d}"


def utc(value: datetime) -> datetime:
    """The same instant in UTC; a naive time is refused because nobody knows when it is."""
    if value.tzinfo is None:
        raise ValueError(f"{value.isoformat()} has no time zone; give one, such as {value.isoformat()}+05:30")
    return value.astimezone(UTC)
