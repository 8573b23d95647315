"""The tool that reads pages of the web."""

import asyncio
from typing import Annotated

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from tools.bench import Bench
from tools.errors import EngineFailed, NotFound, SutradharError, UnsupportedMedia
from tools.isolation import Limits
from tools.isolation.process import ChildEngine, start
from tools.toolbox import tool
from tools.web.readable import Readable, Text
from tools.web.visits import Visit, visit

VERSION = "1"
AT_ONCE = 4
PAGE_SECONDS = 20.0
"""Longest that the text of one page may be searched for."""

_MEMORY = 1 << 30


class FetchInput(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    urls: Annotated[list[Annotated[str, Field(min_length=1, max_length=2_048)]], Field(min_length=1, max_length=20)]
    given: bool = Field(False, description="A person gave these addresses, so that robots.txt is not asked.")
    characters: Annotated[int, Field(ge=200, le=400_000)] = Field(100_000, description="Longest text of one page.")


class Page(BaseModel):
    """A page as it was read `at` a time. `published` is an ISO date, empty where the page tells none.

    A PDF or an office document has no paragraphs: its bytes are `media`, for the reader of documents.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    asked: str
    url: str
    title: str = ""
    paragraphs: tuple[str, ...] = ()
    published: str = ""
    author: str = ""
    site: str = ""
    language: str = ""
    media: str
    media_type: str
    document: bool = False
    at: AwareDatetime


class Unread(BaseModel):
    """An address that could not be read, and why."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    asked: str
    reason: str


class Pages(BaseModel):
    """In the order of the addresses."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    pages: list[Page]
    unread: list[Unread]


# the address itself goes out, and with it whatever somebody put into it
@tool(title="Read web pages", effect="spend", idempotent=True)
async def fetch_page(input: FetchInput, bench: Bench) -> Pages:
    """Read pages of the open web as plain text, with title, author, date and the time of access.

    What cannot be read is listed with its reason; nothing inside this network is ever asked for.
    """
    gate = asyncio.Semaphore(AT_ONCE)

    async def one(address: str) -> tuple[str, Visit] | Unread:
        async with gate:
            try:
                return address, await visit(bench, address, given=input.given)
            except SutradharError as error:
                return Unread(asked=address, reason=error.message)

    visits = await asyncio.gather(*(one(each) for each in dict.fromkeys(input.urls)))
    pages, unread = list[Page](), [each for each in visits if isinstance(each, Unread)]
    reader = _Reader(bench)
    try:
        for count, (asked, each) in enumerate((each for each in visits if not isinstance(each, Unread)), 1):
            try:
                pages.append(_page(asked, each, await reader.text(each), input.characters))
            except (UnsupportedMedia, EngineFailed) as error:
                unread.append(Unread(asked=asked, reason=error.message))
            bench.progress(fraction=count / len(visits), note=each.url[:200])
    finally:
        await asyncio.shield(reader.close())
    return Pages(pages=pages, unread=unread)


class _Reader:
    """One child for all pages of a call, begun when the first is not kept; one that dies of a page is begun again."""

    def __init__(self, bench: Bench) -> None:
        self._bench = bench
        self._child: ChildEngine | None = None

    async def text(self, visited: Visit) -> Text:
        """The text of a visit, read once per content."""
        if visited.is_document:
            return Text(title="", paragraphs=())
        media, name = self._bench.media, f"readable-{VERSION}.json"
        try:
            return _Kept.model_validate_json(await media.read(f"{visited.media}/{name}")).text
        except (NotFound, ValidationError):
            text = await self._read(visited)
        await media.derive(visited.media, name, _Kept(text=text).model_dump_json().encode())
        return text

    async def _read(self, visited: Visit) -> Text:
        if self._child is None or not self._child.alive:
            await self.close()
            walls = Limits(memory=_MEMORY, cpu_seconds=PAGE_SECONDS * 20, network=False)
            self._child = await start("tools.web.readable:Readable", limits=walls)
        data = await self._bench.media.read(visited.media)
        html = "html" in visited.media_type
        try:
            async with asyncio.timeout(PAGE_SECONDS):
                return await self._child.call(Readable.read, data, visited.url, visited.charset, html)
        except TimeoutError as error:
            await self.close()
            raise UnsupportedMedia(f"{visited.url[:200]!r} could not be read within {PAGE_SECONDS:g} s.") from error

    async def close(self) -> None:
        if self._child is not None:
            await self._child.close()
            self._child = None


class _Kept(BaseModel):
    text: Text


def _page(asked: str, visited: Visit, text: Text, characters: int) -> Page:
    kept, length = list[str](), 0
    # a page that is made when it is asked for says that it was modified now
    modified = visited.modified if visited.modified and "html" not in visited.media_type else None
    for paragraph in text.paragraphs:
        kept.append(paragraph[: characters - length])
        length += len(kept[-1])
        if length >= characters:
            break
    return Page(
        asked=asked,
        url=visited.url,
        title=text.title,
        paragraphs=tuple(kept),
        published=text.published or (modified.date().isoformat() if modified else ""),
        author=text.author,
        site=text.site,
        language=text.language,
        media=visited.media,
        media_type=visited.media_type,
        document=visited.is_document,
        at=visited.at,
    )
