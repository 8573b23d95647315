"""The embedded segment store: Qdrant Edge in a child process, optimised aside by another.

Both are started again when they die; everything sent to them may be sent twice without harm.
"""

import asyncio
import logging
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Concatenate, Literal, ParamSpec, TypeVar

import numpy as np
from numpy.typing import NDArray

from knowledge.embedded_child import EmbeddedEngine
from knowledge.optimiser import Optimiser
from knowledge.schema import owner
from knowledge.segment import Segment
from knowledge.store import Hit, Indexed, Query, Where
from tools.errors import EngineFailed, InvalidInput, SutradharError
from tools.isolation.process import ChildEngine, spawn, start

P = ParamSpec("P")
R = TypeVar("R")

_CHUNK = 64
_CALL_SECONDS = 120.0
_CLOSE_SECONDS = 20.0
_RETRY_SECONDS = 5.0

log = logging.getLogger(__name__)


class EmbeddedStore:
    """A `SegmentStore` in one folder; made by `open_embedded`."""

    def __init__(self, folder: Path, dimensions: int, seal_points: int) -> None:
        self._folder = folder
        self._dimensions = dimensions
        self._seal_points = seal_points
        self._child: ChildEngine | None = None
        self._starting = asyncio.Lock()
        self._writing = asyncio.Lock()
        self._work = asyncio.Event()
        self._optimising: asyncio.Task[None] | None = None
        self._closed = False

    async def open(self) -> None:
        """Start the engine and go on with what an earlier process left to optimise."""
        await self._engine()
        self._work.set()
        self._optimising = asyncio.create_task(self._optimise_sealed())

    @property
    def pid(self) -> int | None:
        """The engine's process, for those who want to see what happens when it dies."""
        return self._child.pid if self._child else None

    async def upsert(self, tenant: str, segments: Sequence[Indexed]) -> None:
        owner(tenant)
        async with self._writing:
            # in small steps: a query waits for one of them at most
            for first in range(0, len(segments), _CHUNK):
                chunk = segments[first : first + _CHUNK]
                texts = [each.segment.model_dump_json(exclude_none=True) for each in chunk]
                vectors, windows = _vectors(chunk)
                if await self._call(EmbeddedEngine.upsert, tenant, texts, vectors, windows):
                    self._work.set()

    async def search(self, tenant: str, query: Query) -> list[Hit]:
        if query.vector is None and query.words is None:
            raise InvalidInput("The query has neither a vector nor words.", remedy="Give one, or use `scroll`.")
        found = await self._call(
            EmbeddedEngine.search, owner(tenant), query.where, query.vector, query.words, query.limit
        )
        return [Hit(segment=Segment.model_validate_json(text), score=score) for text, score in found]

    async def scroll(
        self, tenant: str, where: Where, *, order: Literal["start", "page"] = "start", limit: int = 1_000
    ) -> list[Segment]:
        texts = await self._call(EmbeddedEngine.scroll, owner(tenant), where, order, limit)
        return [Segment.model_validate_json(text) for text in texts]

    async def get(self, tenant: str, ids: Sequence[str]) -> list[Segment]:
        texts = await self._call(EmbeddedEngine.get, owner(tenant), list(ids))
        return [Segment.model_validate_json(text) for text in texts]

    async def count(self, tenant: str, where: Where) -> int:
        return await self._call(EmbeddedEngine.count, owner(tenant), where)

    async def facet(
        self, tenant: str, field: Literal["source", "modality", "knowledge_base"], where: Where
    ) -> dict[str, int]:
        return await self._call(EmbeddedEngine.facet, owner(tenant), field, where)

    async def delete(self, tenant: str, where: Where) -> None:
        owner(tenant)
        if where == Where():
            raise InvalidInput("Deleting needs at least one condition.", remedy="Name a source or a knowledge base.")
        async with self._writing:
            await self._call(EmbeddedEngine.delete, tenant, where)

    async def optimised(self) -> None:
        """Return once no sealed part waits for the optimiser."""
        while await self._call(EmbeddedEngine.waiting):
            self._work.set()
            await asyncio.sleep(0.1)

    async def close(self) -> None:
        self._closed = True
        if self._optimising is not None:
            self._optimising.cancel()
            await asyncio.wait([self._optimising])
        if self._child is not None and self._child.alive:
            try:
                async with asyncio.timeout(_CLOSE_SECONDS):
                    await self._child.call(EmbeddedEngine.close)
            except (TimeoutError, SutradharError) as error:
                log.warning("the store was not closed in order and will replay its log: %s", error)
        if self._child is not None:
            await self._child.close()

    async def _engine(self) -> ChildEngine:
        async with self._starting:
            if self._closed:
                raise EngineFailed("The segment store is closed.")
            if self._child is None or not self._child.alive:
                first = self._child is None
                if self._child is not None:
                    await self._child.close()
                self._child = await start(
                    "knowledge.embedded_child:EmbeddedEngine",
                    options={
                        "folder": str(self._folder),
                        "dimensions": self._dimensions,
                        "seal_points": self._seal_points,
                        "clean": first,
                    },
                    load_seconds=_CALL_SECONDS,
                )
            return self._child

    async def _call(self, method: Callable[Concatenate[EmbeddedEngine, P], R], *args: P.args, **kwargs: P.kwargs) -> R:
        child = await self._engine()
        try:
            async with asyncio.timeout(_CALL_SECONDS):
                return await child.call(method, *args, **kwargs)
        except EngineFailed:
            if child.alive or self._closed:
                raise
        except TimeoutError as error:
            await child.close()
            raise EngineFailed(f"The store did not answer within {_CALL_SECONDS:g} s.") from error
        # it died under this call: once more, with a new one
        return await (await self._engine()).call(method, *args, **kwargs)

    async def _optimise_sealed(self) -> None:
        while True:
            await self._work.wait()
            self._work.clear()
            try:
                if folder := await self._call(EmbeddedEngine.spare):
                    await self._aside(Optimiser.spare, folder, self._dimensions)
                for name in await self._call(EmbeddedEngine.waiting):
                    await self._optimise(name)
            except SutradharError as error:
                # parts that are not optimised are served all the same, only slower
                log.warning("optimising is put off: %s", error)
                asyncio.get_running_loop().call_later(_RETRY_SECONDS, self._work.set)

    async def _optimise(self, name: str) -> None:
        source, target = str(self._folder / name), str(self._folder / f"{name}o")
        await self._call(EmbeddedEngine.freeze, name)
        try:
            await self._aside(Optimiser.optimise, source, target, self._dimensions)
            await self._call(EmbeddedEngine.swap, name)
        except SutradharError:
            await self._call(EmbeddedEngine.thaw, name)
            raise
        await asyncio.to_thread(shutil.rmtree, source, ignore_errors=True)

    async def _aside(self, method: Callable[Concatenate[Optimiser, P], R], *args: P.args, **kwargs: P.kwargs) -> R:
        async with spawn("knowledge.optimiser:Optimiser") as optimiser:
            return await optimiser.call(method, *args, **kwargs)


def _vectors(chunk: Sequence[Indexed]) -> tuple[NDArray[np.float32], list[int]]:
    """All vectors of a chunk in one array, those of the windows last, and how many windows each segment has."""
    pieces = [each.windows for each in chunk if each.windows is not None]
    try:
        vectors = np.concatenate([np.stack([each.vector for each in chunk]), *pieces])
    except ValueError as error:
        raise InvalidInput(f"The vectors of the segments have different dimensions: {error}.") from error
    return vectors.astype(np.float32, copy=False), [0 if each.windows is None else len(each.windows) for each in chunk]


async def open_embedded(folder: Path, dimensions: int, seal_points: int) -> EmbeddedStore:
    """The store in `folder`, made when it is not there. Raises `Conflict` when another process has it."""
    store = EmbeddedStore(folder, dimensions, seal_points)
    try:
        await store.open()
    except BaseException:
        await store.close()
        raise
    return store
