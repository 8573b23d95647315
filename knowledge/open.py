"""Opening what is remembered: the segment store and the library, laid on the bench."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

from knowledge.library import LIBRARY, open_library
from knowledge.store import STORE, SegmentStore
from tools.bench import Bench
from tools.embedding import TEXT_EMBEDDING
from tools.errors import InvalidInput
from tools.settings import Settings


@asynccontextmanager
async def open_knowledge(bench: Bench) -> AsyncIterator[Bench]:
    """The same bench with `STORE` and `LIBRARY`. Raises `Conflict` when another process has this home open."""
    row = bench.choose(TEXT_EMBEDDING).row
    if row.dimensions is None:
        raise InvalidInput(
            f"The catalogue does not say how many dimensions {row.id!r} has.",
            remedy="Add `dimensions` to its row, or choose another embedding model.",
        )
    store = await _open_store(bench.settings, row.dimensions)
    try:
        async with open_library(bench.settings.home / "library.sqlite") as library:
            yield replace(bench, parts={**bench.parts, STORE.name: store, LIBRARY.name: library})
    finally:
        await store.close()


async def _open_store(settings: Settings, dimensions: int) -> SegmentStore:
    if settings.store.url:
        from knowledge.server import open_server

        return await open_server(settings.store.url, settings.store.key.get_secret_value(), dimensions)
    from knowledge.embedded import open_embedded

    return await open_embedded(settings.home / "segments", dimensions, settings.store.seal_points)
