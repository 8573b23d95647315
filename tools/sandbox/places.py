"""Places for runs: a lock file each, so that no two processes of one home give out the same, and a kill frees it."""

import asyncio
import fcntl
import os
import time
import zlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from tools.errors import Busy
from tools.settings import Settings

_GLANCE = 0.02
_HOMES, _PER_HOME = 256, 256


@dataclass(frozen=True)
class Place:
    """`lock` is the descriptor that holds it; whoever has a copy holds it too. `user` is None unless we are root."""

    lock: int
    user: int | None


@asynccontextmanager
async def place(settings: Settings) -> AsyncIterator[Place]:
    """Wait for a free place; raises `Busy` after the settings' patience."""
    folder = settings.home / "sandbox"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    deadline = time.monotonic() + settings.sandbox.wait_seconds
    while (taken := _take(folder, settings)) is None:
        if time.monotonic() > deadline:
            raise Busy(
                f"All {settings.sandbox.parallel} places of the sandbox are taken.",
                remedy="Try again, or raise SUTRADHAR_SANDBOX__PARALLEL.",
                retry_after=5,
            )
        await asyncio.sleep(_GLANCE)
    try:
        yield taken
    finally:
        os.close(taken.lock)


def _take(folder: Path, settings: Settings) -> Place | None:
    # homes on one machine have ids of their own
    first = settings.sandbox.first_uid + zlib.crc32(str(folder).encode()) % _HOMES * _PER_HOME
    for number in range(settings.sandbox.parallel):
        lock = os.open(folder / f"{number}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
        else:
            return Place(lock, first + number if os.geteuid() == 0 else None)
    return None
