"""A small world to research: a web on loopback, a memory that counts words, and a scripted chat model."""

import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from langgraph.store.memory import InMemoryStore
from pydantic import BaseModel

from graphs.catalog import Ask
from graphs.events import AgentEvent, Answer
from graphs.research.graph import RESEARCH
from graphs.runs import Runs, open_runs
from knowledge.library import LIBRARY, Library
from knowledge.segment import Segment
from knowledge.tools import RecallInput
from tests.graphs.conftest import heard
from tests.graphs.temporal_home import WordHost
from tests.tools.webs import Web, page, settings_for
from tools.bench import Bench
from tools.catalog import load_catalog
from tools.chat.scripted import with_script
from tools.embedding_tools import EmbedInput
from tools.errors import NotInstalled
from tools.open import open_bench
from tools.settings import Settings
from tools.toolbox import Tool

DAM = {
    "/gazette": page(
        "The Tarwan dam, a history",
        "The Tarwan dam was finished in 1987 after eleven years of work.",
        "The reservoir of the Tarwan dam holds 410 million cubic metres of water.",
        "Anita Rao was the chief engineer of the Tarwan dam.",
        published="2015-03-02",
    ),
    "/herald": page(
        "Tarwan dam in figures",
        "The Tarwan dam, finished in 1987, stands 92 metres high.",
        "The reservoir of the Tarwan dam holds 530 million cubic metres of water, says the ministry.",
        published="2023-09-14",
    ),
    "/power": page(
        "Electricity from the Tarwan dam",
        "The Tarwan dam produced 310 gigawatt-hours of electricity in 2010.",
        "The Tarwan dam produced 365 gigawatt-hours of electricity in 2015.",
        "The Tarwan dam produced 402 gigawatt-hours of electricity in 2020.",
        published="2021-01-20",
    ),
    "/cooking": page("Twelve soups", "A good soup needs time, and twelve kinds of vegetables from the garden."),
}
SUMMARY = "The Tarwan dam was finished in 1987 [1]. It was paid for by the king of Siam [1]."


class ResearchHost(WordHost):
    """Memory and cross-encoder count words, nothing embeds, and every other tool runs here."""

    async def call(self, tool: Tool[Any, Any], input: BaseModel, bench: Bench) -> Any:
        if isinstance(input, EmbedInput):
            raise NotInstalled("There is no embedding model here.")
        if isinstance(input, RecallInput) and not self._segments:
            return await super().call(tool, input.model_copy(update={"limit": 1}), bench)
        try:
            return await super().call(tool, input, bench)
        except AssertionError:
            return await tool(input, replace(bench, host=None))


@asynccontextmanager
async def researching(
    settings: Settings,
    web: Web,
    script: Sequence[dict[str, Any]] = (),
    *,
    segments: Sequence[Segment] = (),
    library: Library | None = None,
    **more: Any,
) -> AsyncIterator[Runs]:
    path = Path(settings.home.parent) / "script.json"
    path.write_text(json.dumps(list(script)), encoding="utf-8")
    library = library or Library(InMemoryStore())
    async with open_bench(settings_for(settings, web, **more), catalog=with_script(load_catalog(), path)) as bench:
        ready = replace(bench, host=ResearchHost(segments, reranks=False), parts={LIBRARY.name: library})
        async with open_runs(ready, among={"research": RESEARCH}) as runs:
            yield runs


async def researched(
    runs: Runs, topic: str = "The Tarwan dam", *, thread: str | None = None, budget: Any = None, **options: Any
) -> tuple[Answer, list[AgentEvent]]:
    run = await runs.start("research", Ask(question=topic, options=options), thread=thread, budget=budget)
    events = [event for _, event in await heard(runs, run, seconds=60)]
    (answer,) = [event for event in events if isinstance(event, Answer)]
    return answer, events
