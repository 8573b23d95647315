"""The one way out to the web: every hop checked, its address pinned, and every answer bounded."""

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Collection, Mapping, Set
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from tools.errors import Busy, EngineFailed, Forbidden, NotFound, TooLarge, UnsupportedMedia
from tools.settings import Settings, Web
from tools.web.addresses import Target, check, resolve
from tools.web.unpacking import Unpacker

READABLE = ("text/html", "application/xhtml+xml", "text/plain", "text/markdown")
DOCUMENTS = {
    "application/pdf": ".pdf",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document": ".docx",
    "application/vnd.openxmlformats-officedocument.presentationml.presentation": ".pptx",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": ".xlsx",
    "text/csv": ".csv",
}
DATA = ("application/json", "application/atom+xml", "application/xml", "text/xml", "text/plain")

_REDIRECTS = {301, 302, 303, 307, 308}
_IDLE_SECONDS = 10.0
_PATIENCE_SECONDS = 3.0
_PIECE = 1 << 16


@dataclass(frozen=True)
class Rules:
    """What may be fetched and what an answer may cost; `allow` are hosts that need not be on the open web."""

    web: Web
    allow: Set[str]
    offline: bool

    @classmethod
    def of(cls, settings: Settings, *, also: Collection[str] = ()) -> "Rules":
        """The owner's rules; `also` are hosts that the owner named elsewhere, such as a search engine of their own."""
        return cls(settings.web, frozenset(map(str.lower, (*settings.web.allow, *also))), settings.offline)


@dataclass(frozen=True)
class Order:
    """What to ask for. One with a body or secrets is never redirected: its headers are for one host only."""

    accept: Collection[str] = READABLE
    headers: Mapping[str, str] | None = None
    body: Mapping[str, Any] | None = None

    @property
    def redirects(self) -> bool:
        return self.headers is None and self.body is None


@dataclass(frozen=True)
class Fetched:
    """An answer: `url` is the last hop's, `charset` and `modified` as its headers told, `at` when it was read."""

    url: str
    data: bytes
    media_type: str
    charset: str | None
    modified: datetime | None
    at: datetime


async def fetch(address: str, rules: Rules, order: Order | None = None) -> Fetched:
    """Read one address within the rules.

    Raises `Forbidden` for an address that is refused, `NotFound`, `Busy` and `EngineFailed` for what the other side
    did, `TooLarge` and `UnsupportedMedia` for an answer beyond the bounds.
    """
    order = order or Order()
    try:
        async with asyncio.timeout(rules.web.page_seconds):
            return await _follow(address, rules, order)
    except TimeoutError as error:
        host = URL(address).host
        raise EngineFailed(
            f"{host!r} did not answer within {rules.web.page_seconds:g} s.", remedy="Try again later."
        ) from error
    except (aiohttp.ClientError, OSError, ValueError) as error:
        raise EngineFailed(f"{URL(address).host!r} failed: {type(error).__name__}.", remedy="Try again.") from error


async def _follow(address: str, rules: Rules, order: Order) -> Fetched:
    for _ in range(rules.web.redirects + 1):
        target = check(address, allow=rules.allow)
        if rules.offline and not target.allowed:
            raise Forbidden(f"{target.host!r} is not read: this host is offline.", remedy="Unset SUTRADHAR_OFFLINE.")
        async with _asked(target, rules, order) as answer:
            if answer.status not in _REDIRECTS:
                return await _taken(answer, rules, order)
            if not order.redirects or "Location" not in answer.headers:
                raise EngineFailed(f"{target.host!r} answered with a redirect that is not followed.")
            onward = target.url.join(URL(answer.headers["Location"]))
            if target.url.scheme == "https" and onward.scheme != "https":
                raise Forbidden(f"{target.host!r} leads from https to {onward.scheme[:20]!r}.")
            address = str(onward)
    raise EngineFailed(f"{URL(address).host!r} redirects more than {rules.web.redirects} times.")


