"""Engines behind an OpenAI-compatible server of their own, on a loopback port with a key that only we know."""

import asyncio
import contextlib
import os
import secrets
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

import aiohttp

from tools.capability import Endpoint
from tools.catalog import Row
from tools.errors import EngineFailed, NotInstalled
from tools.isolation import Tail, child_environment, guard, only_served
from tools.isolation.child import find

_STOP_SECONDS = 10.0


class Serving(Protocol):
    """What the engine class of a `server` row tells us; it is never instantiated.

    `health` is the path that answers 200 once the model is loaded.
    """

    health: str

    @staticmethod
    def command(row: Row, files: Mapping[str, Path], device: str, port: int) -> list[str]:
        """The command; raises `NotInstalled` when the program is absent."""
        ...

    @staticmethod
    def environment(row: Row, device: str, key: str) -> dict[str, str]:
        """Variables to add. The key goes this way, because other users of the machine can read command lines."""
        ...


class ServerEngine:
    """One running server."""

    def __init__(self, row: Row, process: asyncio.subprocess.Process, port: int, key: str) -> None:
        self._row = row
        self._process = process
        self._root = f"http://127.0.0.1:{port}"
        self._key = key
        self._tail = Tail()
        self._log = asyncio.create_task(self._tail.follow(process.stdout))
        self.sleeps = False
        """Whether the server can give its memory back without ending (vLLM's sleep mode)."""

    @property
    def alive(self) -> bool:
        return self._process.returncode is None and not _has_ended(self._process.pid)

    @property
    def pid(self) -> int | None:
        return self._process.pid

    @property
    def endpoint(self) -> Endpoint:
        return Endpoint(url=f"{self._root}/v1", model=self._row.id, key=self._key)

    def call(self, method: Callable[..., Any], *args: Any, **kwargs: Any) -> Awaitable[Any]:
        raise only_served(self._row.title, method)

    def stream(self, method: Callable[..., Any], *args: Any, **kwargs: Any) -> AsyncIterator[Any]:
        raise only_served(self._row.title, method)

    async def wait_ready(self, health: str, seconds: float) -> None:
        """Wait until the health path answers; raises `EngineFailed` with the log's tail."""
        limit = time.monotonic() + seconds
        async with self._session() as session:
            while True:
                if not self.alive:
                    raise await self._failed("ended while it was loading")
                with contextlib.suppress(aiohttp.ClientError, TimeoutError):
                    async with session.get(self._root + health, timeout=aiohttp.ClientTimeout(total=5)) as answer:
                        if answer.status == 200:
                            break
                if time.monotonic() > limit:
                    raise await self._failed(f"did not answer {health!r} within {seconds:g} s")
                await asyncio.sleep(0.05)
            self.sleeps = await self._can_sleep(session)

    async def _can_sleep(self, session: aiohttp.ClientSession) -> bool:
        try:
            async with session.get(f"{self._root}/is_sleeping", timeout=aiohttp.ClientTimeout(total=5)) as answer:
                return answer.status == 200 and "is_sleeping" in await answer.json()
        except (aiohttp.ClientError, TimeoutError, ValueError):
            return False

    async def sleep(self) -> None:
        """Move the weights to main memory and drop the cache; raises `EngineFailed`."""
        await self._post("/sleep?level=1")

    async def wake(self) -> None:
        """Bring the weights back; raises `EngineFailed`."""
        await self._post("/wake_up")

    async def _post(self, path: str) -> None:
        try:
            async with self._session() as session, session.post(self._root + path) as answer:
                answer.raise_for_status()
        except (aiohttp.ClientError, TimeoutError) as error:
            raise EngineFailed(f"{self._row.title} did not do {path!r}: {error}.") from error

    def _session(self) -> aiohttp.ClientSession:
        headers = {"Authorization": f"Bearer {self._key}"}
        return aiohttp.ClientSession(headers=headers, timeout=aiohttp.ClientTimeout(total=120))

    async def _failed(self, what: str) -> EngineFailed:
        await self.close()
        tail = f" Its last lines were:\n{self._tail}" if str(self._tail) else ""
        return EngineFailed(f"The server of {self._row.title} {what}.{tail}")

    async def close(self) -> None:
        """Ask it to end, then make it and all it started."""
        if self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.terminate()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._process.wait(), _STOP_SECONDS)
        # the group outlives its leader when a worker does not listen
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        await self._process.wait()
        await asyncio.wait([self._log], timeout=1.0)
        self._log.cancel()


async def start(row: Row, files: Mapping[str, Path], device: str, *, ready_seconds: float = 600.0) -> ServerEngine:
    """Start the row's server and wait until it is ready; raises `EngineFailed` or `NotInstalled`."""
    serving, port, key = _serving(row), _free_port(), secrets.token_urlsafe(24)
    # looking for the program and asking the driver take their time
    command = await asyncio.to_thread(serving.command, row, files, device, port)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, guard.__file__, str(os.getpid()), *command),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env=child_environment() | serving.environment(row, device, key),
        start_new_session=True,
    )
    running = ServerEngine(row, process, port, key)
    try:
        await running.wait_ready(serving.health, ready_seconds)
    except BaseException:
        await asyncio.shield(running.close())
        raise
    return running


def _serving(row: Row) -> type[Serving]:
    try:
        found: type[Serving] = find(row.engine)
    except ImportError as error:
        raise NotInstalled(f"{row.title} cannot be served: {error}.") from error
    return found


def _has_ended(pid: int) -> bool:
    """Whether our child has ended, also in the moment before the event loop hears of it."""
    try:
        return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
    except ChildProcessError:
        return True


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def package_path() -> dict[str, str]:
    """The variable with which a child of our own interpreter finds our packages."""
    root = str(Path(__file__).parents[2])
    inherited = os.environ.get("PYTHONPATH")
    return {"PYTHONPATH": os.pathsep.join([root, inherited] if inherited else [root])}
