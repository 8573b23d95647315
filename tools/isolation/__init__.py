"""Where an engine runs: in a thread, in a child process, or behind a server of its own."""

import asyncio
import os
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Protocol

from tools.capability import Endpoint
from tools.errors import InvalidInput


@dataclass(frozen=True)
class Limits:
    """What a child process may use: `memory` bytes of address space, seconds of processor time, the network or not;
    `nice` (0..19) is how far it stands back behind others that want the processor."""

    memory: int | None = None
    cpu_seconds: float | None = None
    network: bool = True
    nice: int = 0


class Running(Protocol):
    """A loaded engine, wherever it runs. Methods raise `EngineFailed` once it has died."""

    @property
    def alive(self) -> bool: ...

    @property
    def pid(self) -> int | None:
        """The process that holds its memory; None when that is our own."""
        ...

    @property
    def endpoint(self) -> Endpoint: ...

    def call(self, method: Callable[..., Any], *args: Any, **kwargs: Any) -> Awaitable[Any]: ...

    def stream(self, method: Callable[..., Any], *args: Any, **kwargs: Any) -> AsyncIterator[Any]: ...

    async def close(self) -> None:
        """End it; returns when its memory has been given back."""
        ...


class Tail:
    """The last lines that a process wrote."""

    def __init__(self, lines: int = 40) -> None:
        self._lines: deque[str] = deque(maxlen=lines)
        self._open = ""

    async def follow(self, stream: asyncio.StreamReader | None, hear: Callable[[str], None] | None = None) -> None:
        """Read until the stream ends, so that the writer never blocks on a full pipe; `hear` is told each line."""
        while stream is not None and (chunk := await stream.read(1 << 16)):
            *lines, self._open = (self._open + chunk.decode(errors="replace").replace("\r", "\n")).split("\n")
            self._open = self._open[-500:]
            for line in (line[:500] for line in lines if line.strip()):
                self._lines.append(line)
                if hear is not None:
                    hear(line)

    def __str__(self) -> str:
        return "\n".join([*self._lines, *([self._open] if self._open.strip() else [])])[-2000:]


def child_environment() -> dict[str, str]:
    """Our environment without our secrets, and with what numeric libraries need to share two cores politely."""
    secret = ("_KEY", "_TOKEN", "_SECRET", "_PASSWORD")
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("SUTRADHAR_") and not name.upper().endswith(secret)
    }
    # an OpenMP worker that spins while it waits makes every other model on the machine many times slower
    polite = {"OMP_WAIT_POLICY": "PASSIVE", "GOMP_SPINCOUNT": "0", "CUDA_DEVICE_ORDER": "PCI_BUS_ID"}
    return {**polite, **kept, "PYTHONUNBUFFERED": "1"}


def only_served(title: str, method: Callable[..., Any]) -> InvalidInput:
    """What a caller is told who treats a server like an object."""
    return InvalidInput(
        f"{title} is a server; {method.__name__!r} cannot be called.", remedy="Use the lease's `endpoint`."
    )


def not_served(title: str) -> InvalidInput:
    """What a caller is told who treats an object like a server."""
    return InvalidInput(f"{title} is not a server.", remedy="Call its methods instead.")
