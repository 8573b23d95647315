"""The host: the one owner of models, of the embedded store and of runs, composed room by room."""

import asyncio
import os
import stat
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING
from uuid import uuid4

from api.auth import is_loopback
from api.limits import Streams
from api.observe import Metrics
from ingestion.live.eyes import Eyes
from tools.bench import Bench
from tools.errors import SutradharError
from tools.open import make_home, open_bench
from tools.settings import Settings
from tools.speech.desk import Desk
from tools.store import WeightStore
from tools.toolbox import TOOLBOX, Toolbox

if TYPE_CHECKING:
    from graphs.runs import Runs


@dataclass(frozen=True)
class Host:
    """An open host. `bench` works for tenant `local`; a door asks for `bench.serving(tenant)`."""

    settings: Settings
    bench: Bench
    toolbox: Toolbox
    runs: "Runs"
    streams: Streams
    metrics: Metrics
    instance: str = field(default_factory=lambda: uuid4().hex)
    started: float = field(default_factory=time.time)

    @cached_property
    def weights(self) -> WeightStore:
        return WeightStore(self.settings.cache, offline=self.settings.offline)

    @cached_property
    def eyes(self) -> Eyes:
        """What live pictures are looked at with."""
        return Eyes(self.settings.live.streams)

    @cached_property
    def desk(self) -> Desk:
        """Where live sounds share a recogniser."""
        return Desk()

    async def problems(self) -> list[str]:
        """What keeps the host from working, each with its remedy; empty when it is ready."""
        from knowledge.store import STORE, Where

        found = list[str]()
        try:
            await self.bench.part(STORE).count("local", Where(knowledge_bases=["readiness"]))
        except SutradharError as error:
            found.append(f"segment store: {error}")
        found += await asyncio.to_thread(self._missing_weights)
        return found

    def _missing_weights(self) -> list[str]:
        profile = self.bench.catalog.profiles.get(self.settings.profile)
        ids = {row for rows in (profile.serves if profile else {}).values() for row in rows[:1]}
        rows = [self.bench.catalog.resolve(id).row for id in sorted(ids)]
        return [
            f"{row.id} is not installed. Run `sutradhar models fetch`."
            for row in rows
            if not row.on_request and self.weights.missing(row)
        ]


OpenHost = Callable[[Settings, Metrics], AbstractAsyncContextManager[Host]]


@asynccontextmanager
async def open_host(settings: Settings, metrics: Metrics) -> AsyncIterator[Host]:
    """Open models, knowledge and runs under the home folder; everything is closed in the opposite order."""
    make_home(settings.home)
    async with _open_rooms(settings, resume=True) as runs:
        toolbox = runs.bench.part(TOOLBOX)
        yield Host(settings, runs.bench, toolbox, runs, Streams(settings.server.streams), metrics)


@asynccontextmanager
async def open_alone(settings: Settings) -> AsyncIterator[tuple[Bench, "Runs"]]:
    """The rooms without a door, for a command that finds no host; runs that a host left behind stay as they are."""
    async with _open_rooms(settings, resume=False) as runs:
        yield runs.bench, runs


@asynccontextmanager
async def _open_rooms(settings: Settings, *, resume: bool) -> AsyncIterator["Runs"]:
    from api.toolset import gather
    from graphs.catalog import agents
    from graphs.runs import open_runs
    from ingestion.turns import TURNS, Turns
    from knowledge.open import open_knowledge
    from tools.mcp_servers import open_mcp

    assert_safe(settings)
    installed = agents()
    async with open_bench(settings) as bare, open_knowledge(bare) as known, open_mcp(known) as connected:
        bench = replace(connected, parts={**connected.parts, TOOLBOX.name: gather(installed), TURNS.name: Turns()})
        async with open_runs(bench, among=installed, resume=resume) as runs:
            yield runs


def assert_safe(settings: Settings) -> None:
    """Refuse to start in a state that is known to be attackable."""
    from langgraph.checkpoint.serde import _msgpack

    # read when langgraph is imported: setting the variable afterwards would do nothing
    if not _msgpack.STRICT_MSGPACK_ENABLED:
        raise SutradharError(
            "LANGGRAPH_STRICT_MSGPACK is not set: a crafted checkpoint could run code.",
            remedy="Start through `sutradhar`, or export LANGGRAPH_STRICT_MSGPACK=true.",
        )
    if settings.home.exists() and stat.S_IMODE(settings.home.stat().st_mode) & 0o077 and os.name == "posix":
        raise SutradharError(f"{settings.home} can be read by others.", remedy=f"chmod 700 {settings.home}")
    if not settings.server.keys and not is_loopback(settings.server.host):
        raise SutradharError(
            f"Listening on {settings.server.host!r} needs a key.",
            remedy="""Set SUTRADHAR_SERVER__KEYS='{"team-a": "<secret>"}', or listen on 127.0.0.1.""",
        )
    for tenant, key in settings.server.keys.items():
        if len(key.get_secret_value()) < 16:
            raise SutradharError(
                f"The key of tenant {tenant!r} is shorter than 16 characters.",
                remedy="Make one with `python -c 'import secrets; print(secrets.token_urlsafe(32))'`.",
            )
