"""The library: which sources there are and how far they are, and what users said and prefer.

It lies in LangGraph's Store, one namespace per tenant, so that no look-up can reach into another's.
"""

import asyncio
import base64
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any, Literal

from langgraph.store.base import BaseStore
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from knowledge.schema import owner
from tools.capability import Part
from tools.errors import NotFound, NotInstalled

Kind = Literal["video", "audio", "document", "image"]
SourceState = Literal["queued", "running", "ready", "failed"]
StageState = Literal["queued", "running", "done", "skipped", "failed"]

Sha = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$", description="The sha256 of the content.")]
Name = Annotated[str, Field(min_length=1, max_length=200)]

_PAGE = 500
_BUSY_MS = 10_000


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Stage(_Record):
    """One step of an ingest: `fraction` is 0..1, `note` what a person wants to know of it."""

    state: StageState
    fraction: Annotated[float, Field(ge=0, le=1)] | None = None
    seconds: Annotated[float, Field(ge=0)] | None = None
    note: Annotated[str, Field(max_length=1_000)] = ""


class Source(_Record):
    """A medium or document in a knowledge base. `segments` counts what was remembered of it, by modality.

    `duration` is in seconds. `reason` says why a failed source failed.
    """

    sha256: Sha
    knowledge_base: Name
    name: Name
    kind: Kind
    state: SourceState = "queued"
    reason: str = ""
    duration: float | None = None
    pages: int | None = None
    stages: dict[str, Stage] = {}
    segments: dict[str, int] = {}
    added_at: AwareDatetime
    updated_at: AwareDatetime


class SourceChange(_Record):
    """What changed about a source; what is not set stays as it is, and stages are changed one by one."""

    name: Name | None = None
    kind: Kind | None = None
    state: SourceState | None = None
    reason: Annotated[str, Field(max_length=2_000)] | None = None
    duration: Annotated[float, Field(ge=0)] | None = None
    pages: Annotated[int, Field(ge=0)] | None = None
    stages: Annotated[dict[Name, Stage], Field(max_length=40)] = {}
    segments: Annotated[dict[Name, int], Field(max_length=40)] | None = None


class Feedback(_Record):
    """What a user said about an answer: `run` is the run's id."""

    run: Name
    rating: Literal["up", "down"]
    comment: Annotated[str, Field(max_length=4_000)] = ""
    at: AwareDatetime


