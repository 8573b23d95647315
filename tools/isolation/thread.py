"""Engines in our own process: small and trusted, their blocking methods kept off the event loop."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar

from tools.capability import Endpoint
from tools.catalog import Row
from tools.errors import EngineFailed, NotInstalled, SutradharError
from tools.isolation import not_served
from tools.isolation.child import find

P = ParamSpec("P")
R = TypeVar("R")

_AHEAD = 8
_CLOSE_SECONDS = 30.0
_DONE = object()


class ThreadEngine:
    """An engine object and the threads that may call it: one, unless its row's option `threads` says that it shares."""

    def __init__(self, engine: Any, title: str, pool: ThreadPoolExecutor) -> None:
        self._engine = engine
        self._title = title
        self._pool = pool
        self._closed = False

    @property
    def alive(self) -> bool:
        return not self._closed

    @property
    def pid(self) -> int | None:
        return None

    @property
    def endpoint(self) -> Endpoint:
        raise not_served(self._title)

    async def _run(self, work: Callable[[], Any]) -> Any:
        if self._closed:
            raise EngineFailed(f"{self._title} has been unloaded.", remedy="Ask for it again.")
        return await asyncio.get_running_loop().run_in_executor(self._pool, _guarded, self._title, "failed", work)

    async def call(self, method: Callable[Concatenate[Any, P], R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Run one method in a thread; giving up on the call lets it finish unheard."""
        return await self._run(partial(getattr(self._engine, method.__name__), *args, **kwargs))  # type: ignore[no-any-return]

    async def stream(
        self, method: Callable[Concatenate[Any, P], Iterator[R]], *args: P.args, **kwargs: P.kwargs
    ) -> AsyncIterator[R]:
        """Iterate a generator method a few items ahead; no thread is held while the consumer is slow."""
        start = partial(getattr(self._engine, method.__name__), *args, **kwargs)
        items = iter(await self._run(start))
        ahead: asyncio.Queue[Any] = asyncio.Queue(_AHEAD)
        pump = asyncio.create_task(self._pump(items, ahead))
        try:
            while (item := await self._next(ahead, pump)) is not _DONE:
                yield item
        finally:
            pump.cancel()
            await asyncio.shield(self._stop(items, pump))

    async def _pump(self, items: Iterator[Any], ahead: asyncio.Queue[Any]) -> None:
        item = None
        while item is not _DONE:
            # shielded: the generator must not be closed while a thread is still inside it
            step = asyncio.ensure_future(self._run(partial(next, items, _DONE)))
            try:
                item = await asyncio.shield(step)
            except asyncio.CancelledError:
                await asyncio.wait([step])
                raise
            await ahead.put(item)

    async def _next(self, ahead: asyncio.Queue[Any], pump: asyncio.Task[None]) -> Any:
        getting = asyncio.ensure_future(ahead.get())
        try:
            await asyncio.wait([getting, pump], return_when=asyncio.FIRST_COMPLETED)
            if pump.done() and not getting.done() and ahead.empty():
                pump.result()
            return await getting
        finally:
            getting.cancel()

    async def _stop(self, items: Iterator[Any], pump: asyncio.Task[None]) -> None:
        await asyncio.wait([pump])
        if not pump.cancelled():
            pump.exception()
        if hasattr(items, "close") and not self._closed:
            await self._run(items.close)

    async def close(self) -> None:
        """Wait for running calls, then drop the engine."""
        self._closed = True
        with suppress(TimeoutError):
            await asyncio.wait_for(asyncio.to_thread(self._pool.shutdown, cancel_futures=True), _CLOSE_SECONDS)
        if hasattr(self._engine, "close"):
            await asyncio.to_thread(self._engine.close)
        self._engine = None


async def start(row: Row, files: Mapping[str, Path], device: str) -> ThreadEngine:
    """Build the row's engine in a thread; raises what its constructor raised, as one of our errors."""
    pool = ThreadPoolExecutor(int(row.options.get("threads", 1)), thread_name_prefix=row.id)
    try:
        engine = await asyncio.get_running_loop().run_in_executor(
            pool, _guarded, row.title, "could not be loaded", partial(_build, row, dict(files), device)
        )
    except BaseException:
        pool.shutdown(wait=False, cancel_futures=True)
        raise
    return ThreadEngine(engine, row.title, pool)


def _guarded(title: str, what: str, work: Callable[[], Any]) -> Any:
    """Whatever goes wrong inside an engine, as one of our errors."""
    try:
        return work()
    except SutradharError:
        raise
    except ImportError as error:
        raise NotInstalled(f"{title} {what}: {error}.", remedy="`sutradhar doctor` names what to install.") from error
    except Exception as error:  # the edge of somebody else's code
        raise EngineFailed(f"{title} {what}: {type(error).__name__}: {error}") from error


def _build(row: Row, files: dict[str, Path], device: str) -> Any:
    return find(row.engine)(row, files, device)
