"""The temporal agent: understand, recall in parallel, draft, verify each sentence against its evidence, answer."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from langgraph.graph import END, START, StateGraph

from graphs.catalog import Agent, Ask
from graphs.context import Context
from graphs.temporal import nodes
from graphs.temporal.answering import conclude
from graphs.temporal.nodes import SEARCHES
from graphs.temporal.phrases import span
from graphs.temporal.state import Options, State


def build() -> StateGraph[State, Context, State, State]:
    graph = (
        StateGraph(State, context_schema=Context)
        .add_node(nodes.understand)
        .add_node(nodes.locate)
        .add_node(nodes.gather)
        .add_node(nodes.linger)
        .add_node(nodes.weigh)
        .add_node(nodes.pinpoint)
        .add_node(nodes.draft)
        .add_node(nodes.verify)
        .add_edge(START, "understand")
        .add_conditional_edges("understand", nodes.after_understanding, ["locate", *SEARCHES])
        .add_conditional_edges("locate", nodes.searches, [*SEARCHES])
        .add_conditional_edges("linger", nodes.searches, [*SEARCHES])
        .add_edge("verify", END)
    )
    for search in SEARCHES:
        graph.add_node(search, nodes.recall).add_edge(search, "gather")
    return graph


def begin(ask: Ask) -> dict[str, Any]:
    """The state that a question starts with."""
    return {
        "question": ask.question,
        "timeless": not Options.model_validate(ask.options).temporal_context,
        "knowledge_bases": ask.knowledge_bases,
        "sources": ask.sources,
        "now": ask.now or datetime.now(UTC),
        "turns": ask.turns,
        "evidence": [],
        "lingered": False,
        "fits": {},
        "draft": "",
        "answer": None,
    }


def note(node: str, update: Mapping[str, Any]) -> str:
    """What a step did, in a few words."""
    if plan := update.get("plan"):
        where = span(plan.where.start, plan.where.end) if plan.where.start is not None else ""
        return f"{plan.kind}, {plan.language}: {plan.topic}" if node == "understand" else where
    if node == "linger":
        return "for the first look at what has just been brought"
    if "found" in update or "evidence" in update:
        count = len(update.get("found", update.get("evidence", [])))
        return f"{count} moment{'' if count == 1 else 's'}"
    if node == "weigh" and update.get("fits"):
        return f"best fit {max(update['fits'].values()):.1f}"
    if (answer := update.get("answer")) is not None:
        return f"{len(answer.citations)} cited" if answer.answered else "not in the material"
    return ""


TEMPORAL = Agent(
    name="temporal",
    title="Temporal questions",
    description="Answers questions about videos, recordings and documents, citing the moment or the page.",
    build=build,
    begin=begin,
    note=note,
    conclude=conclude,
    options=Options,
    follows=True,
)
