"""The host's end of the warden: started at the first run, started again should it die, gone with the host."""

import asyncio
import json
import os
import shutil
import socket
import struct
import subprocess
import sys
from functools import lru_cache
from pathlib import Path

import tools
from tools.confinement.job import Job, Report
from tools.errors import Busy, EngineFailed

# as in tools/confinement/warden.py, which is not imported: it is the other process
_LENGTH = struct.Struct("!Q")
_BOOT = (
    "import socket, sys; sys.path.append(sys.argv[2]); from tools.confinement.warden import serve; "
    "serve(socket.socket(fileno=int(sys.argv[1])))"
)
_MOST_BYTES = 1 << 28


class Warden:
    """A process with an empty environment, and the socket that it serves. It ends when the socket is closed."""

    def __init__(self) -> None:
        self._socket, theirs = socket.socketpair()
        self._socket.setblocking(False)
        self._owner = os.getpid()
        folder = str(Path(tools.__file__).parents[1])
        with theirs:
            # -I and -S: neither the environment nor a site folder decides what it imports
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-S", "-c", _BOOT, str(theirs.fileno()), folder],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                env={},
                cwd="/",
                start_new_session=True,
            )

    @property
    def alive(self) -> bool:
        return self._owner == os.getpid() and self._process.poll() is None

    @property
    def pid(self) -> int:
        return self._process.pid

    async def work(self, job: Job, lock: int, patience: float) -> Report:
        """Have a job done. Giving up on the call ends the run. Raises `EngineFailed` when the warden or keeper dies."""
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        with ours:
            with theirs:
                self._hand_over(theirs, lock)
            try:
                async with asyncio.timeout(patience):
                    return await _exchange(ours, job)
            except (ConnectionError, EOFError) as error:
                raise EngineFailed(
                    "The sandbox's keeper died.", remedy="Try again; the next run has a new one."
                ) from error
            except TimeoutError as error:
                raise EngineFailed(f"The sandbox did not answer within {patience:g} s.") from error

    def _hand_over(self, connection: socket.socket, lock: int) -> None:
        try:
            socket.send_fds(self._socket, [b"r"], [connection.fileno(), lock])
        except BlockingIOError as error:
            raise Busy("The sandbox's warden does not keep up.", retry_after=5) from error
        except OSError as error:
            raise EngineFailed("The sandbox's warden died.", remedy="Try again; it is started anew.") from error


async def _exchange(connection: socket.socket, job: Job) -> Report:
    loop = asyncio.get_running_loop()
    text = await asyncio.to_thread(lambda: json.dumps(job).encode())
    await loop.sock_sendall(connection, _LENGTH.pack(len(text)) + text)
    size = _LENGTH.unpack(await _exactly(connection, _LENGTH.size))[0]
    if size > _MOST_BYTES:
        raise EngineFailed(f"The sandbox announced a report of {size} bytes.")
    report: Report = json.loads(await _exactly(connection, size))
    return report


async def _exactly(connection: socket.socket, size: int) -> bytearray:
    loop, data = asyncio.get_running_loop(), bytearray()
    while len(data) < size:
        chunk = await loop.sock_recv(connection, min(size - len(data), 1 << 20))
        if not chunk:
            raise EOFError
        data += chunk
    return data


@lru_cache(maxsize=1)
def _started() -> Warden:
    return Warden()


def warden() -> Warden:
    """The process's one warden."""
    if not _started().alive:
        _started.cache_clear()
    return _started()


def bubblewrap() -> str | None:
    """Where bubblewrap is, if it is here."""
    return shutil.which("bwrap")
