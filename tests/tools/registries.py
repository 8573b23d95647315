"""A package index, an npm registry, a model hub and repositories on loopback, which can be told to misbehave."""

import asyncio
import hashlib
import io
import re
import tarfile
import zipfile
from base64 import b64encode
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from aiohttp import web

COMMIT = "0123456789abcdef0123456789abcdef01234567"


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def wheel(**members: bytes) -> bytes:
    """A wheel with these members; `__` in a name stands for a slash, `_DOT_` for a dot."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name.replace("__", "/").replace("_DOT_", "."), data)
    return buffer.getvalue()


def tarball(members: dict[str, bytes], links: dict[str, str] | None = None) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, target in (links or {}).items():
            link = tarfile.TarInfo(name)
            link.type, link.linkname = tarfile.SYMTYPE, target
            archive.addfile(link)
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


@dataclass
class Registries:
    """What is on the shelves, and what went wrong or was asked.

    `cut` ends the answer for a file after so many bytes, once; `stall` stops there until the client leaves;
    `lies` are digests told instead of the true ones.
    """

    url: str = ""
    packages: dict[str, dict[str, bytes]] = field(default_factory=dict)
    npm: dict[str, dict[str, bytes]] = field(default_factory=dict)
    hub: dict[str, bytes] = field(default_factory=dict)
    commits: dict[str, bytes] = field(default_factory=dict)
    cut: dict[str, int] = field(default_factory=dict)
    stall: dict[str, int] = field(default_factory=dict)
    stalled: asyncio.Event = field(default_factory=asyncio.Event)
    lies: dict[str, str] = field(default_factory=dict)
    html: bool = False
    asked: Counter[str] = field(default_factory=Counter)
    ranges: list[str] = field(default_factory=list)
    authorizations: list[str] = field(default_factory=list)

    def app(self) -> web.Application:
        app = web.Application()
        app.router.add_get("/simple/{name}/", self._simple)
        app.router.add_get("/npm/{name:.+}", self._npm)
        app.router.add_get("/files/{name}", self._file)
        app.router.add_get("/{owner}/{repo}/tar.gz/{commit}", self._commit)
        app.router.add_route("*", "/{repo:(?:datasets/)?[^/]+/[^/]+}/resolve/{revision}/{path:.+}", self._hub)
        app.router.add_get("/cdn/{key:.+}", self._cdn)
        return app

    def _files(self) -> dict[str, bytes]:
        shelves = [*self.packages.values(), *self.npm.values()]
        return {name: data for shelf in shelves for name, data in shelf.items()}

    async def _simple(self, request: web.Request) -> web.Response:
        shelf = self.packages.get(request.match_info["name"])
        self.asked["index"] += 1
        if shelf is None:
            raise web.HTTPNotFound
        if self.html:
            links = [f'<a href="../../files/{n}#sha256={self._digest(n, d)}">{n}</a>' for n, d in shelf.items()]
            return web.Response(
                text=f"<!doctype html><html><body>{''.join(links)}</body></html>", content_type="text/html"
            )
        files = [
            {"filename": n, "url": f"../../files/{n}", "hashes": {"sha256": self._digest(n, d)}, "size": len(d)}
            for n, d in shelf.items()
        ]
        return web.json_response({"files": files}, content_type="application/vnd.pypi.simple.v1+json")

    async def _npm(self, request: web.Request) -> web.Response:
        shelf = self.npm.get(request.match_info["name"])
        if shelf is None:
            raise web.HTTPNotFound
        versions = {}
        for name, data in shelf.items():
            version = re.search(r"-(\d+\.\d+\.\d+)\.tgz", name)
            assert version
            integrity = self.lies.get(name) or f"sha512-{b64encode(hashlib.sha512(data).digest()).decode()}"
            versions[version[1]] = {"dist": {"tarball": f"{self.url}/files/{name}", "integrity": integrity}}
        return web.json_response({"versions": versions})

    def _digest(self, name: str, data: bytes) -> str:
        return self.lies.get(name) or sha256(data)

    async def _file(self, request: web.Request) -> web.StreamResponse:
        name = request.match_info["name"]
        return await self._send(request, name, self._files()[name])

    async def _commit(self, request: web.Request) -> web.StreamResponse:
        key = "{owner}/{repo}@{commit}".format_map(request.match_info)
        if key not in self.commits:
            raise web.HTTPNotFound
        return await self._send(request, key, self.commits[key])

    async def _hub(self, request: web.Request) -> web.StreamResponse:
        path = request.match_info["path"]
        key = f"{request.match_info['repo']}/{path}"
        data = self.hub.get(key)
        if data is None:
            raise web.HTTPNotFound(headers={"X-Error-Code": "EntryNotFound"})
        headers = {
            "X-Repo-Commit": COMMIT,
            "X-Linked-Size": str(len(data)),
            "X-Linked-ETag": f'"{self._digest(key, data)}"',
            "ETag": '"pointer"',
            "Location": f"{self.url.replace('127.0.0.1', 'localhost')}/cdn/{key}",
        }
        self.asked[request.method] += 1
        self.asked[request.match_info["revision"]] += 1
        return web.Response(status=302, headers=headers)

    async def _cdn(self, request: web.Request) -> web.StreamResponse:
        if "Authorization" in request.headers:
            self.authorizations.append(request.headers["Authorization"])
        return await self._send(request, request.match_info["key"], self.hub[request.match_info["key"]])

    async def _send(self, request: web.Request, name: str, data: bytes) -> web.StreamResponse:
        self.asked[name] += 1
        start = 0
        if wanted := re.fullmatch(r"bytes=(\d+)-", request.headers.get("Range", "")):
            start = int(wanted[1])
            self.ranges.append(request.headers["Range"])
        headers = {"Content-Range": f"bytes {start}-{len(data) - 1}/{len(data)}"} if start else {}
        response = web.StreamResponse(status=206 if start else 200, headers=headers)
        response.content_length = len(data) - start
        await response.prepare(request)
        if (stall := self.stall.pop(name, None)) is not None:
            await response.write(data[start:stall])
            await asyncio.sleep(0.2)
            self.stalled.set()
            await asyncio.sleep(60)
        cut = self.cut.pop(name, None)
        await response.write(data[start : cut if cut is not None else len(data)])
        if cut is not None and request.transport:
            request.transport.close()
        return response


@asynccontextmanager
async def serving(registries: Registries) -> AsyncIterator[Registries]:
    """The registries on a free port of loopback."""
    runner = web.AppRunner(registries.app(), access_log=None, shutdown_timeout=1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    registries.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield registries
    finally:
        await runner.cleanup()


def bytes_under(folder: Path) -> set[str]:
    return {
        str(path.relative_to(folder))
        for path in folder.rglob("*")
        if path.is_file() and not path.name.endswith(".lock")
    }
