"""Small agents under the router: each says what it was given, and misbehaves on request."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, TypedDict

from langgraph.graph import END, START, StateGraph
from langgraph.runtime import Runtime
from langgraph.types import interrupt

from graphs.catalog import Agent, Ask, Turn
from graphs.context import Context
from graphs.events import Answer, Citation, Cited, Token
from graphs.router.graph import router_over
from graphs.runs import Runs, open_runs
from tools.bench import Bench
from tools.errors import EngineFailed


class State(TypedDict, total=False):
    question: str
    material: str
    turns: list[Turn]
    read: str
    text: str


async def read(state: State, runtime: Runtime[Context]) -> State:
    return {"read": state["question"].splitlines()[0]}


async def work(state: State, runtime: Runtime[Context]) -> State:
    question = state["question"]
    if "for ever" in question:
        runtime.context.emit(Token(text="begun "))
        await asyncio.Event().wait()
    if "fail" in question:
        raise EngineFailed("The engine died.")
    if "ask me" in question:
        return {"text": str(interrupt({"text": f"Which, for {state['read']}?", "options": ["left", "right"]}))}
    runtime.context.emit(Token(text="working "))
    runtime.context.emit(Cited(citation=cited(1)))
    material = f" <{state['material']}>" if state["material"] else ""
    before = f" after {state['turns'][-1].question!r}" if state["turns"] else ""
    return {"text": f"{question}{material}{before} [1]"}


def cited(n: int) -> Citation:
    return Citation(n=n, source="a.md", media="0" * 64, modality="page", text="said", page=1)


def _build() -> StateGraph[State, Context, State, State]:
    graph = StateGraph(State, context_schema=Context).add_node(read).add_node(work)
    return graph.add_edge(START, "read").add_edge("read", "work").add_edge("work", END)


def _begin(ask: Ask) -> dict[str, Any]:
    return {"question": ask.question, "material": ask.material, "turns": ask.turns, "read": "", "text": ""}


def specialist(name: str, *, follows: bool = True) -> Agent:
    def conclude(state: Mapping[str, Any], spoken: str) -> Answer:
        text = f"{name}: {state.get('text') or spoken or state.get('read', '')}"
        return Answer(text=text, answered=bool(state.get("text")), citations=[cited(1)] if state.get("text") else [])

    def note(node: str, update: Mapping[str, Any]) -> str:
        return f"{name} {node}"

    return Agent(name, name.title(), f"Does {name}.", _build, _begin, note, conclude, follows=follows)


NAMES = ("temporal", "coding", "research", "content")


@asynccontextmanager
async def routed(bench: Bench, *, follows: bool = True, **options: Any) -> AsyncIterator[Runs]:
    """Runs of the router over four specialists, and of each of them."""
    agents = [specialist(name, follows=follows) for name in NAMES]
    every = {agent.name: agent for agent in (router_over(agents), *agents)}
    async with open_runs(bench, among=every, **options) as runs:
        yield runs
