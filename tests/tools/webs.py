"""A small web on loopback: pages, search engines that speak their own protocols, and answers that misbehave."""

import asyncio
import gzip
import json
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from xml.sax.saxutils import escape

from aiohttp import web
from aiohttp.test_utils import TestServer

from tools.settings import Settings

KEY = "a-key-of-the-owner"


def page(title: str, *paragraphs: str, published: str = "", more: str = "") -> str:
    """A page as a newspaper's server sends it, with menus around the article."""
    date = f'<meta property="article:published_time" content="{published}T08:00:00Z">' if published else ""
    body = "".join(f"<p>{each}</p>" for each in paragraphs)
    return (
        f"<!doctype html><html lang='en'><head><title>{title}</title>{date}</head><body><nav><a href='/'>Home</a>"
        f"<a href='/login'>Log in</a></nav><article><h1>{title}</h1>{body}</article>{more}"
        "<footer>All rights reserved by the publisher.</footer></body></html>"
    )


@dataclass
class Web:
    """`pages` are HTML by path (or bytes with a content type); `asked` counts requests by path; `queries` what was
    searched for. `found` gives the results of every search engine, by default all pages that have a word of the query.
    """

    url: str = ""
    pages: dict[str, str | tuple[str, bytes]] = field(default_factory=dict)
    robots: str | None = None
    asked: Counter[str] = field(default_factory=Counter)
    queries: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)
    found: Callable[[str], list[str]] | None = None

    @property
    def host(self) -> str:
        return self.url.removeprefix("http://")

    def app(self) -> web.Application:
        app = web.Application()
        app.router.add_get("/robots.txt", self._robots)
        app.router.add_get("/searxng/search", self._searxng)
        app.router.add_post("/tavily/search", self._tavily)
        app.router.add_get("/brave/res/v1/web/search", self._brave)
        app.router.add_post("/serper/search", self._serper)
        app.router.add_post("/exa/search", self._exa)
        app.router.add_get("/wikipedia/w/api.php", self._wikipedia)
        app.router.add_get("/arxiv/api/query", self._arxiv)
        app.router.add_get("/odd/{how}", self._odd)
        app.router.add_get("/{path:.*}", self._page)
        return app

    def hits(self, query: str) -> list[tuple[str, str]]:
        """Address and title of the pages for a query."""
        self.queries.append(query)
        words = {word.lower() for word in query.split() if len(word) > 3}
        paths = (
            self.found(query)
            if self.found
            else [
                path
                for path, each in self.pages.items()
                if isinstance(each, str) and any(word in each.lower() for word in words)
            ]
        )
        return [(path if "//" in path else f"{self.url}{path}", path.strip("/") or "home") for path in paths]

    async def _robots(self, request: web.Request) -> web.Response:
        self.asked["/robots.txt"] += 1
        return web.Response(text=self.robots) if self.robots is not None else web.Response(status=404)

    async def _page(self, request: web.Request) -> web.Response:
        self.asked[request.path] += 1
        self.requests.append(str(request.rel_url))
        found = self.pages.get(request.path)
        if found is None:
            return web.Response(status=404)
        if isinstance(found, str):
            return web.Response(text=found, content_type="text/html")
        return web.Response(body=found[1], content_type=found[0])

    async def _searxng(self, request: web.Request) -> web.Response:
        if request.query.get("format") != "json":
            return web.Response(text="<html></html>", content_type="text/html")
        rows = [
            {"url": url, "title": title, "content": f"About {title}."} for url, title in self.hits(request.query["q"])
        ]
        return web.json_response({"query": request.query["q"], "results": rows, "unresponsive_engines": []})

    async def _tavily(self, request: web.Request) -> web.Response:
        if request.headers.get("Authorization") != f"Bearer {KEY}":
            return web.json_response({"detail": {"error": "Unauthorized"}}, status=401)
        rows = self.hits((await request.json())["query"])
        return web.json_response({"results": [{"url": u, "title": t, "content": t, "score": 0.9} for u, t in rows]})

    async def _brave(self, request: web.Request) -> web.Response:
        if request.headers.get("X-Subscription-Token") != KEY:
            return web.json_response({"type": "ErrorResponse"}, status=422)
        rows = self.hits(request.query["q"])
        told = [{"url": u, "title": t, "description": t, "page_age": "2024-05-01T10:00:00"} for u, t in rows]
        return web.json_response({"type": "search", "web": {"type": "search", "results": told}})

    async def _serper(self, request: web.Request) -> web.Response:
        if request.headers.get("X-API-KEY") != KEY:
            return web.json_response({"message": "Unauthorized."}, status=403)
        rows = self.hits((await request.json())["q"])
        return web.json_response({"organic": [{"link": u, "title": t, "snippet": t} for u, t in rows]})

    async def _exa(self, request: web.Request) -> web.Response:
        if request.headers.get("x-api-key") != KEY:
            return web.json_response({"error": "Invalid API key"}, status=401)
        rows = self.hits((await request.json())["query"])
        told = [{"url": u, "title": t, "publishedDate": "2023-02-01T00:00:00.000Z"} for u, t in rows]
        return web.json_response({"results": told})

    async def _wikipedia(self, request: web.Request) -> web.Response:
        rows = self.hits(request.query["srsearch"])
        told = [{"ns": 0, "title": title, "snippet": f'<span class="m">{title}</span>'} for _, title in rows]
        return web.json_response({"batchcomplete": "", "query": {"search": told}})

    async def _arxiv(self, request: web.Request) -> web.Response:
        rows = self.hits(request.query["search_query"].replace("all:", ""))
        entries = "".join(
            f"<entry><id>http://arxiv.org/abs/2401.0000{n}v1</id><title>{escape(title)}</title>"
            f"<summary>{escape(title)}</summary><published>2024-01-0{n + 1}T00:00:00Z</published></entry>"
            for n, (_, title) in enumerate(rows)
        )
        feed = f'<?xml version="1.0"?><feed xmlns="http://www.w3.org/2005/Atom">{entries}</feed>'
        return web.Response(text=feed, content_type="application/atom+xml")

    async def _odd(self, request: web.Request) -> web.StreamResponse:
        how = request.match_info["how"]
        self.asked[request.path] += 1
        match how:
            case "loop":
                raise web.HTTPFound("/odd/loop")
            case "away":
                raise web.HTTPFound(request.query["to"])
            case "bomb":
                packed = gzip.compress(b" " * 40_000_000)
                return web.Response(body=packed, headers={"Content-Encoding": "gzip"}, content_type="text/html")
            case "brotli":
                return web.Response(body=b"x", headers={"Content-Encoding": "br"}, content_type="text/html")
            case "picture":
                return web.Response(body=b"\x89PNG", content_type="image/png")
            case "later":
                return web.Response(status=429, headers={"Retry-After": "7"})
        return await _pour(request, how)


