"""One row's fetch: its archives side by side, its files joined from their parts, its progress in one number."""

import asyncio
import hashlib
import os
import re
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import IO, Self

import aiohttp

from tools.catalog import File, Row
from tools.events import Emit, ModelEvent
from tools.sources import Part, SourceFailed, github, hub, parse_source, registry
from tools.sources.archive import read_member
from tools.sources.download import Remote, Transfer

_AT_ONCE = 4
_LARGEST = 1 << 40
_CHUNK = 1 << 20
_MEMBER = re.compile(r"(?P<archive>.+\.(?:zip|whl|tar|tgz|tar\.gz|tar\.bz2|tar\.xz))!(?P<member>.+)")


class Gauge:
    """Bytes that came, told to the listener at most four times a second and never backwards."""

    def __init__(self, row: Row, expected: int, emit: Emit) -> None:
        self._row, self._expected, self._emit = row, expected, emit
        self._announced = self._came = 0
        self._fraction = self._told = 0.0

    def announce(self, size: int) -> None:
        """An archive of this size will come; archives may be larger than the files in them."""
        self._announced += size

    def came(self, count: int) -> None:
        """So many bytes came; a negative number came for nothing."""
        self._came += count
        if time.monotonic() - self._told >= 0.25 or self._came == self._announced:
            self.tell()

    def tell(self) -> None:
        self._told = time.monotonic()
        total = max(self._announced or self._expected, self._came, 1)
        self._fraction = max(self._fraction, self._came / total)
        note = f"{self._came / 1e6:.0f} of {total / 1e6:.0f} MB"
        event = ModelEvent(
            model=self._row.id, device=self._row.device, state="fetching", note=note, fraction=self._fraction
        )
        self._emit(event)


class Fetching:
    """Archives come into `folder`, four at a time, each once however many files lie in it."""

    def __init__(self, folder: Path, gauge: Gauge, *, hub: str | None, github: str | None = None) -> None:
        self._folder, self._gauge, self._hub, self._github = folder, gauge, hub, github
        self._lookups = asyncio.Semaphore(_AT_ONCE)
        self._slots = asyncio.Semaphore(_AT_ONCE)
        self._archives: dict[str, asyncio.Task[Path]] = {}

    async def __aenter__(self) -> Self:
        context = await asyncio.to_thread(registry.certificates)
        self._http = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=context, limit=2 * _AT_ONCE),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=30, sock_read=60),
            trust_env=True,
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for task in self._archives.values():
            task.cancel()
        await asyncio.gather(*self._archives.values(), return_exceptions=True)
        await self._http.close()

    async def assemble(self, source: str, file: File, to: Path) -> str:
        """Join the parts of a source into `to` and return its sha256; raises `SourceFailed` when that is wrong."""
        parts = parse_source(source)
        if len(parts) == 1 and parts[0].scheme == "file":
            local, inside = _opened(parts[0])
            return await asyncio.to_thread(_take_out if inside else _link, local, inside, file, to)
        wanted = file.sha256 if len(parts) == 1 else None
        archives = [self._archive(part, wanted) for part in parts]
        joined = _Joined(to, file)
        # early parts are unpacked while the later ones still come
        for part, archive in zip(parts, archives, strict=True):
            path = await asyncio.shield(archive) if archive else _local(part)
            await asyncio.to_thread(joined.append, part, path)
        return await asyncio.to_thread(joined.check)

    def _archive(self, part: Part, wanted: str | None) -> asyncio.Task[Path] | None:
        if part.scheme == "file":
            return None
        key = f"{part}/{part.held_by}" if part.scheme == "hf" else str(part)
        if key not in self._archives:
            self._archives[key] = asyncio.create_task(self._bring(part, wanted))
        return self._archives[key]

    async def _bring(self, part: Part, wanted: str | None) -> Path:
        # all are looked up before most of them come, so that the whole size is soon known
        async with self._lookups:
            remote = await self._find(part, wanted)
        # the registry's name is not trusted with a path: only its last piece, behind a name that we made
        key = hashlib.sha256(f"{part}/{remote.digest}/{remote.url}".encode()).hexdigest()[:16]
        to = self._folder / f"{key}-{Path(remote.name).name[-100:]}"
        self._gauge.announce(remote.size or 0)
        async with self._slots:
            if to.exists():
                self._gauge.came(to.stat().st_size)
            else:
                await Transfer(self._http, remote, to, _LARGEST, self._gauge.came).run()
        return to

    async def _find(self, part: Part, wanted: str | None) -> Remote:
        if part.scheme == "github":
            return github.find(part, endpoint=self._github)
        if part.scheme != "hf":
            return await registry.find(self._http, part.package)
        remote = await asyncio.to_thread(hub.find, part, endpoint=self._hub)
        told = remote.digest[1] if remote.digest else None
        if wanted and told and told != wanted and not part.member:
            raise SourceFailed(f"the hub offers sha256 {told}, the catalogue wants {wanted}; nothing was downloaded")
        return remote