class Library:
    """Sources, feedback and preferences of all tenants. Every method takes the tenant first."""

    def __init__(self, store: BaseStore) -> None:
        self._store = store
        # a change is read, merged and written back; stages of one source report at the same time
        self._changing = asyncio.Lock()

    async def put(self, tenant: str, knowledge_base: str, sha: str, change: SourceChange) -> Source:
        """Add a source or change it; a new one without a name is called by its hash."""
        async with self._changing:
            now = datetime.now(UTC)
            old = await self.find(tenant, knowledge_base, sha)
            old = old or Source(
                sha256=sha,
                knowledge_base=knowledge_base,
                name=change.name or sha[:12],
                kind=change.kind or "document",
                added_at=now,
                updated_at=now,
            )
            set_ = change.model_dump(exclude_unset=True, exclude={"stages"}, exclude_none=True)
            new = Source.model_validate(
                {**old.model_dump(), **set_, "stages": {**old.stages, **change.stages}, "updated_at": now}
            )
            await self._store.aput(_sources(tenant, knowledge_base), sha, new.model_dump(mode="json"), index=False)
            return new

    async def get(self, tenant: str, knowledge_base: str, sha: str) -> Source:
        """Raises `NotFound`, for another tenant's source too."""
        source = await self.find(tenant, knowledge_base, sha)
        if source is None:
            raise NotFound(
                f"There is no source {sha[:12]!r} in knowledge base {knowledge_base!r}.",
                remedy="`list_sources` shows what there is.",
                param="sha256",
            )
        return source

    async def sources(
        self, tenant: str, knowledge_base: str | None = None, state: SourceState | None = None
    ) -> list[Source]:
        """The tenant's sources, newest first; those in one state only, where it is given."""
        prefix = _sources(tenant) if knowledge_base is None else _sources(tenant, knowledge_base)
        items = await self._all(prefix, None if state is None else {"state": state})
        found = [Source.model_validate(value) for value in items]
        return sorted(found, key=lambda source: (source.added_at, source.sha256), reverse=True)

    async def forget(self, tenant: str, knowledge_base: str, sha: str) -> None:
        async with self._changing:
            await self._store.adelete(_sources(tenant, knowledge_base), sha)

    async def own(self, tenant: str, sha: str, name: str) -> None:
        """Note that the tenant made this content, which is no source; saying it again renames it."""
        await self._store.aput(_space("artefacts", tenant), sha, {"name": name}, index=False)

    async def owned(self, tenant: str, sha: str) -> str | None:
        """What the tenant calls content that it made; None for unknown and for another tenant's."""
        item = await self._store.aget(_space("artefacts", tenant), sha)
        return str(item.value["name"]) if item else None

    async def artefacts(self, tenant: str) -> dict[str, str]:
        """Names by hash of the content that the tenant brought or made and that is no source."""
        found = dict[str, str]()
        while page := await self._store.asearch(_space("artefacts", tenant), limit=_PAGE, offset=len(found)):
            found |= {item.key: str(item.value["name"]) for item in page}
        return found

    async def disown(self, tenant: str, sha: str) -> None:
        await self._store.adelete(_space("artefacts", tenant), sha)

    async def held(self) -> set[str]:
        """The content that any tenant has as a source or has made."""
        return {sha for what in ("sources", "artefacts") for sha in await self._keys((what,))}

    async def say(self, tenant: str, feedback: Feedback) -> None:
        """Keep what a user said about a run; saying it again replaces it."""
        await self._store.aput(_space("feedback", tenant), feedback.run, feedback.model_dump(mode="json"), index=False)

    async def feedback(self, tenant: str) -> list[Feedback]:
        return [Feedback.model_validate(value) for value in await self._all(_space("feedback", tenant))]

    async def prefer(self, tenant: str, user: str, preferences: Mapping[str, Any]) -> dict[str, Any]:
        """Change some of a user's preferences; None takes one away. Returns all of them."""
        async with self._changing:
            merged = {**await self.preferences(tenant, user), **preferences}
            kept = {name: value for name, value in merged.items() if value is not None}
            await self._store.aput(_space("preferences", tenant), user, kept, index=False)
            return kept

    async def preferences(self, tenant: str, user: str) -> dict[str, Any]:
        item = await self._store.aget(_space("preferences", tenant), user)
        return dict(item.value) if item else {}

    async def find(self, tenant: str, knowledge_base: str, sha: str) -> Source | None:
        item = await self._store.aget(_sources(tenant, knowledge_base), sha)
        return Source.model_validate(item.value) if item else None

    async def _all(self, prefix: tuple[str, ...], only: dict[str, Any] | None = None) -> list[dict[str, Any]]:
        values: list[dict[str, Any]] = []
        while page := await self._store.asearch(prefix, filter=only, limit=_PAGE, offset=len(values)):
            values += [dict(item.value) for item in page]
        return values

    async def _keys(self, prefix: tuple[str, ...]) -> set[str]:
        keys, seen = set[str](), 0
        while page := await self._store.asearch(prefix, limit=_PAGE, offset=seen):
            keys |= {item.key for item in page}
            seen += len(page)
        return keys


LIBRARY: Part[Library] = Part("library")


@asynccontextmanager
async def open_library(where: Path | str) -> AsyncIterator[Library]:
    """The library in an SQLite file, or in the Postgres database at a URL."""
    if str(where).startswith(("postgres://", "postgresql://")):
        async with _postgres(str(where)) as store:
            yield Library(store)
        return
    from langgraph.store.sqlite.aio import AsyncSqliteStore

    async with AsyncSqliteStore.from_conn_string(str(where)) as store:
        # readers do not wait for writers, and a commit does not wait for the disk
        for pragma in ("journal_mode = WAL", "synchronous = NORMAL", f"busy_timeout = {_BUSY_MS}"):
            await store.conn.execute(f"PRAGMA {pragma}")
        await store.setup()
        yield Library(store)


@asynccontextmanager
async def _postgres(url: str) -> AsyncIterator[BaseStore]:
    try:
        postgres = import_module("langgraph.store.postgres.aio")
    except ImportError as error:
        raise NotInstalled(
            "The library is set to a Postgres database, whose driver is not installed.",
            remedy="Run `pip install langgraph-checkpoint-postgres`, or unset the library's URL to use SQLite.",
        ) from error
    async with postgres.AsyncPostgresStore.from_conn_string(url) as store:
        await store.setup()
        yield store


def _sources(tenant: str, *knowledge_base: str) -> tuple[str, ...]:
    return _space("sources", tenant, *knowledge_base)


def _space(what: str, tenant: str, *more: str) -> tuple[str, ...]:
    """A namespace. Its parts are joined by dots and looked up by how they begin, so that names, which may hold dots
    and begin alike, are encoded and closed by a colon."""
    names = (owner(tenant), *more)
    return (what, *(base64.urlsafe_b64encode(name.encode()).decode() + ":" for name in names))
