"""Gathering requests that arrive together into one call of an engine that gains from lists."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

T = TypeVar("T")
R = TypeVar("R")


class Coalescer(Generic[T, R]):
    """Calls `run` with the items of all requests made within `window` seconds, at most `most` at a time.

    `run` answers each item in order. An error of `run` reaches every request whose items were in that call. A single
    request is not held up when nobody is working: the window only opens while a call is under way. Where a call is so
    dear that the first should wait for company, `hold` is how many seconds.
    """

    def __init__(
        self,
        run: Callable[[list[T]], Awaitable[Sequence[R]]],
        *,
        window: float = 0.005,
        hold: float = 0.0,
        most: int = 32,
    ) -> None:
        self._run = run
        self._window = window
        self._hold = hold
        self._most = most
        self._waiting: list[tuple[T, asyncio.Future[R]]] = []
        self._working: asyncio.Task[None] | None = None

    async def __call__(self, items: Sequence[T]) -> list[R]:
        """The answers to these items, in order; giving up on them takes those not yet begun out of the queue."""
        loop = asyncio.get_running_loop()
        mine: list[tuple[T, asyncio.Future[R]]] = [(item, loop.create_future()) for item in items]
        self._waiting += mine
        if self._working is None:
            self._working = asyncio.create_task(self._work())
        try:
            return list(await asyncio.gather(*(answer for _, answer in mine)))
        finally:
            self._waiting = [each for each in self._waiting if not each[1].cancelled()]

    async def _work(self) -> None:
        try:
            if self._hold and len(self._waiting) < self._most:
                await asyncio.sleep(self._hold)
            while self._waiting:
                batch, self._waiting = self._waiting[: self._most], self._waiting[self._most :]
                await self._answer([each for each in batch if not each[1].done()])
                if self._waiting and len(self._waiting) < self._most:
                    await asyncio.sleep(self._window)
        finally:
            self._working = None

    async def _answer(self, batch: list[tuple[T, asyncio.Future[R]]]) -> None:
        if not batch:
            return
        try:
            answers = await self._run([item for item, _ in batch])
            for (_, future), answer in zip(batch, answers, strict=True):
                if not future.done():
                    future.set_result(answer)
        except BaseException as error:
            for _, future in batch:
                if not future.done():
                    future.set_exception(error)
            if not isinstance(error, Exception):
                raise
