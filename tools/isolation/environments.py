"""Interpreters with packages of their own, for engines whose pins cannot live beside ours.

A row's `python` and `requirements` name an environment; rows that name the same share one. uv builds it, aside and then
renamed, once whoever asks and however often. Interpreters are never downloaded: the machine's owner installs those.
"""

import asyncio
import contextlib
import hashlib
import os
import platform
import shutil
import signal
import sys
import uuid
from collections.abc import Iterable
from pathlib import Path

from filelock import AsyncFileLock

from tools.catalog import Row
from tools.errors import NotInstalled
from tools.events import Emit, ModelEvent, ignore
from tools.isolation import Limits, Tail, child_environment

_SECONDS = 7200.0
_TOLD_LINES = 12


class Environments:
    """Environments under `root/<digest>/`; with `offline` none is built."""

    def __init__(self, root: Path, *, offline: bool = False) -> None:
        self._root = root
        self._offline = offline

    def folder(self, row: Row) -> Path:
        """Where the row's environment lies; the name is a digest of what was asked for."""
        asked = [_version(row), platform.machine(), *sorted(row.requirements)]
        return self._root / hashlib.sha256("\n".join(asked).encode()).hexdigest()[:20]

    def missing(self, row: Row) -> bool:
        """Whether an environment must be built before the row can be loaded."""
        # the link dangles once its interpreter has been removed
        return bool(row.requirements) and not _python(self.folder(row)).exists()

    def size(self, row: Row) -> int:
        """Bytes of the row's environment; other environments may share its files."""
        if not row.requirements:
            return 0
        return sum(path.lstat().st_size for path in self.folder(row).rglob("*") if path.is_file())

    async def ensure(self, row: Row, emit: Emit = ignore) -> str | None:
        """The interpreter that runs the row's engine, building its environment first; None means our own.

        Raises `NotInstalled` when it cannot be built: offline, no such interpreter, or pins that cannot be had.
        """
        if not row.requirements:
            return row.python
        folder = self.folder(row)
        if await asyncio.to_thread(self.missing, row):
            if self._offline:
                raise NotInstalled(
                    f"{row.title} runs in an environment with {_told(row)}, which is not on this machine, and fetching "
                    "is switched off.",
                    remedy=_remedy(row),
                )
            async with self._lock(folder):
                # another process may have built it while this one waited
                if await asyncio.to_thread(self.missing, row):
                    await self._build(row, folder, emit)
        return str(_python(folder))

    async def remove(self, row: Row, others: Iterable[Row] = ()) -> None:
        """Delete the row's environment, unless one of the others runs in it too."""
        folder = self.folder(row)
        if not row.requirements or folder in {self.folder(each) for each in others if each.id != row.id}:
            return
        async with self._lock(folder):
            await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)

    async def _build(self, row: Row, folder: Path, emit: Emit) -> None:
        uv = find_uv()
        if uv is None:
            raise NotInstalled(
                f"{row.title} runs in an environment of its own, and uv, which builds it, is not installed.",
                remedy="Run `pip install uv`.",
            )
        await asyncio.to_thread(_clear, folder)
        fresh = folder.with_name(f".{folder.name}.{uuid.uuid4().hex}")
        try:
            _tell(row, emit, f"building an environment with {_told(row)}")
            ours = ["venv", "--no-project", "--relocatable", "--python", _version(row), str(fresh)]
            if said := await _uv(uv, ours, row, emit):
                raise _failed(row, emit, f"no interpreter {_version(row)!r} was found: {said}", _interpreter(row))
            orders = ["pip", "install", "--python", str(_python(fresh)), *await asyncio.to_thread(_places)]
            if said := await _uv(uv, [*orders, *row.requirements], row, emit):
                raise _failed(row, emit, f"its pins could not be installed: {said}", _remedy(row))
            await asyncio.to_thread(fresh.rename, folder)
        finally:
            await asyncio.to_thread(shutil.rmtree, fresh, ignore_errors=True)

    def _lock(self, folder: Path) -> AsyncFileLock:
        self._root.mkdir(parents=True, exist_ok=True)
        return AsyncFileLock(self._root / f".{folder.name}.lock", timeout=-1)


def confinement(row: Row) -> Limits:
    """Code that came with a model's weights reads its files and answers; it has nothing to do on the network.

    The row's option `nice` lets an engine stand back.
    """
    return Limits(network=not row.trust_remote_code, nice=int(row.options.get("nice", 0)))


