"""The media store: bytes by their content hash, and what was derived from them (frames, pages, thumbnails).

Media travels by reference everywhere else. The store is a folder of any fsspec file system; one that is not local is
read through a cache folder, because decoders need a real file.
"""

import asyncio
import hashlib
import json
import re
import shutil
import time
import uuid
from collections.abc import AsyncIterable, AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path, PurePosixPath

import fsspec
from pydantic import BaseModel, ConfigDict

from tools.errors import InvalidInput, NotFound, TooLarge

_SHA = re.compile(r"[0-9a-f]{64}")
_CHUNK = 1 << 20
_PASSING = 24 * 3600
"""Seconds after which a passing medium was left behind by a host that died."""


class Media(BaseModel):
    """One stored medium. `name` is what its first owner called it, for people only; `sha256` is its identity."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    sha256: str
    name: str
    size: int


class MediaStore:
    """Content-addressed media under `root`, an fsspec URL or a path; `cache` holds local copies of remote media."""

    def __init__(self, root: str | Path, cache: Path, *, max_bytes: int) -> None:
        self._fs, path = fsspec.core.url_to_fs(str(root))
        self._root = PurePosixPath(path)
        self._local = "file" in self._fs.protocol
        self._cache = cache
        self._max_bytes = max_bytes

    async def put(self, source: Path | AsyncIterable[bytes], *, name: str) -> Media:
        """Keep a medium and return its reference; the same bytes twice are kept once.

        Raises `TooLarge` while reading, not after.
        """
        chunks = _read(source) if isinstance(source, Path) else source
        spool = self._cache / f"{uuid.uuid4().hex}.part"
        spool.parent.mkdir(parents=True, exist_ok=True)
        try:
            sha, size = await self._spool(chunks, spool)
            media = Media(sha256=sha, name=PurePosixPath(name.replace("\\", "/")).name[:200] or "unnamed", size=size)
            return await asyncio.to_thread(self._keep, spool, media)
        finally:
            spool.unlink(missing_ok=True)

    @asynccontextmanager
    async def passing(self, chunks: AsyncIterable[bytes], *, name: str) -> AsyncIterator[Media]:
        """A medium that is kept for as long as the block lasts.

        Its reference is the hash of its bytes and a nonce: nobody can guess it, and dropping it never takes the same
        bytes away from a source or from another request.
        """
        nonce = uuid.uuid4().hex
        spool = self._cache / f"{nonce}.part"
        spool.parent.mkdir(parents=True, exist_ok=True)
        try:
            sha, size = await self._spool(chunks, spool, nonce=nonce.encode())
            await asyncio.to_thread(self._sweep)
            marker = f"{self._root / 'passing'}/{int(time.time())}-{sha}"
            try:
                await asyncio.to_thread(self._write, PurePosixPath(marker), b"")
                media = Media(sha256=sha, name=PurePosixPath(name).name[:200] or "unnamed", size=size)
                yield await asyncio.to_thread(self._keep, spool, media)
            finally:
                await asyncio.shield(asyncio.to_thread(self._drop, sha, marker))
        finally:
            spool.unlink(missing_ok=True)

    def _sweep(self) -> None:
        folder = str(self._root / "passing")
        for path in self._fs.ls(folder, detail=False) if self._fs.exists(folder) else []:
            at, _, sha = PurePosixPath(path).name.partition("-")
            if at.isdigit() and _SHA.fullmatch(sha) and time.time() - int(at) > _PASSING:
                self._drop(sha, path)

    def _drop(self, sha: str, marker: str) -> None:
        self._remove(sha)
        if self._fs.exists(marker):
            self._fs.rm(marker)

    def _remove(self, sha: str) -> None:
        folder = str(self._folder(sha))
        if self._fs.exists(folder):
            self._fs.rm(folder, recursive=True)
        shutil.rmtree(self._cache / "remote" / sha, ignore_errors=True)

    async def _spool(self, chunks: AsyncIterable[bytes], spool: Path, *, nonce: bytes = b"") -> tuple[str, int]:
        digest, size = hashlib.sha256(nonce), 0
        with spool.open("wb") as file:
            async for chunk in chunks:
                size += len(chunk)
                if size > self._max_bytes:
                    raise TooLarge(
                        f"The upload is larger than {self._max_bytes:,} bytes.",
                        remedy="Split it, or raise SUTRADHAR_LIMITS__UPLOAD_BYTES.",
                    )
                digest.update(chunk)
                await asyncio.to_thread(file.write, chunk)
        return digest.hexdigest(), size

    def _keep(self, spool: Path, media: Media) -> Media:
        folder = self._folder(media.sha256)
        if self._fs.exists(str(folder / "media.json")):
            return self._read_meta(media.sha256)
        self._fs.makedirs(str(folder), exist_ok=True)
        if self._local:
            shutil.move(spool, str(folder / "blob"))
        else:
            self._fs.put_file(str(spool), str(folder / "blob"))
        # the meta file is written last, and at once: a medium without it was never acknowledged, and whoever brings the
        # same bytes in this moment must not read half of it
        self._write(folder / "media.json", media.model_dump_json().encode())
        return media

    async def get(self, sha: str) -> Media:
        """What is kept under this hash; raises `NotFound`."""
        return await asyncio.to_thread(self._read_meta, sha)

    async def local(self, ref: str) -> Path:
        """A readable local file for `<sha256>` or `<sha256>/<derived name>`."""
        return await asyncio.to_thread(self._fetch, ref)

    async def derive(self, sha: str, name: str, data: bytes) -> str:
        """Keep something made from a medium, such as `frames/12.480.jpg`; returns its reference."""
        path = self._folder(sha) / "derived" / _safe(name)
        await asyncio.to_thread(self._write, path, data)
        return f"{sha}/{name}"

    async def read(self, ref: str) -> bytes:
        """The bytes behind a reference; for small things such as frames."""
        return await asyncio.to_thread((await self.local(ref)).read_bytes)

    async def delete(self, sha: str) -> None:
        """Forget a medium and all that was derived from it; one that is not there is forgotten already."""
        await asyncio.to_thread(self._remove, sha)

    def _write(self, path: PurePosixPath, data: bytes) -> None:
        self._fs.makedirs(str(path.parent), exist_ok=True)
        part = f"{path}.{uuid.uuid4().hex}.part"
        self._fs.pipe_file(part, data)
        self._fs.mv(part, str(path))

    def _folder(self, sha: str) -> PurePosixPath:
        if not _SHA.fullmatch(sha):
            raise InvalidInput(f"{sha[:80]!r} is not a media reference.", remedy="Use the sha256 that ingest returned.")
        return self._root / sha[:2] / sha

    def _read_meta(self, sha: str) -> Media:
        path = str(self._folder(sha) / "media.json")
        if not self._fs.exists(path):
            raise NotFound(f"There is no medium {sha!r}.", remedy="Upload or ingest it first.")
        return Media.model_validate(json.loads(self._fs.cat_file(path)))

    def _fetch(self, ref: str) -> Path:
        sha, _, derived = ref.partition("/")
        folder = self._folder(sha)
        path = folder / "derived" / _safe(derived) if derived else folder / "blob"
        if not self._fs.exists(str(path)):
            raise NotFound(f"There is no medium {ref!r}.", remedy="Upload or ingest it first.")
        if self._local:
            return Path(path)
        copy = self._cache / "remote" / sha / (derived or "blob")
        if not copy.exists():
            copy.parent.mkdir(parents=True, exist_ok=True)
            part = copy.with_suffix(f".{uuid.uuid4().hex}.part")
            self._fs.get_file(str(path), str(part))
            part.rename(copy)
        return copy


def _safe(name: str) -> PurePosixPath:
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or "\x00" in name or len(name) > 200 or not path.parts:
        raise InvalidInput(f"{name[:80]!r} is not a name for derived media.", remedy="Use a relative path.")
    return path


async def _read(path: Path) -> AsyncIterator[bytes]:
    file = await asyncio.to_thread(path.open, "rb")
    try:
        while chunk := await asyncio.to_thread(file.read, _CHUNK):
            yield chunk
    finally:
        file.close()
