"""The router as an agent: it chooses, runs the chosen agents as sub-graphs, and combines what they answered."""

from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any

from langgraph.graph import END, START, StateGraph

from graphs.catalog import Agent, Ask
from graphs.context import Context
from graphs.events import Answer
from graphs.router import combine, nodes
from graphs.router.state import Combined, State


def router_over(agents: Iterable[Agent]) -> Agent:
    """The router that chooses among these agents."""
    among = {agent.name: agent for agent in agents}
    return Agent(
        name="router",
        title="Any question",
        description="Chooses the agent for a message, or several, and answers with what they made.",
        build=partial(build, among),
        begin=begin,
        note=note,
        conclude=partial(combine.partial, among),
        result=Combined,
        follows=True,
        parts=among,
    )


def build(among: Mapping[str, Agent]) -> StateGraph[State, Context, State, State]:
    names = tuple(among)
    graph = (
        StateGraph(State, context_schema=Context)
        .add_node("route", nodes.router_of(among), destinations=names)
        .add_node("combine", nodes.combiner_of(among), destinations=(*names, END))
        .add_edge(START, "route")
    )
    for name, agent in among.items():
        graph.add_node(name, nodes.runner_of(agent)).add_edge(name, "combine")
    return graph


def begin(ask: Ask) -> dict[str, Any]:
    """The state that a message starts with."""
    return {"ask": ask, "answer": None}


def note(node: str, update: Mapping[str, Any]) -> str:
    """Which agents were chosen and why, and what came of it."""
    if route := update.get("route"):
        return "; ".join(f"{part.agent}: {part.why}" for part in route.parts)
    said = update.get("said") or []
    if node != "route" and said:
        return said[0].failure or ("" if said[0].answer.answered else "not answered")
    answer = update.get("answer")
    return f"{len(answer.citations)} cited" if isinstance(answer, Answer) and answer.citations else ""