def _local(part: Part) -> Path:
    return Path(part.path).expanduser()


def _chunks(part: Part, archive: Path) -> Iterator[bytes]:
    if inside := part.member:
        yield from read_member(archive, inside)
        return
    try:
        with archive.open("rb") as file:
            while chunk := file.read(_CHUNK):
                yield chunk
    except OSError as error:
        raise SourceFailed(f"{archive} cannot be read: {error.strerror}") from error


class _Joined:
    """A weight file as it grows part by part."""

    def __init__(self, to: Path, file: File) -> None:
        self._to, self._file = to, file
        self._digest, self._size = hashlib.sha256(), 0

    def append(self, part: Part, archive: Path) -> None:
        with self._to.open("ab") as joined:
            for chunk in _chunks(part, archive):
                self.add(joined, chunk)

    def add(self, joined: IO[bytes], chunk: bytes) -> None:
        limit = self._file.size or _LARGEST
        self._size += len(chunk)
        if self._size > limit:
            raise SourceFailed(f"it is larger than the expected {limit:,} bytes")
        self._digest.update(chunk)
        joined.write(chunk)

    def check(self) -> str:
        """The sha256, once the bytes are safe on the disk; raises `SourceFailed` when it is not the wanted one."""
        with self._to.open("rb") as joined:
            os.fsync(joined.fileno())
        return _checked(self._digest.hexdigest(), self._size, self._file)


def _opened(part: Part) -> tuple[Path, str]:
    """A local path and what is meant in it: `~/models.zip!folder/file` is a member of an archive."""
    if found := _MEMBER.fullmatch(part.path):
        return Path(found["archive"]).expanduser(), found["member"]
    return _local(part), ""


def _take_out(archive: Path, inside: str, file: File, to: Path) -> str:
    if not archive.is_file():
        raise SourceFailed(f"{archive} is not there")
    joined = _Joined(to, file)
    # whatever the archive claims about its members, they do not fill the disk
    most = shutil.disk_usage(to.parent).free // 2
    with to.open("wb") as opened:
        for chunk in read_member(archive, inside):
            most -= len(chunk)
            if most < 0:
                raise SourceFailed(f"{inside!r} in {archive.name} would fill the disk")
            joined.add(opened, chunk)
    return joined.check()


def _link(source: Path, inside: str, file: File, to: Path) -> str:
    try:
        with source.open("rb") as opened:
            sha256 = hashlib.file_digest(opened, "sha256").hexdigest()
            size = os.fstat(opened.fileno()).st_size
        _checked(sha256, size, file)
        try:
            to.hardlink_to(source.resolve())
        except OSError:
            shutil.copyfile(source, to)
    except OSError as error:
        raise SourceFailed(f"{source} cannot be read: {error.strerror}") from error
    return sha256


def _checked(sha256: str, size: int, file: File) -> str:
    if file.sha256 is not None and sha256 != file.sha256:
        raise SourceFailed(f"it gave sha256 {sha256} ({size:,} bytes) where the catalogue wants {file.sha256}")
    return sha256
