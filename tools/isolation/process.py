"""Engines in a child process: a crash stays local and memory is really given back.

async with spawn("ingestion.decode:Decoder", options={"path": path}, limits=Limits(memory=2 << 30)) as child:
    async for frame in child.stream(Decoder.frames, step=1.0):
        ...
"""

import asyncio
import contextlib
import importlib.util
import itertools
import json
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar

from tools.capability import Endpoint
from tools.catalog import Row
from tools.errors import EngineFailed, NotInstalled, SutradharError, from_body
from tools.isolation import Limits, Tail, child, child_environment, not_served
from tools.isolation.results import item_hint, rebuild, return_hint

P = ParamSpec("P")
R = TypeVar("R")

_CREDIT = 8
_RENEW = 4
_HEADER_BYTES = 1 << 26
_BUFFER_BYTES = 1 << 32


class ChildEngine:
    """The parent's end of one engine. Calls may come from many tasks; the engine sees them one after another."""

    def __init__(self, title: str, process: asyncio.subprocess.Process, connection: socket.socket) -> None:
        self._title = title
        self._process = process
        self._connection = connection
        self._numbers = itertools.count(1)
        self._inboxes: dict[int, asyncio.Queue[tuple[dict[str, Any], list[bytearray]]]] = {}
        self._sending = asyncio.Lock()
        self._failure: SutradharError | None = None
        self._closing = False
        self.offline = False
        self._tail = Tail()
        self._log = asyncio.create_task(self._tail.follow(process.stdout))
        self._reading: asyncio.Task[None] | None = None

    @property
    def alive(self) -> bool:
        return self._failure is None and self._process.returncode is None

    @property
    def pid(self) -> int | None:
        return self._process.pid

    @property
    def endpoint(self) -> Endpoint:
        raise not_served(self._title)

    async def load(self, orders: dict[str, Any]) -> None:
        """Have the child build its engine; raises what the engine's constructor raised."""
        await self._send({"op": "load", "id": 0}, orders)
        try:
            header, buffers = await self._receive()
        except OSError as error:
            raise await self._died() from error
        if header["op"] == "error":
            raise self._error(header["error"], "could not be loaded")
        del buffers
        self.offline = bool(header["offline"])
        self._reading = asyncio.create_task(self._read())

    async def call(self, method: Callable[Concatenate[Any, P], R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Run one method in the child; giving up on the call leaves the child running."""
        with self._inbox() as (number, inbox):
            try:
                await self._order("call", number, method, args, kwargs)
                header, buffers = await inbox.get()
            except asyncio.CancelledError:
                self._cancel(number)
                raise
            return rebuild(return_hint(method), self._value(header, buffers), self._title)  # type: ignore[no-any-return]

    async def stream(
        self, method: Callable[Concatenate[Any, P], Iterator[R]], *args: P.args, **kwargs: P.kwargs
    ) -> AsyncIterator[R]:
        """Iterate a generator method in the child, at most a few items ahead; stopping early closes the generator."""
        hint, ended, taken = item_hint(method), False, 0
        with self._inbox() as (number, inbox):
            try:
                await self._order("stream", number, method, args, kwargs, credit=_CREDIT)
                while True:
                    header, buffers = await inbox.get()
                    ended = header["op"] != "item"
                    if header["op"] == "end":
                        return
                    value = self._value(header, buffers)
                    taken += 1
                    if taken % _RENEW == 0:
                        # quietly: what a dead child said before it died is still delivered
                        await self._send_quietly({"op": "more", "id": number, "credit": _RENEW})
                    yield rebuild(hint, value, self._title)
            finally:
                if not ended:
                    self._cancel(number)

    @contextlib.contextmanager
    def _inbox(self) -> Iterator[tuple[int, asyncio.Queue[tuple[dict[str, Any], list[bytearray]]]]]:
        if self._failure is not None:
            raise self._failure
        number = next(self._numbers)
        # bounded by the credit that we give, so put_nowait never fails
        self._inboxes[number] = asyncio.Queue()
        try:
            yield number, self._inboxes[number]
        finally:
            self._inboxes.pop(number, None)

    async def _order(
        self, op: str, number: int, method: Callable[..., Any], args: Any, kwargs: Any, **more: Any
    ) -> None:
        value = {"method": method.__name__, "args": list(args), "kwargs": dict(kwargs)}
        await self._send({"op": op, "id": number, **more}, value)

    def _cancel(self, number: int) -> None:
        """Tell the child without waiting: this runs while a task is being cancelled or a generator closed."""
        if self.alive and not self._closing:
            task = asyncio.get_running_loop().create_task(self._send_quietly({"op": "cancel", "id": number}))
            task.add_done_callback(lambda done: done.exception() if not done.cancelled() else None)

    async def _send_quietly(self, header: dict[str, Any]) -> None:
        with contextlib.suppress(OSError, SutradharError):
            await self._send(header)

    async def _send(self, header: dict[str, Any], *value: Any) -> None:
        buffers: list[Any] = []
        if value:
            header["value"] = child.encode(value[0], buffers, typed=True)
        # a frame that is cut off by a cancellation would garble all that follow
        await asyncio.shield(self._write(child.pack(header, buffers)))

    async def _write(self, pieces: list[Any]) -> None:
        loop = asyncio.get_running_loop()
        async with self._sending:
            try:
                for piece in pieces:
                    await loop.sock_sendall(self._connection, piece)
            except OSError as error:
                raise await self._died() from error

    async def _read(self) -> None:
        try:
            while True:
                header, buffers = await self._receive()
                inbox = self._inboxes.get(header["id"])
                if inbox is not None:
                    inbox.put_nowait((header, buffers))
        except (OSError, ValueError, KeyError, TypeError) as error:
            self._failure = await self._died()
            self._failure.__cause__ = error
            for inbox in self._inboxes.values():
                inbox.put_nowait(({"op": "died"}, []))

    async def _receive(self) -> tuple[dict[str, Any], list[bytearray]]:
        size = child.LENGTH.unpack(await self._exactly(child.LENGTH.size, _HEADER_BYTES))[0]
        header = json.loads(await self._exactly(size, _HEADER_BYTES))
        return header, [await self._exactly(size, _BUFFER_BYTES) for size in header["buffers"]]

    async def _exactly(self, size: int, most: int) -> bytearray:
        if not 0 <= size <= most:
            raise ValueError(f"the child announced {size} bytes")
        data, got, loop = bytearray(size), 0, asyncio.get_running_loop()
        while got < size:
            count = await loop.sock_recv_into(self._connection, memoryview(data)[got:])
            if not count:
                raise ConnectionResetError("the child closed the connection")
            got += count
        return data

    def _value(self, header: dict[str, Any], buffers: list[bytearray]) -> Any:
        if header["op"] == "died":
            raise self._failure or EngineFailed(f"{self._title} is closed.")
        if header["op"] == "error":
            raise self._error(header["error"], "failed")
        return child.decode(header["value"], buffers, trusted=False)

    def _error(self, body: dict[str, Any], what: str) -> SutradharError:
        if "error" in body:
            return from_body(body)
        if body["kind"] in {"ModuleNotFoundError", "ImportError"}:
            return NotInstalled(
                f"{self._title} {what}: {body['message']}.", remedy="`sutradhar doctor` names what to install."
            )
        return EngineFailed(f"{self._title} {what}: {body['kind']}: {body['message']}")

    async def _died(self) -> EngineFailed:
        """Why there is no child any more, with the last lines it wrote."""
        if self._failure is not None and isinstance(self._failure, EngineFailed):
            return self._failure
        self._kill()
        code = await self._process.wait()
        # grandchildren may keep the log open for longer than we care to wait
        await asyncio.wait([self._log], timeout=1.0)
        how = f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with code {code}"
        tail = f" Its last lines were:\n{self._tail}" if str(self._tail) else ""
        return EngineFailed(f"The process of {self._title} {how}.{tail}", remedy="The next request starts it again.")

    def _kill(self) -> None:
        if self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)

    async def close(self) -> None:
        """Kill the child and everything it started, and wait until it is gone."""
        self._closing = True
        self._kill()
        await self._process.wait()
        if self._reading is not None:
            # it ends by itself now, and fails the calls that still wait
            await asyncio.wait([self._reading], timeout=2.0)
            self._reading.cancel()
        self._log.cancel()
        self._connection.close()


async def start(
    engine: str,
    files: Mapping[str, Path] | None = None,
    *,
    row: Row | None = None,
    device: str = "cpu",
    options: Mapping[str, Any] | None = None,
    limits: Limits | None = None,
    python: str | None = None,
    variables: Mapping[str, str] | None = None,
    load_seconds: float = 600.0,
) -> ChildEngine:
    """Start a child and build `engine` (`module:Class`) in it; the caller closes it.

    With a `row` the engine is built as `Class(row, files, device)`, without one as `Class(**options)`. `python` is
    another interpreter, `variables` are added to its environment. Raises `EngineFailed` or `NotInstalled`.
    """
    title = row.title if row is not None else engine.rpartition(":")[2]
    ours, theirs = socket.socketpair()
    with theirs:
        ours.setblocking(False)
        # each of its threads takes address space
        polite = {"OPENBLAS_NUM_THREADS": "1"} if limits and limits.memory else {}
        command = [python or sys.executable, child.__file__, _orders(engine, theirs, limits, python)]
        try:
            process = await asyncio.create_subprocess_exec(
                *command,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
                env=child_environment() | polite | dict(variables or {}),
                pass_fds=[theirs.fileno()],
                start_new_session=True,
            )
        except FileNotFoundError as error:
            ours.close()
            raise NotInstalled(
                f"{title} needs the interpreter {python!r}.", remedy="`sutradhar doctor` says how to make it."
            ) from error
    running = ChildEngine(title, process, ours)
    what = {
        "engine": engine,
        "row": None if row is None else row.model_dump(mode="json"),
        "files": dict(files or {}),
        "device": device,
        "options": dict(options or {}),
    }
    try:
        await asyncio.wait_for(running.load(what), load_seconds)
    except TimeoutError as error:
        await running.close()
        raise EngineFailed(f"{title} did not load within {load_seconds:g} s.") from error
    except BaseException:
        await asyncio.shield(running.close())
        raise
    return running


@asynccontextmanager
async def spawn(
    engine: str,
    files: Mapping[str, Path] | None = None,
    *,
    row: Row | None = None,
    device: str = "cpu",
    options: Mapping[str, Any] | None = None,
    limits: Limits | None = None,
    python: str | None = None,
) -> AsyncIterator[ChildEngine]:
    """`start` for as long as the block lasts."""
    running = await start(engine, files, row=row, device=device, options=options, limits=limits, python=python)
    try:
        yield running
    finally:
        await asyncio.shield(running.close())


def _orders(engine: str, connection: socket.socket, limits: Limits | None, python: str | None) -> str:
    """What the child must know before it can be spoken to."""
    top = engine.partition(":")[0].partition(".")[0]
    spec = importlib.util.find_spec(top)
    if spec is None:
        raise NotInstalled(f"There is no package {top!r} for the engine {engine!r}.")
    same = python is None or Path(python) == Path(sys.executable)
    packages = {} if same else {name: _folder(name) for name in {top, "tools"}}
    wanted = limits or Limits()
    return json.dumps(
        {
            "parent": os.getpid(),
            "connection": connection.fileno(),
            "limits": asdict(wanted),
            "path": [str(Path(each).absolute()) for each in sys.path] if same else [],
            "packages": packages,
        }
    )


def _folder(package: str) -> str:
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise NotInstalled(f"{package!r} is not a package.")
    return str(Path(next(iter(spec.submodule_search_locations))).absolute())
