"""The graphs for `langgraph dev` and Studio: each run opens the bench and the memory of the configured home.

The development server keeps its own threads and event stream, so `graphs.runs` has no part here. It needs the home for
itself: stop the host first.
"""

from typing import Any

from langgraph.config import get_stream_writer
from langgraph.graph import END, START, StateGraph
from langgraph.graph.state import CompiledStateGraph
from typing_extensions import TypedDict

from graphs.catalog import Agent, Ask, agents
from graphs.context import Context, Ledger
from graphs.events import Answer


class Question(TypedDict):
    question: str


class Said(TypedDict):
    answer: Answer | None


class _Both(Question, Said):
    pass


def router() -> CompiledStateGraph[Any, Any, Any, Any]:
    """The router over all agents, with a plain question as its input."""
    return _with_bench(agents()["router"])


def temporal() -> CompiledStateGraph[Any, Any, Any, Any]:
    """The temporal agent with a plain question as its input."""
    return _with_bench(agents()["temporal"])


def research() -> CompiledStateGraph[Any, Any, Any, Any]:
    """The research agent with its topic as its input."""
    return _with_bench(agents()["research"])


def coding() -> CompiledStateGraph[Any, Any, Any, Any]:
    """The coding agent with its task as its input."""
    return _with_bench(agents()["coding"])


def content() -> CompiledStateGraph[Any, Any, Any, Any]:
    """The content agent with its topic as its input."""
    return _with_bench(agents()["content"])


def video() -> CompiledStateGraph[Any, Any, Any, Any]:
    """The video agent; the question names the video, where there are several."""
    return _with_bench(agents()["video"])


def assistant() -> CompiledStateGraph[Any, Any, Any, Any]:
    """The assistant, which calls tools, with a plain question as its input."""
    return _with_bench(agents()["assistant"])


def _with_bench(agent: Agent) -> CompiledStateGraph[Any, Any, Any, Any]:
    inner = agent.build().compile(name=agent.name)

    async def ask(state: Question) -> Said:
        from knowledge.open import open_knowledge
        from tools.open import open_bench
        from tools.settings import Settings

        settings, say = Settings(), get_stream_writer()
        async with open_bench(settings) as bench, open_knowledge(bench) as ready:
            context = Context(ready.listening(say), Ledger(settings.budget), say)
            values = await inner.ainvoke(agent.begin(Ask(question=state["question"])), context=context)
        return {"answer": agent.conclude(values, "")}

    return (
        StateGraph(_Both, input_schema=Question, output_schema=Said)
        .add_node(agent.name, ask)
        .add_edge(START, agent.name)
        .add_edge(agent.name, END)
        .compile(name=f"ask_{agent.name}")
    )
