"""Fakes for the doors' tests: three tools, no models, a segment store in memory, scripted runs."""

import asyncio
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from langgraph.graph import START, StateGraph
from langgraph.runtime import Runtime
from langgraph.types import interrupt
from pydantic import BaseModel, Field
from typing_extensions import TypedDict

from api.host import Host
from api.limits import Streams
from api.observe import Metrics
from graphs.asking import agent_tool
from graphs.catalog import Agent
from graphs.context import Context
from graphs.events import Answer, Citation, Evidence, Token
from graphs.router.graph import router_over
from graphs.runs import open_runs
from knowledge.library import LIBRARY, open_library
from knowledge.segment import Segment
from knowledge.store import STORE, Where
from tools.bench import Bench
from tools.catalog import Catalog, Profile, Row
from tools.embedding import Vectors
from tools.errors import EngineFailed
from tools.events import ToolEvent
from tools.open import open_bench
from tools.settings import Settings
from tools.toolbox import Toolbox, tool


class Said(BaseModel):
    text: str = Field(min_length=1)
    times: int = Field(1, ge=1, le=100)


class Echoed(BaseModel):
    text: str
    tenant: str


@tool(title="Echo")
async def echo(input: Said, bench: Bench) -> Echoed:
    """Say the text again."""
    for n in range(input.times):
        bench.emit(ToolEvent(tool="echo", call="1", state="progress", fraction=n / input.times))
        await asyncio.sleep(0)
    return Echoed(text=input.text * input.times, tenant=bench.tenant)


@tool(title="Break", effect="write", name="break")
async def break_(input: Said, bench: Bench) -> Echoed:
    """Fail in the way that the text names."""
    if input.text == "engine":
        raise EngineFailed("The engine died.", remedy="Try again.")
    raise RuntimeError("secret path /somewhere")


@tool(title="Wait")
async def wait(input: Said, bench: Bench) -> Echoed:
    """Never end."""
    await asyncio.Event().wait()
    return Echoed(text="", tenant="")


class Lengths:
    """Embeds a text as a unit vector that says how long it is; queries point the other way."""

    def __init__(self, row: Row, files: Mapping[str, Path], device: str) -> None:
        pass

    def passages(self, texts: list[str]) -> Vectors:
        turns = np.array([len(text) / 100 for text in texts], np.float32)
        return np.stack([np.cos(turns), np.sin(turns)], axis=1)

    def queries(self, texts: list[str]) -> Vectors:
        return -self.passages(texts)


LENGTHS = Row(
    id="lengths",
    title="Lengths",
    capability="text-embedding",
    engine="tests.api.fakes:Lengths",
    memory=0.1,
    licence="Apache-2.0",
    commercial=True,
    dimensions=2,
)
OLD = LENGTHS.model_copy(
    update={"id": "old", "engine": "", "status": "retired", "note": "its server is gone", "replaced_by": "lengths"}
)
TONES = Row(
    id="tones",
    title="Tones",
    capability="text-to-speech",
    engine="tools.voice.scripted:ScriptedVoice",
    licence="Apache-2.0",
    commercial=True,
    languages=["en", "hi"],
    rate=24_000,
)
SERVES = {"text-embedding": ["lengths"], "text-to-speech": ["tones"]}
PROFILE = Profile(title="Fakes", devices={"cpu": 1.0}, serves=SERVES, roles={})
CATALOG = Catalog(models=[LENGTHS, OLD, TONES], profiles={"embedded": PROFILE})


class Remembered:
    """As much of a segment store as the doors use."""

    def __init__(self) -> None:
        self.segments: dict[str, list[Segment]] = {}

    async def count(self, tenant: str, where: Where) -> int:
        return len(self.segments.get(tenant, []))

    async def scroll(
        self, tenant: str, where: Where, *, order: Literal["start", "page"] = "start", limit: int = 1_000
    ) -> list[Segment]:
        found = [each for each in self.segments.get(tenant, []) if each.source in where.sources]
        return [each for each in found if not where.modalities or each.modality in where.modalities][:limit]

    async def delete(self, tenant: str, where: Where) -> None:
        kept = [each for each in self.segments.get(tenant, []) if each.source not in where.sources]
        self.segments[tenant] = kept


class State(TypedDict):
    question: str
    answer: str


async def recall(state: State, runtime: Runtime[Context]) -> dict[str, Any]:
    """Find one moment; a question that says «wait» waits for ever, «break» breaks, «ask» asks."""
    question = state["question"]
    if "wait" in question:
        await asyncio.Event().wait()
    if "break" in question:
        raise EngineFailed("The engine died.", remedy="Try again.")
    if "ask" in question:
        return {"question": interrupt({"text": "Which?", "options": ["this", "that"]})}
    runtime.context.emit(Evidence(moments=[MOMENT]))
    return {}


async def draft(state: State, runtime: Runtime[Context]) -> dict[str, Any]:
    """Say the question again, word by word."""
    count = int(found[1]) if (found := re.search(r"(\d+) tokens", state["question"])) else 0
    words = state["question"].split() if not count else ["word"] * count
    for word in words:
        runtime.context.emit(Token(text=f"{word} "))
        await asyncio.sleep(0)
    runtime.context.ledger.enter(7, len(words))
    return {"answer": " ".join(words)}


MOMENT = Citation(n=1, source="a.mp4", media="0" * 64, modality="speech", text="said", start=7.0, end=12.0, score=1.0)


def _build() -> StateGraph[Any, Context, Any, Any]:
    graph = StateGraph(State, context_schema=Context).add_node(recall).add_node(draft)
    return graph.add_edge(START, "recall").add_edge("recall", "draft")


def _conclude(values: Any, spoken: str) -> Answer:
    text = values.get("answer") or spoken
    return Answer(text=text, answered=bool(text), citations=[MOMENT] if text else [])


SCRIPTED = Agent(
    name="scripted",
    title="Scripted",
    description="Says the question again.",
    build=_build,
    begin=lambda ask: {"question": ask.question},
    note=lambda node, update: "",
    conclude=_conclude,
)


@asynccontextmanager
async def open_fake_host(settings: Settings, metrics: Metrics) -> AsyncIterator[Host]:
    """A host with real runs over a scripted graph."""
    async with open_bench(settings, catalog=CATALOG) as bare, open_library(":memory:") as library:
        bench = replace(bare, parts={LIBRARY.name: library, STORE.name: Remembered()})
        async with open_runs(bench, among={"scripted": SCRIPTED, "router": router_over([SCRIPTED])}) as runs:
            tools = Toolbox([echo, break_, wait, agent_tool(SCRIPTED)])
            yield Host(settings, runs.bench, tools, runs, Streams(settings.server.streams), metrics)