async def _pour(request: web.Request, how: str) -> web.StreamResponse:
    """An answer that never ends: a drip, a flood, or silence."""
    answer = web.StreamResponse(headers={"Content-Type": "text/html"})
    await answer.prepare(request)
    while request.transport is not None and not request.transport.is_closing():
        if how != "silence":
            await answer.write(b" " if how == "drip" else b" " * 1_000_000)
        await asyncio.sleep(0 if how == "flood" else 0.05)
    return answer


@asynccontextmanager
async def served(web_: Web) -> AsyncIterator[Web]:
    server = TestServer(web_.app())
    await server.start_server()
    web_.url = f"http://127.0.0.1:{server.port}"
    try:
        yield web_
    finally:
        await server.close()


def settings_for(settings: Settings, web_: Web, **more: Any) -> Settings:
    """Settings that search this web and may read it; everything else of the web stays closed."""
    told: dict[str, Any] = {
        "searxng": f"{web_.url}/searxng",
        "allow": [web_.host],
        "free": [],
        "seconds": 5,
        **more,
    }
    changed = settings.web.model_validate(json.loads(json.dumps(_renamed(told))))
    return settings.model_copy(update={"web": changed})


def _renamed(told: dict[str, Any]) -> dict[str, Any]:
    return {{"seconds": "page_seconds", "bytes": "page_bytes"}.get(name, name): each for name, each in told.items()}
