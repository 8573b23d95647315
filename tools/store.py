"""The weight store: one folder per catalogue row, in which every file matches the row's digest."""

import asyncio
import hashlib
import json
import os
import shutil
import uuid
from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import Any

from filelock import AsyncFileLock

from tools.catalog import File, Row
from tools.conversion import CONVERT, convert
from tools.errors import InvalidInput, NotInstalled
from tools.events import Emit, ModelEvent, ignore
from tools.onnx_session import external_files
from tools.sources import SourceFailed, parse_source
from tools.sources.archive import is_pickle
from tools.sources.fetching import Fetching, Gauge

_RECORD = "verified.json"
_EXTERNAL = "external"
"""The option of a row that names an ONNX graph whose weights lie in files beside it, which only the graph lists."""

_INDICES = (".safetensors.index.json", ".bin.index.json")


class WeightStore:
    """Weights under `root/weights/<row id>/`, fetched once whoever asks and however often.

    With `offline` nothing is fetched. `hub` is another model hub than the one that huggingface_hub is configured for,
    `github` another place for archives of repositories.
    """

    def __init__(self, root: Path, *, offline: bool = False, hub: str | None = None, github: str | None = None) -> None:
        self._root = root
        self._offline = offline
        self._hub = hub
        self._github = github

    def folder(self, row: Row) -> Path:
        """Where the row's files lie."""
        return self._root / "weights" / row.id

    def missing(self, row: Row) -> list[File]:
        """The files that are not there, or are no longer what was verified. Only looks, does not read them."""
        record, row = self._read_record(row), _with_shards(row, self.folder(row))
        return [file for file in row.files if not _is_verified(self._path(row, file), file, record.get(file.name))]

    def size(self, row: Row) -> int:
        """Bytes that the row takes on the disk, with what was made of it and what an interrupted download left."""
        folders = (self.folder(row), self._converted(row), self._archives(row))
        return sum(path.stat().st_size for folder in folders for path in folder.rglob("*") if path.is_file())

    async def remove(self, row: Row) -> None:
        """Delete the row's files; sources that are local paths are left alone."""
        async with self._lock(row):
            for folder in (self.folder(row), self._converted(row), self._archives(row)):
                await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)

    async def ensure(self, row: Row, emit: Emit = ignore) -> dict[str, Path]:
        """The row's files by name, fetching what is missing; of a row that converts, those of the converted folder.

        A row that has an index of weights has the parts that it names, too.

        Raises `NotInstalled` when a file cannot be had: offline, no network, or no source with the right bytes.
        """
        files = await self._complete(row, emit)
        if (graph := str(row.options.get(_EXTERNAL, ""))) in files:
            row = await asyncio.to_thread(_with_external, row, graph, files[graph])
            files = await self._complete(row, emit)
        if (whole := await asyncio.to_thread(_with_shards, row, self.folder(row))) != row:
            files = await self._complete(whole, emit)
        if CONVERT not in row.options:
            return files
        async with self._lock(row):
            digests = {name: entry["sha256"] for name, entry in self._read_record(row).items() if name in files}
            return await convert(row, files, digests, self._converted(row), emit)

    async def _complete(self, row: Row, emit: Emit) -> dict[str, Path]:
        if await asyncio.to_thread(self.missing, row):
            async with self._lock(row):
                # another process may have fetched them while this one waited
                if missing := await asyncio.to_thread(self.missing, row):
                    await self._fetch(row, missing, emit)
        return {file.name: self._path(row, file) for file in row.files}

    async def _fetch(self, row: Row, missing: list[File], emit: Emit) -> None:
        missing = [file for file in missing if not await self._adopt(row, file)]
        if not missing:
            return
        if self._offline and not all(source.startswith(("file:", "~")) for file in missing for source in file.sources):
            raise _not_installed(
                row, f"{row.title} is not on this machine, and fetching is switched off. It lacks {_told(missing)}."
            )
        self._check_room(row, missing)
        gauge = Gauge(row, sum(file.size or 0 for file in missing), emit)
        archives = self._archives(row)
        archives.mkdir(parents=True, exist_ok=True)
        async with Fetching(archives, gauge, hub=self._hub, github=self._github) as fetching:
            results = await asyncio.gather(*(self._file(row, file, fetching) for file in missing))
        failures = [failure for failure in results if failure]
        if failures:
            emit(ModelEvent(model=row.id, device=row.device, state="failed", note=failures[0]))
            raise _not_installed(row, f"{row.title} cannot be fetched: {'; '.join(failures)}.")
        await asyncio.to_thread(shutil.rmtree, archives, ignore_errors=True)

    async def _file(self, row: Row, file: File, fetching: Fetching) -> str:
        """Fetch one file; returns why it could not be had, or nothing."""
        failures = []
        for source in file.sources:
            path = self._path(row, file)
            part = path.with_name(f".{path.name}.{uuid.uuid4().hex}.part")
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                sha256 = await fetching.assemble(source, file, part)
                if not row.options.get("weights_only") and await asyncio.to_thread(is_pickle, part):
                    raise SourceFailed("it is a pickle, which can run code when it is loaded")
                part.replace(path)
                self._remember(row, file, sha256)
                return ""
            except SourceFailed as failure:
                failures.append(f"{source.partition(' + ')[0]}: {failure}")
            finally:
                part.unlink(missing_ok=True)
        return f"{file.name}: {'; '.join(failures)}"

    async def _adopt(self, row: Row, file: File) -> bool:
        """Take a file that somebody put into the folder, when it has the right digest."""
        path = self._path(row, file)
        if file.sha256 is None or not path.is_file():
            return False
        sha256 = await asyncio.to_thread(_sha256, path)
        if sha256 == file.sha256:
            self._remember(row, file, sha256)
        return sha256 == file.sha256

    def _check_room(self, row: Row, missing: list[File]) -> None:
        self._root.mkdir(parents=True, exist_ok=True)
        # an archive and the file that is taken out of it lie beside each other for a while
        needed, free = 2 * sum(file.size or 0 for file in missing), shutil.disk_usage(self._root).free
        if needed > free:
            raise NotInstalled(
                f"Fetching {row.title} needs {needed / 1e9:.1f} GB; {str(self._root)!r} has {free / 1e9:.1f} GB.",
                remedy="Free some, or point SUTRADHAR_CACHE to a larger disk.",
            )

    def _path(self, row: Row, file: File) -> Path:
        name = PurePosixPath(file.name)
        if name.is_absolute() or ".." in name.parts or not name.parts or name.parts[0] == _RECORD:
            raise InvalidInput(f"{file.name!r} is not a name for a weight file.", remedy="Use a relative path.")
        return self.folder(row) / name

    def _archives(self, row: Row) -> Path:
        return self._root / "archives" / row.id

    def _converted(self, row: Row) -> Path:
        return self._root / "converted" / row.id

    def _lock(self, row: Row) -> AsyncFileLock:
        folder = self._root / "weights"
        folder.mkdir(parents=True, exist_ok=True)
        return AsyncFileLock(folder / f".{row.id}.lock", timeout=-1)

    def _read_record(self, row: Row) -> dict[str, Any]:
        with suppress(OSError, ValueError):
            record = json.loads((self.folder(row) / _RECORD).read_text(encoding="utf-8"))
            return record if isinstance(record, dict) else {}
        return {}

    def _remember(self, row: Row, file: File, sha256: str) -> None:
        stat = self._path(row, file).stat()
        record = self._read_record(row)
        record[file.name] = {"sha256": sha256, "size": stat.st_size, "mtime_ns": stat.st_mtime_ns}
        part = self.folder(row) / f".{_RECORD}.{os.getpid()}"
        part.write_text(json.dumps(record, indent=1), encoding="utf-8")
        part.replace(self.folder(row) / _RECORD)