def variables(row: Row, python: str | None) -> dict[str, str]:
    """What the engine's process is told besides: the hub's libraries look nowhere but in the row's files."""
    if not row.requirements or python is None:
        return {}
    return {
        "HF_HUB_OFFLINE": "1",
        "TRANSFORMERS_OFFLINE": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        # where transformers keeps the copies of remote code that it imports
        "HF_HOME": str(Path(python).parents[1] / "hub"),
        # a checkpoint of the time before safetensors is a pickle: take its tensors, run nothing of it
        "TORCH_FORCE_WEIGHTS_ONLY_LOAD": "1",
    }


def find_uv() -> Path | None:
    """uv beside our interpreter, else on the path."""
    beside = Path(sys.executable).with_name("uv")
    found = str(beside) if beside.exists() else shutil.which("uv")
    return Path(found) if found else None


def _python(folder: Path) -> Path:
    return folder / "bin" / "python"


def _version(row: Row) -> str:
    """What uv is asked for: a version, or the path of an interpreter."""
    return str(Path(row.python).expanduser()) if row.python and "/" in row.python else row.python or _our_version()


def _our_version() -> str:
    return f"{sys.version_info.major}.{sys.version_info.minor}"


def _told(row: Row) -> str:
    return f"Python {_version(row)} and {', '.join(row.requirements)}"


def _remedy(row: Row) -> str:
    return f"Run `sutradhar models fetch {row.id}` where there is a network."


def _interpreter(row: Row) -> str:
    version = _version(row)
    how = "Put one there" if "/" in version else f"Install Python {version} (such as `uv python install {version}`)"
    return f"{how}, then run `sutradhar models fetch {row.id}`."


def _failed(row: Row, emit: Emit, why: str, remedy: str) -> NotInstalled:
    failure = NotInstalled(f"The environment of {row.title} cannot be built: {why.rstrip('.')}.", remedy=remedy)
    emit(ModelEvent(model=row.id, device=row.device, state="failed", note=failure.message))
    return failure


def _tell(row: Row, emit: Emit, note: str) -> None:
    emit(ModelEvent(model=row.id, device=row.device, state="fetching", note=note[:200]))


def _clear(folder: Path) -> None:
    """Remove what an interrupted build left, and an environment whose interpreter has gone."""
    for left in (folder, *folder.parent.glob(f".{folder.name}.*/")):
        shutil.rmtree(left, ignore_errors=True)


def _places() -> list[str]:
    """Where pip is told to look besides the index; uv does not read its settings."""
    from tools.sources.registry import pip_settings

    links = [part for place in pip_settings("find-links").split() for part in ("--find-links", place)]
    return [*links, *(["--no-index"] if pip_settings("no-index").lower() in {"1", "true", "yes", "on"} else [])]


def _surroundings() -> dict[str, str]:
    """Our variables without secrets, besides those that are uv's own, and without an environment that is active."""
    from tools.sources.registry import pip_settings

    kept = child_environment() | {name: value for name, value in os.environ.items() if name.startswith("UV_")}
    for name in ("VIRTUAL_ENV", "CONDA_PREFIX", "PYTHONPATH", "PYTHONHOME"):
        kept.pop(name, None)
    index = pip_settings("index-url")
    if index and not {"UV_DEFAULT_INDEX", "UV_INDEX_URL"} & kept.keys():
        kept["UV_DEFAULT_INDEX"] = index
    return kept | {"UV_PYTHON_DOWNLOADS": "never", "UV_NO_PROGRESS": "1", "NO_COLOR": "1"}


async def _uv(uv: Path, orders: list[str], row: Row, emit: Emit) -> str:
    """Run uv, telling each of its lines to the listener; returns its last words when it failed, else nothing."""
    process = await asyncio.create_subprocess_exec(
        *(str(uv), *orders),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env=await asyncio.to_thread(_surroundings),
        start_new_session=True,
    )
    tail = Tail(_TOLD_LINES)
    try:
        async with asyncio.timeout(_SECONDS):
            await tail.follow(process.stdout, lambda line: _tell(row, emit, line.strip()))
            code = await process.wait()
    except TimeoutError:
        return f"uv did not end within {_SECONDS:g} s; its last lines were: {tail}"
    finally:
        if process.returncode is None:
            # building a package may have started a compiler
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()
    return (str(tail) or f"uv ended with code {code}") if code else ""
