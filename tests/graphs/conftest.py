"""A bench without models, and small graphs that misbehave in known ways."""

import asyncio
import operator
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Annotated, Any, TypedDict, cast

import pytest
from langgraph.graph import END, START, StateGraph
from langgraph.runtime import Runtime
from langgraph.types import interrupt

from graphs.catalog import Agent, Ask
from graphs.context import Context
from graphs.events import AgentEvent, Answer, Evidence, RunFinished, Token
from graphs.runs import Runs, open_runs
from tools.bench import Bench
from tools.catalog import Catalog, Profile
from tools.errors import NotInstalled
from tools.events import Emit, ModelEvent, ignore
from tools.media.store import MediaStore
from tools.settings import Settings


class NoModels:
    """Where no engine is: every use says so."""

    def use(self, model: str, emit: Emit = ignore) -> AbstractAsyncContextManager[Any]:
        raise NotInstalled(f"There is no {model!r} here.")

    def patient(self) -> "NoModels":
        return self


@pytest.fixture
def bench(settings: Settings) -> Bench:
    catalog = Catalog(
        models=[], profiles={"embedded": Profile(title="embedded", devices={"cpu": 1}, serves={}, roles={})}
    )
    return Bench(settings=settings, catalog=catalog, models=NoModels(), media=cast("MediaStore", None))


class State(TypedDict, total=False):
    question: str
    seen: Annotated[list[str], operator.add]
    text: str


async def gather(state: State, runtime: Runtime[Context]) -> State:
    runtime.stream_writer(ModelEvent(model="m", device="cpu", state="ready"))
    runtime.context.emit(Evidence(moments=[]))
    return {"seen": [state["question"]]}


async def speak(state: State, runtime: Runtime[Context]) -> State:
    question = state["question"]
    if question.startswith("endless"):
        while True:
            runtime.context.emit(Token(text="la "))
            await asyncio.sleep(0.01)
    if question == "hang":
        await asyncio.Event().wait()
    if question == "stubborn":
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            await asyncio.Event().wait()
    if question == "crash":
        raise RuntimeError("secret detail")
    if question == "choose":
        return {"text": str(interrupt({"text": "Which?", "options": ["left", "right"]}))}
    runtime.context.ledger.enter(10, 2)
    for word in ("all", "is", "well"):
        runtime.context.emit(Token(text=f"{word} "))
        await asyncio.sleep(0)
    return {"text": f"{question}: all is well"}


def conclude(state: Mapping[str, Any], spoken: str) -> Answer | None:
    return Answer(text=state.get("text", spoken), answered="text" in state, citations=[])


def build() -> StateGraph[State, Context, State, State]:
    return (
        StateGraph(State, context_schema=Context)
        .add_node(gather)
        .add_node(speak)
        .add_edge(START, "gather")
        .add_edge("gather", "speak")
        .add_edge("speak", END)
    )


def begin(ask: Ask) -> dict[str, Any]:
    return {"question": ask.question}


PARROT = Agent("parrot", "Parrot", "Says that all is well.", build, begin, lambda node, update: node.upper(), conclude)


@asynccontextmanager
async def parrots(bench: Bench, **options: Any) -> AsyncIterator[Runs]:
    async with open_runs(bench, among={"parrot": PARROT}, **options) as runs:
        yield runs


@pytest.fixture
async def runs(bench: Bench) -> AsyncIterator[Runs]:
    async with parrots(bench) as opened:
        yield opened


async def heard(
    runs: Runs, run: str, after: int = 0, *, seconds: float = 10, **who: str
) -> list[tuple[int, AgentEvent]]:
    async with asyncio.timeout(seconds):
        return [numbered async for numbered in runs.stream(run, after, **who)]


def ending(events: list[tuple[int, AgentEvent]]) -> RunFinished:
    last = events[-1][1]
    assert isinstance(last, RunFinished)
    return last
