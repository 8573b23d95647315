"""The one contract of both engines: time-indexed collections of segments, by tenant."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray
from pydantic import AwareDatetime, BaseModel, ConfigDict

from knowledge.segment import Modality, Segment
from tools.capability import Part

Vector = NDArray[np.float32]
"""L2-normalised, shape `[dimensions]`."""


class Where(BaseModel):
    """Conditions that all must hold. An empty list means no condition, not an empty result.

    `start`..`end` (seconds of the medium) and `recorded_from`..`recorded_to` match every segment that overlaps the
    window; the end is exclusive.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    knowledge_bases: list[str] = []
    sources: list[str] = []
    modalities: list[Modality] = []
    languages: list[str] = []
    pages: list[int] = []
    ids: list[str] = []
    start: float | None = None
    end: float | None = None
    recorded_from: AwareDatetime | None = None
    recorded_to: AwareDatetime | None = None


@dataclass(frozen=True)
class Indexed:
    """A segment with the vector of its text; its sparse BM25 vector is made by the store.

    `windows`, of shape `[windows, dimensions]`, are the vectors of a long text's pieces: a question asks for one
    sentence of a page, which the vector of the whole page blurs.
    """

    segment: Segment
    vector: Vector
    windows: NDArray[np.float32] | None = None


@dataclass(frozen=True)
class Query:
    """What to look for.

    A vector alone ranks by cosine, words alone by BM25. Both together are fused by score (`knowledge.fusion`), the
    vector compared with the segment's windows too.
    """

    where: Where = field(default_factory=Where)
    vector: Vector | None = None
    words: str | None = None
    limit: int = 10


class Hit(BaseModel):
    """A segment that was found. `score` is comparable within one query only."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    segment: Segment
    score: float


class SegmentStore(Protocol):
    """Segments of all tenants. Each method takes the tenant first and adds its condition itself.

    Raises `EngineFailed` when the engine is gone, `InvalidInput` for an empty tenant or a wrong vector length.
    """

    async def upsert(self, tenant: str, segments: Sequence[Indexed]) -> None:
        """Write segments; returns once they survive a crash. The same id replaces what was there."""
        ...

    async def search(self, tenant: str, query: Query) -> list[Hit]:
        """The best matches, best first."""
        ...

    async def scroll(
        self, tenant: str, where: Where, *, order: Literal["start", "page"] = "start", limit: int = 1_000
    ) -> list[Segment]:
        """Segments in order of time or page, earliest first."""
        ...

    async def get(self, tenant: str, ids: Sequence[str]) -> list[Segment]: ...

    async def count(self, tenant: str, where: Where) -> int: ...

    async def facet(
        self, tenant: str, field: Literal["source", "modality", "knowledge_base"], where: Where
    ) -> dict[str, int]:
        """How many segments there are by value of a field."""
        ...

    async def delete(self, tenant: str, where: Where) -> None:
        """Forget every segment that matches; raises `InvalidInput` for a `where` without any condition."""
        ...

    async def close(self) -> None: ...


STORE: Part[SegmentStore] = Part("segment store")
