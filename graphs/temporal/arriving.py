"""What is still being ingested when somebody asks about it: its first look is waited for, and the answer says so."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from knowledge.library import Source, SourceState
from knowledge.store import Where
from knowledge.tools import ListSourcesInput, list_sources
from tools.bench import Bench
from tools.catalog import Row
from tools.errors import SutradharError

_MOST = 20.0
"""Seconds that a first look is waited for."""
_EVERY = 0.3


async def arriving(bench: Bench, scope: Where) -> list[Source]:
    """The sources where the question may look that are queued or being ingested."""
    states: tuple[SourceState, ...] = ("running", "queued")
    listed = [await bench.call(list_sources, ListSourcesInput(state=state)) for state in states]
    bases, wanted = scope.knowledge_bases, scope.sources
    return [
        each
        for found in listed
        for each in found.sources
        if (not bases or each.knowledge_base in bases) and (not wanted or each.sha256 in wanted)
    ]


def unseen(sources: Sequence[Source]) -> list[Source]:
    """Those of which nothing is remembered yet."""
    return [each for each in sources if not sum(each.segments.values())]


async def first_look(bench: Bench, scope: Where) -> None:
    """Wait until something of one arriving source is remembered, or one has ended, but not for long: a folder of them
    takes hours."""
    deadline, before = time.monotonic() + _MOST, await _unseen(bench, scope)
    while before and before <= await _unseen(bench, scope) and time.monotonic() < deadline:  # noqa: ASYNC110 - written elsewhere
        await asyncio.sleep(_EVERY)


async def _unseen(bench: Bench, scope: Where) -> set[tuple[str, str]]:
    return {(each.knowledge_base, each.sha256) for each in unseen(await arriving(bench, scope))}


@asynccontextmanager
async def warming(bench: Bench, row: Row | None) -> AsyncIterator[None]:
    """The model that will write is loaded meanwhile; where it cannot be, its turn will tell."""
    loading = asyncio.create_task(_load(bench, row)) if row is not None else None
    try:
        yield
    finally:
        if loading is not None:
            loading.cancel()
            await asyncio.wait([loading])


async def _load(bench: Bench, row: Row) -> None:
    try:
        async with bench.models.use(row.id, bench.emit):
            pass
    except SutradharError:
        return