def _with_external(row: Row, graph: str, path: Path) -> Row:
    sources = next(file.sources for file in row.files if file.name == graph)
    beside = [
        File(name=name, sources=[source.removesuffix(graph) + name for source in sources])
        for name in external_files(path)
        if name not in {file.name for file in row.files}
    ]
    return row.model_copy(update={"files": [*row.files, *beside]})


def _with_shards(row: Row, folder: Path) -> Row:
    """The row with the parts that its indices of weights name, where those are here; they lie beside the index."""
    beside, known = list[File](), {file.name for file in row.files}
    for file in row.files:
        if not file.name.endswith(_INDICES):
            continue
        with suppress(OSError, ValueError, AttributeError):
            parts = set(json.loads((folder / file.name).read_text(encoding="utf-8"))["weight_map"].values())
            place, name = file.name.rpartition("/")[0::2]
            beside += [
                File(
                    name=f"{place}/{part}" if place else part,
                    sources=[source.removesuffix(name) + part for source in file.sources],
                )
                for part in sorted(map(str, parts))
                if part not in known
            ]
    return row.model_copy(update={"files": [*row.files, *beside]}) if beside else row


def _is_verified(path: Path, file: File, seen: Any) -> bool:
    if not isinstance(seen, dict) or (file.sha256 is not None and seen.get("sha256") != file.sha256):
        return False
    try:
        stat = path.stat()
    except OSError:
        return False
    return (stat.st_size, stat.st_mtime_ns) == (seen.get("size"), seen.get("mtime_ns"))


def _told(missing: list[File]) -> str:
    """What is to be fetched, and where it lies."""
    size = sum(file.size or 0 for file in missing)
    parts = [part for file in missing for part in parse_source(file.sources[0])]
    places = list(dict.fromkeys(str(part) for part in parts if part.scheme != "file"))
    names = ", ".join(file.name for file in missing[:3]) + (f" and {len(missing) - 3} more" if len(missing) > 3 else "")
    return f"{names}{f' ({size / 1e6:,.0f} MB)' if size else ''}, from {', '.join(places[:4])}"


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _not_installed(row: Row, message: str) -> NotInstalled:
    return NotInstalled(message, remedy=f"Run `sutradhar models fetch {row.id}` where there is a network.")
