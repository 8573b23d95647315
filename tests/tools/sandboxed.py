"""A sandbox for tests, and what must be the same on the host after every run."""

import asyncio
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from tools.sandbox import Program, Ran, SandboxLimits, run
from tools.sandbox.wardens import warden
from tools.settings import Sandbox, Settings

needs_bubblewrap = pytest.mark.skipif(
    shutil.which("bwrap") is None, reason="needs bubblewrap: apt-get install bubblewrap"
)
SECRET = "a word that stays on the host"
SMALL = SandboxLimits(
    seconds=3,
    cpu_seconds=3,
    memory=128 << 20,
    file_bytes=4 << 20,
    disk_bytes=16 << 20,
    processes=24,
    output_bytes=20_000,
)


def fresh(home: Path, **sandbox: int) -> Settings:
    """Settings whose runs do not disturb another test's."""
    return Settings(home=home, cache=home / "cache", offline=True, sandbox=Sandbox(**sandbox), _env_file=None)


@dataclass(frozen=True)
class Host:
    """The outside: `secret` is a file that nobody inside may see."""

    settings: Settings
    secret: Path

    async def python(self, code: str, *, limits: SandboxLimits = SMALL, loopback: bool = False, stdin: str = "") -> Ran:
        """Run Python code; `SECRET_FILE` in it is the path of the secret."""
        text = code.replace("SECRET_FILE", repr(str(self.secret)))
        program = Program(
            files={"main.py": text}, command=["python", "main.py"], limits=limits, loopback=loopback, stdin=stdin
        )
        return await run(program, self.settings)


@contextmanager
def unchanged(host: Host) -> Iterator[None]:
    """Fails when anything outlives a run: a process, a mount, a file, a changed secret."""
    mounts, names = _mounts(), _names(host)
    yield
    deadline = time.monotonic() + 5
    while outlived() and time.monotonic() < deadline:
        time.sleep(0.02)
    assert outlived() == []
    assert (_mounts(), _names(host), host.secret.read_text()) == (mounts, names, SECRET)


def outlived() -> list[int]:
    """The keepers of this process's warden, but for the youngest, which waits for the next run."""
    keepers = psutil.Process(warden().pid).children()
    return [each.pid for each in sorted(keepers, key=lambda each: (each.create_time(), each.pid))[:-1]]


def _mounts() -> str:
    return Path("/proc/self/mounts").read_text()


def _names(host: Host) -> list[str]:
    return sorted(each.name for each in host.secret.parent.iterdir())


async def settle() -> None:
    """Let keepers that were abandoned finish."""
    for _ in range(100):
        if not outlived():
            return
        await asyncio.sleep(0.05)
    raise AssertionError("a run outlived its caller")
