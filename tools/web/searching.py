"""The tool that searches the web, papers and the encyclopaedia, through whatever engines the owner has."""

import json
import re
from collections.abc import Iterator
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field
from yarl import URL

from tools.bench import Bench
from tools.errors import EngineFailed, NotInstalled, SutradharError
from tools.settings import Web
from tools.toolbox import tool
from tools.web.addresses import check
from tools.web.engines import ENGINES, Engine, Kind, Result, Wanted
from tools.web.fetching import DATA, Order, Rules, fetch
from tools.web.pages import fetch_page

_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
_LANGUAGE = re.compile(r"[a-z]{2,3}")


class SearchWebInput(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    query: Annotated[str, Field(min_length=1, max_length=400)]
    kind: Kind = Field("web", description="`web` pages, `papers` of arXiv, or the `encyclopaedia` (Wikipedia).")
    limit: Annotated[int, Field(ge=1, le=50)] = 10
    language: Annotated[str, Field(max_length=16)] = Field("en", description="ISO 639-1, of the pages.")


class Searched(BaseModel):
    """`engine` is the one that answered; `failed` says of those asked before it why they did not."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    results: list[Result]
    engine: str
    failed: list[str] = []


# the query goes to somebody else, who may charge for it
@tool(title="Search the web", effect="spend", idempotent=True)
async def search_web(input: SearchWebInput, bench: Bench) -> Searched:
    """Find pages of the open web, scientific papers or articles of an encyclopaedia, as addresses to read."""
    failed = list[str]()
    for engine in installed(bench.settings.web, input.kind):
        try:
            return Searched(results=await _search(engine, input, bench), engine=engine.name, failed=failed)
        except SutradharError as error:
            failed.append(f"{engine.name}: {error.message}")
    if failed:
        raise EngineFailed(f"No search engine answered. {' '.join(failed)}", remedy="Try again later.")
    raise NotInstalled(
        f"No search engine for {input.kind!r} is configured.",
        remedy=(
            "Set SUTRADHAR_WEB__SEARXNG to the address of a SearXNG, or SUTRADHAR_WEB__KEYS to the key of one of: "
            f"{', '.join(each.name for each in ENGINES if each.keyed)}."
            if input.kind == "web"
            else "Name it in SUTRADHAR_WEB__FREE."
        ),
    )


def installed(web: Web, kind: Kind) -> Iterator[Engine]:
    """The engines that can be asked, the one to ask first at the front."""
    for engine in ENGINES:
        has = bool(_address(engine, web, "en")) and (engine.name in web.keys if engine.keyed else True)
        wanted = kind == "web" or engine.name in web.free
        if engine.kind == kind and has and wanted:
            yield engine


def _address(engine: Engine, web: Web, language: str) -> str:
    address = web.addresses.get(engine.name, web.searxng if engine.name == "searxng" else engine.address)
    return address.replace("{language}", language if _LANGUAGE.fullmatch(language) else "en").rstrip("/")


async def _search(engine: Engine, input: SearchWebInput, bench: Bench) -> list[Result]:
    web = bench.settings.web
    home = _address(engine, web, input.language)
    key = web.keys[engine.name].get_secret_value() if engine.keyed else ""
    call = engine.ask(Wanted(input.query, input.limit, input.language, key))
    # the owner named this address, so it may be a machine of their own; results are not allowed because of it
    named = URL(home)
    own = (f"{named.host}:{named.port}",) if engine.name in web.addresses or engine.name == "searxng" else ()
    order = Order(accept=DATA, headers=call.headers, body=call.body)
    answer = await fetch(
        str(URL(f"{home}/{call.path}").update_query(call.query)), Rules.of(bench.settings, also=own), order
    )
    results = (_result(engine, home, each) for each in engine.read(_parsed(engine, answer.data, answer.media_type)))
    return [each for each in results if each is not None][: input.limit]


def _parsed(engine: Engine, data: bytes, media_type: str) -> Any:
    text = data.decode("utf-8", "replace")
    if "xml" in media_type:
        return text
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise EngineFailed(f"{engine.name} answered with something else than JSON.", remedy="Try again.") from error


def _result(engine: Engine, home: str, row: dict[str, Any]) -> Result | None:
    """A row of the answer as a result; None for one without an address that could be read at all."""

    def told(name: str, most: int) -> str:
        return " ".join(str(row.get(engine.names.get(name, name)) or "").split())[:most]

    url = told("url", 3_000)
    if engine.name == "wikipedia":
        url = str(URL(home) / url)
    try:
        check(url, allow={f"{URL(url).host}:{URL(url).port}"})
    except (SutradharError, ValueError):
        return None
    date = _DATE.match(told("published", 40))
    return Result(
        url=url,
        title=told("title", 300) or url,
        snippet=told("snippet", 1_000),
        published=date[0] if date else "",
        engine=engine.name,
    )


TOOLS = (search_web, fetch_page)
