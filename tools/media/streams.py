"""Addresses of live pictures: RTSP and HLS, only those that the owner listed, decoded in a limited child."""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from fnmatch import fnmatchcase

from yarl import URL

from tools.errors import EngineFailed, Forbidden, InvalidInput, UnsupportedMedia
from tools.isolation import Limits as ChildLimits
from tools.isolation.process import ChildEngine, spawn
from tools.media.container import Bounds
from tools.media.streaming import Piece, Streaming
from tools.settings import Settings
from tools.web.addresses import check, resolve

_PORTS = {"rtsp": 554, "rtsps": 322, "http": 80, "https": 443}


@dataclass(frozen=True)
class Source:
    """An address that may be watched. `opened` is what is connected to: of RTSP the host's checked number."""

    opened: str
    name: str
    allow: tuple[str, ...]


async def admit(address: str, settings: Settings) -> Source:
    """The address, when the owner listed it; raises `InvalidInput` or `Forbidden` with the setting that allows it."""
    try:
        url = URL(address)
        host, port = url.host, url.port or _PORTS.get(url.scheme)
    except ValueError as error:
        raise InvalidInput(f"{address[:80]!r} is not an address: {error}.", param="url") from error
    if url.scheme not in _PORTS or not host or port is None:
        raise InvalidInput(
            f"{address[:80]!r} is no live picture.", remedy="Name an rtsp, rtsps, http or https address.", param="url"
        )
    if url.user is not None and not url.scheme.startswith("rtsp"):
        raise Forbidden(f"An address of {host!r} carries credentials.", remedy="Take them out.")
    bare = str(url.with_user(None))
    if not is_listed(bare, settings.live.allow):
        raise Forbidden(
            f"{bare[:200]!r} is not among the live pictures that may be watched here.",
            remedy=f"""To allow it, its owner sets SUTRADHAR_LIVE__ALLOW='["{url.scheme}://{host}:{port}/*"]'.""",
        )
    # the form of the address is checked as the web's are; that the host may be anywhere is the owner's word
    form = URL.build(scheme="http", host=host, port=port, path=url.path or "/")
    numbers = await resolve(check(str(form), allow={f"{host.lower()}:{port}"}))
    opened = str(url.with_host(numbers[0]) if url.scheme == "rtsp" else url)
    return Source(opened, bare, tuple(settings.live.allow))


def is_listed(address: str, allow: list[str] | tuple[str, ...]) -> bool:
    """Whether a pattern fits the address, which may leave out its scheme's usual port; it must not climb folders."""
    url = URL(address)
    if ".." in url.path.split("/") or ".." in address.split("/"):
        return False
    host = f"[{url.host}]" if url.host and ":" in url.host else url.host
    full = f"{url.scheme}://{host}:{url.port or _PORTS.get(url.scheme, 0)}{url.raw_path_qs}"
    return any(fnmatchcase(each, pattern) for pattern in allow for each in (str(url), full))


class StreamReader:
    """One live picture, open in a child of its own."""

    def __init__(self, child: ChildEngine, source: Source) -> None:
        self._child, self._source = child, source

    async def pieces(self) -> AsyncGenerator[Piece, None]:
        """The newest frame each time, and the sound since; raises `UnsupportedMedia` when it cannot be read."""
        try:
            async for piece in self._child.stream(Streaming.pieces):
                yield piece
        except EngineFailed as error:
            raise UnsupportedMedia(f"{self._source.name!r} cannot be watched: {error.message[:200]}") from error


@asynccontextmanager
async def open_stream(source: Source, settings: Settings, *, fps: float, sound: bool) -> AsyncIterator[StreamReader]:
    """A reader for as long as the block lasts."""
    limits = settings.limits
    # it lasts as long as the picture does, so that only its memory is bounded; it needs the network
    child = ChildLimits(memory=limits.child_memory, network=True)
    bounds = Bounds(pixels=limits.pixels, seconds=settings.live.seconds, streams=limits.streams)
    options = {"url": source.opened, "allow": source.allow, "bounds": bounds, "fps": fps, "sound": sound}
    async with spawn("tools.media.streaming:Streaming", options=options, limits=child) as running:
        yield StreamReader(running, source)
