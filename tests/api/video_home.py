"""A host whose only agent watches by a script, for the video doors and the console's page."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace

from api.host import Host, OpenHost
from api.limits import Streams
from api.observe import Metrics
from graphs.asking import agent_tool
from graphs.runs import open_runs
from graphs.video.graph import video_over
from knowledge.library import LIBRARY, open_library
from knowledge.store import STORE
from tests.api.fakes import CATALOG, Remembered
from tests.graphs.video_home import TOUR, Scripted
from tools.open import open_bench
from tools.settings import Settings
from tools.toolbox import Toolbox


def opener_of(watch: Scripted) -> OpenHost:
    agent = video_over(watch)

    @asynccontextmanager
    async def opener(settings: Settings, metrics: Metrics) -> AsyncIterator[Host]:
        async with open_bench(settings, catalog=CATALOG) as bare, open_library(":memory:") as library:
            bench = replace(bare, parts={LIBRARY.name: library, STORE.name: Remembered()})
            async with open_runs(bench, among={"video": agent}) as runs:
                tools = Toolbox([agent_tool(agent)])
                yield Host(settings, runs.bench, tools, runs, Streams(settings.server.streams), metrics)

    return opener


def open_tour(settings: Settings, metrics: Metrics) -> AbstractAsyncContextManager[Host]:
    """The host of the console's test: every video is the tour, with pictures."""
    return opener_of(Scripted([TOUR, TOUR], delay=0.5, pictures=True))(settings, metrics)
