"""One file over HTTP: resumed where it stopped, tried again when the line drops, checked against its digest."""

import asyncio
import hashlib
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import url2pathname

import aiohttp

from tools.sources import SourceFailed

_CHUNK = 1 << 20
_TRIES = 5
_REFUSED = 400


@dataclass(frozen=True)
class Remote:
    """A file at an address. `digest` is the algorithm and its value in hex, as the registry tells it."""

    url: str
    name: str
    digest: tuple[str, str] | None = None
    size: int | None = None
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Transfer:
    """One download. What had come before an interruption lies in `<to>.part` and is continued.

    `progress` is told how many bytes came; a negative number takes some back.
    """

    http: aiohttp.ClientSession
    remote: Remote
    to: Path
    limit: int
    progress: Callable[[int], None]

    @property
    def part(self) -> Path:
        return self.to.with_name(f"{self.to.name}.part")

    def have(self) -> int:
        """Bytes that are already here."""
        return self.part.stat().st_size if self.part.exists() else 0

    async def run(self) -> None:
        """Bring the whole file and check it; raises `SourceFailed`."""
        self.progress(self.have())
        failure, idle, spoiled = "", 0, False
        while idle < _TRIES:
            came = self.have()
            await asyncio.sleep(min(0.1 * 4**idle, 8.0) if idle else 0)
            try:
                await self._continue()
            except (aiohttp.ClientError, TimeoutError, ConnectionError) as error:
                failure = f"{self.remote.name}: {str(error) or type(error).__name__}"
                idle = 0 if self.have() > came else idle + 1
                continue
            if await asyncio.to_thread(_matches, self.part, self.remote.digest):
                self.part.replace(self.to)
                return
            # a part from another version of the file, or a damaged one: only a fresh start can help, and only once
            self.progress(-self.have())
            self.part.unlink()
            failure = f"{self.remote.name} does not have the digest that its registry told"
            if spoiled:
                break
            spoiled = True
        raise SourceFailed(failure)

    async def _continue(self) -> None:
        address = urlsplit(self.remote.url)
        if address.scheme == "file":
            await asyncio.to_thread(_copy, url2pathname(address.path), self.part)
            return
        have = self.have()
        if self.remote.size is not None and have >= self.remote.size:
            return
        headers = self.remote.headers | ({"Range": f"bytes={have}-"} if have else {})
        async with self.http.get(self.remote.url, headers=headers) as response:
            if response.status == 416:
                return  # all of it is here, or it is another file: the digest decides
            if _REFUSED <= response.status < 500 and response.status not in {408, 429}:
                raise SourceFailed(f"{self.remote.name}: the server answered {response.status} {response.reason}")
            response.raise_for_status()
            resumed = response.status == 206 and response.headers.get("Content-Range", "").startswith(f"bytes {have}-")
            if have and not resumed:
                self.progress(-have)
            await self._write(response, have if resumed else 0)

    async def _write(self, response: aiohttp.ClientResponse, have: int) -> None:
        most = self.limit if self.remote.size is None else self.remote.size
        with self.part.open("ab" if have else "wb") as file:
            async for chunk in response.content.iter_chunked(_CHUNK):
                have += len(chunk)
                if have > most:
                    raise SourceFailed(f"{self.remote.name} is larger than the {most:,} bytes that were announced")
                await asyncio.to_thread(file.write, chunk)
                self.progress(len(chunk))


def _copy(source: str, to: Path) -> None:
    try:
        shutil.copyfile(source, to)
    except OSError as error:
        raise SourceFailed(f"{source} cannot be read: {error.strerror}") from error


def _matches(part: Path, digest: tuple[str, str] | None) -> bool:
    if digest is None:
        return True
    algorithm, expected = digest
    with part.open("rb") as file:
        return hashlib.file_digest(file, algorithm).hexdigest() == expected


async def get_json(http: aiohttp.ClientSession, url: str, accept: str) -> tuple[str, Any, str]:
    """The final address, the body and the content type of a registry's answer; a JSON body is parsed."""
    try:
        async with http.get(url, headers={"Accept": accept}) as response:
            if response.status >= _REFUSED:
                raise SourceFailed(f"{response.url.host} answered {response.status} for {response.url.path}")
            kind = response.content_type
            body = await response.json(content_type=None) if kind.endswith("json") else await response.text()
            return str(response.url), body, kind
    except (aiohttp.ClientError, TimeoutError, ValueError) as error:
        raise SourceFailed(f"{urlsplit(url).hostname} cannot be asked: {str(error) or type(error).__name__}") from error
