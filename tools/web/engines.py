"""Search engines of the web, one function each: what it is asked, and where its answer keeps the results."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from tools.errors import EngineFailed

Kind = Literal["web", "papers", "encyclopaedia"]


class Result(BaseModel):
    """A page that an engine names. `published` is what the engine says of it, an ISO date or empty."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    url: str
    title: str
    snippet: str = ""
    published: str = ""
    engine: str


@dataclass(frozen=True)
class Wanted:
    query: str
    limit: int
    language: str
    key: str


@dataclass(frozen=True)
class Call:
    """One request of an engine: a path at its address, with parameters, headers and a body."""

    path: str
    query: dict[str, str]
    headers: dict[str, str] | None = None
    body: dict[str, Any] | None = None


Ask = Callable[[Wanted], Call]
Read = Callable[[Any], list[dict[str, Any]]]


@dataclass(frozen=True)
class Engine:
    """`names` maps url, title, snippet and published to the engine's own words; `read` finds the list of results.

    `address` may hold `{language}`. An engine with `keyed` is asked only with a key.
    """

    name: str
    kind: Kind
    address: str
    ask: Ask
    read: Read
    names: dict[str, str]
    keyed: bool = False


def _searxng(wanted: Wanted) -> Call:
    return Call("search", {"q": wanted.query, "format": "json", "language": wanted.language or "all"})


def _tavily(wanted: Wanted) -> Call:
    body = {"query": wanted.query, "max_results": min(wanted.limit, 20)}
    return Call("search", {}, {"Authorization": f"Bearer {wanted.key}"}, body)


def _brave(wanted: Wanted) -> Call:
    query = {"q": wanted.query[:400], "count": str(min(wanted.limit, 20))}
    return Call("res/v1/web/search", query, {"X-Subscription-Token": wanted.key})


def _serper(wanted: Wanted) -> Call:
    return Call("search", {}, {"X-API-KEY": wanted.key}, {"q": wanted.query, "num": wanted.limit})


def _exa(wanted: Wanted) -> Call:
    return Call("search", {}, {"x-api-key": wanted.key}, {"query": wanted.query, "numResults": wanted.limit})


def _wikipedia(wanted: Wanted) -> Call:
    query = {"action": "query", "list": "search", "format": "json", "srsearch": wanted.query[:300]}
    return Call("w/api.php", {**query, "srlimit": str(min(wanted.limit, 50))})


def _arxiv(wanted: Wanted) -> Call:
    words = re.findall(r"\w{3,}", wanted.query)[:8]
    return Call(
        "api/query", {"search_query": " AND ".join(f"all:{each}" for each in words), "max_results": str(wanted.limit)}
    )


def _at(*path: str) -> Read:
    def read(answer: Any) -> list[dict[str, Any]]:
        for step in path:
            answer = answer.get(step) if isinstance(answer, dict) else None
        return [each for each in answer if isinstance(each, dict)] if isinstance(answer, list) else []

    return read


def _pages_of_wikipedia(answer: Any) -> list[dict[str, Any]]:
    rows = _at("query", "search")(answer)
    plain = [{**each, "snippet": re.sub(r"<[^>]*>", "", str(each.get("snippet", "")))} for each in rows]
    return [{**each, "url": "wiki/" + str(each.get("title", "")).replace(" ", "_")} for each in plain]


def _entries_of_arxiv(answer: Any) -> list[dict[str, Any]]:
    from lxml import etree

    atom = "{http://www.w3.org/2005/Atom}"
    parser = etree.XMLParser(resolve_entities=False, no_network=True, huge_tree=False)
    try:
        root = etree.fromstring(str(answer).encode(), parser)
    except etree.XMLSyntaxError as error:
        raise EngineFailed("arXiv answered with something else than Atom.", remedy="Try again later.") from error
    found = list[dict[str, Any]]()
    for entry in root.iter(f"{atom}entry"):
        told = {name: " ".join((entry.findtext(atom + name) or "").split()) for name in ("id", "title", "summary")}
        found.append({**told, "published": entry.findtext(f"{atom}published") or ""})
    return [each for each in found if "/abs/" in each["id"]]


ENGINES = (
    Engine("searxng", "web", "", _searxng, _at("results"), {"snippet": "content", "published": "publishedDate"}),
    Engine(
        "tavily",
        "web",
        "https://api.tavily.com",
        _tavily,
        _at("results"),
        {"snippet": "content", "published": "published_date"},
        keyed=True,
    ),
    Engine(
        "brave",
        "web",
        "https://api.search.brave.com",
        _brave,
        _at("web", "results"),
        {"snippet": "description", "published": "page_age"},
        keyed=True,
    ),
    Engine(
        "serper",
        "web",
        "https://google.serper.dev",
        _serper,
        _at("organic"),
        {"url": "link", "published": "date"},
        keyed=True,
    ),
    Engine(
        "exa",
        "web",
        "https://api.exa.ai",
        _exa,
        _at("results"),
        {"snippet": "text", "published": "publishedDate"},
        True,
    ),
    Engine("wikipedia", "encyclopaedia", "https://{language}.wikipedia.org", _wikipedia, _pages_of_wikipedia, {}),
    Engine(
        "arxiv",
        "papers",
        "https://export.arxiv.org",
        _arxiv,
        _entries_of_arxiv,
        {"url": "id", "snippet": "summary"},
    ),
)
"""In the order in which they are asked; every word of a result is the engine's, and is checked before it is used."""
