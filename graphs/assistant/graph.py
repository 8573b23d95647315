"""The assistant as a graph: offer, decide, act, and decide again."""

from collections.abc import Mapping
from typing import Any, cast

from langgraph.graph import START, StateGraph

from graphs.assistant import nodes
from graphs.assistant.state import Assisted, State
from graphs.catalog import Agent, Ask
from graphs.context import Context
from graphs.events import Answer


def build() -> StateGraph[State, Context, State, State]:
    return (
        StateGraph(State, context_schema=Context)
        .add_node(nodes.offer)
        .add_node(nodes.decide)
        .add_node(nodes.act)
        .add_edge(START, "offer")
        .add_edge("offer", "decide")
    )


def begin(ask: Ask) -> dict[str, Any]:
    """The state that a task starts with."""
    return {
        "question": ask.question,
        "material": ask.material,
        "turns": ask.turns,
        "offered": [],
        "missing": [],
        "rounds": [],
        "answer": None,
    }


def note(node: str, update: Mapping[str, Any]) -> str:
    """Which tools are shown, which are called, and how many calls came to something."""
    if node == "offer":
        return "; ".join([f"{len(update['offered'])} tools", *update["missing"]])
    if not update.get("rounds"):
        return ""
    latest = update["rounds"][-1]
    if node == "decide":
        return ", ".join(call.tool[:80] for call in latest.calls)
    return f"{sum(each.ok for each in latest.results)} of {len(latest.results)} calls went well"


def conclude(state: Mapping[str, Any], spoken: str) -> Answer:
    """The state's answer, or what the tools said before the run was cut short."""
    if isinstance(state.get("answer"), Answer):
        return cast("Answer", state["answer"])
    if "question" not in state:
        return Answer(text="The run ended before it began.", answered=False, citations=[])
    return nodes.without_model(cast("State", state), "The run ended before there was an answer.")


ASSISTANT = Agent(
    name="assistant",
    title="Tools",
    description="Does what is asked with any tool of the host and of the connected MCP servers.",
    build=build,
    begin=begin,
    note=note,
    conclude=conclude,
    result=Assisted,
    follows=True,
)
