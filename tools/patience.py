"""Work that nobody waits for steps aside while somebody waits for an answer: two models that compute on one CPU at once
take several times as long as one after the other."""

import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Any, Concatenate, ParamSpec, TypeVar

from tools.admission import CHAT
from tools.capability import Endpoint, Lease
from tools.catalog import Row
from tools.events import Emit, ignore

P = ParamSpec("P")
R = TypeVar("R")

_MOST = 10.0
"""Seconds that one call waits, and then as many in which none does: under lasting chat half of the work goes on."""

Use = Callable[[str, Emit], AbstractAsyncContextManager[Lease[Any]]]
Quiet = Callable[[float], Awaitable[bool]]
"""Waits until no chat model on the CPU is in use; False after so many seconds in which one always was."""


class Patient:
    """Models whose engines on the CPU are called while no chat model there is in use."""

    def __init__(self, use: Use, quiet: Quiet) -> None:
        self._use = use
        self._quiet = quiet
        self._until = 0.0

    @asynccontextmanager
    async def use(self, model: str, emit: Emit = ignore) -> AsyncIterator[Lease[Any]]:
        async with self._use(model, emit) as lease:
            waits = lease.row.device == "cpu" and lease.row.capability != CHAT
            yield _PatientLease(lease, self._turn) if waits else lease

    def patient(self) -> "Patient":
        return self

    async def _turn(self) -> None:
        if time.monotonic() >= self._until and not await self._quiet(_MOST):
            self._until = time.monotonic() + _MOST


@dataclass(frozen=True)
class _PatientLease:
    lease: Lease[Any]
    turn: Callable[[], Awaitable[None]]

    @property
    def row(self) -> Row:
        return self.lease.row

    @property
    def endpoint(self) -> Endpoint:
        return self.lease.endpoint

    async def call(self, method: Callable[Concatenate[Any, P], R], *args: P.args, **kwargs: P.kwargs) -> R:
        await self.turn()
        return await self.lease.call(method, *args, **kwargs)

    async def stream(
        self, method: Callable[Concatenate[Any, P], Any], *args: P.args, **kwargs: P.kwargs
    ) -> AsyncIterator[Any]:
        await self.turn()
        async for each in self.lease.stream(method, *args, **kwargs):
            yield each
            await self.turn()