@asynccontextmanager
async def _asked(target: Target, rules: Rules, order: Order) -> AsyncIterator[aiohttp.ClientResponse]:
    """One hop. Its connector knows the checked addresses only, so a name that changes its mind changes nothing."""
    pinned = await resolve(target)
    connector = aiohttp.TCPConnector(
        resolver=_Pinned(pinned), use_dns_cache=False, force_close=True, socket_factory=_only(pinned)
    )
    headers = {
        "User-Agent": rules.web.user_agent,
        "Accept": ", ".join(order.accept),
        "Accept-Encoding": "gzip, deflate",
        **(order.headers or {}),
    }
    async with (
        aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            trust_env=False,
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=_IDLE_SECONDS, sock_read=_IDLE_SECONDS),
        ) as session,
        session.request(
            "GET" if order.body is None else "POST",
            target.url,
            json=order.body,
            headers=headers,
            allow_redirects=False,
        ) as answer,
    ):
        yield answer


class _Pinned(AbstractResolver):
    def __init__(self, addresses: tuple[str, ...]) -> None:
        self._addresses = addresses

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        return [
            ResolveResult(
                hostname=host,
                host=each,
                port=port,
                family=socket.AF_INET6 if ":" in each else socket.AF_INET,
                proto=0,
                flags=socket.AI_NUMERICHOST,
            )
            for each in self._addresses
        ]

    async def close(self) -> None:
        pass


def _only(pinned: tuple[str, ...]) -> Any:
    """Makes sockets for the pinned addresses and for no other; aiohttp asks no resolver about a numeric host."""

    def make(info: Any) -> socket.socket:
        family, kind, proto, _, address = info
        if address[0] not in pinned:
            raise OSError(f"{address[0]} was not checked")
        return socket.socket(family, kind, proto)

    return make


async def _taken(answer: aiohttp.ClientResponse, rules: Rules, order: Order) -> Fetched:
    host = answer.url.host
    _check_status(answer)
    kind = answer.content_type.lower()
    if kind not in order.accept:
        raise UnsupportedMedia(f"{host!r} answered with {kind[:60]!r}, which is not read.")
    if (answer.content_length or 0) > rules.web.page_bytes:
        raise TooLarge(
            f"{host!r} answers with {answer.content_length:,} bytes; {rules.web.page_bytes:,} are read.",
            remedy="To read it, raise SUTRADHAR_WEB__PAGE_BYTES.",
        )
    data = await _body(answer, rules.web)
    return Fetched(
        url=str(answer.url),
        data=data,
        media_type=kind,
        charset=answer.charset,
        modified=_date(answer.headers.get("Last-Modified")),
        at=datetime.now(UTC),
    )


def _check_status(answer: aiohttp.ClientResponse) -> None:
    host, status = answer.url.host, answer.status
    if status in {404, 410}:
        raise NotFound(f"{host!r} has no such page ({status}).")
    if status == 429:
        wait = answer.headers.get("Retry-After", "")
        raise Busy(f"{host!r} asks to come back later.", retry_after=float(wait) if wait.isdecimal() else 60.0)
    if status in {401, 403}:
        raise Forbidden(f"{host!r} lets nobody read this ({status}).", remedy="Check the key, if it takes one.")
    if status != 200:
        raise EngineFailed(f"{host!r} answered {status}.", remedy="Try again later.")


async def _body(answer: aiohttp.ClientResponse, web: Web) -> bytes:
    encoding = answer.headers.get("Content-Encoding", "").strip().lower()
    unpacker, data, taken, began = (
        Unpacker(encoding, most=web.page_bytes, ratio=web.ratio),
        bytearray(),
        0,
        time.monotonic(),
    )
    async for piece in answer.content.iter_chunked(_PIECE):
        taken += len(piece)
        data += unpacker.feed(piece)
        waited = time.monotonic() - began
        if waited > _PATIENCE_SECONDS and taken < web.slowest * waited:
            raise EngineFailed(f"{answer.url.host!r} sends less than {web.slowest:,} bytes a second.")
    return bytes(data)


def _date(header: str | None) -> datetime | None:
    try:
        found = parsedate_to_datetime(header) if header else None
    except ValueError:
        return None
    return found.replace(tzinfo=found.tzinfo or UTC) if found else None
