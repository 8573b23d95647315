"""The research agent: plan, search in parallel, read, quote, compare, look for trends, summarise, report."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from langgraph.graph import END, START, StateGraph

from graphs.catalog import Agent, Ask, Door
from graphs.context import Context
from graphs.research import nodes
from graphs.research.nodes import SEARCHES
from graphs.research.state import Options, Research, State
from graphs.research.telling import conclude


def build() -> StateGraph[State, Context, State, State]:
    graph = (
        StateGraph(State, context_schema=Context)
        .add_node(nodes.plan)
        .add_node(nodes.search_memory)
        .add_node(nodes.choose)
        .add_node(nodes.read)
        .add_node(nodes.extract)
        .add_node(nodes.compare)
        .add_node(nodes.trends)
        .add_node(nodes.summarise)
        .add_node(nodes.report)
        .add_node(nodes.close)
        .add_edge(START, "plan")
        .add_conditional_edges("plan", nodes.searches, ["search_memory", *SEARCHES])
        .add_edge("search_memory", "choose")
        .add_edge("read", "extract")
        .add_edge("compare", "trends")
        .add_edge("trends", "summarise")
        .add_edge("summarise", "report")
        .add_edge("close", END)
    )
    for node, kind in SEARCHES.items():
        graph.add_node(node, nodes.searcher(node, kind)).add_edge(node, "choose")
    return graph


def begin(ask: Ask) -> dict[str, Any]:
    """The state that a topic starts with."""
    return {
        "topic": ask.question,
        "options": Options.model_validate(ask.options),
        "knowledge_bases": ask.knowledge_bases,
        "within": ask.sources,
        "now": ask.now or datetime.now(UTC),
        "plan": None,
        "chosen": None,
        "waves": 0,
        "sources": None,
        "claims": None,
        "findings": None,
        "conflicts": None,
        "trends": None,
        "summary": None,
        "spent": "",
        "answer": None,
    }


def note(node: str, update: Mapping[str, Any]) -> str:
    """What a step did, in a few words."""
    if node == "plan":
        return _count(len(update["plan"].questions), "question")
    missed, answer = update.get("missed") or [], update.get("answer")
    if node.startswith("search_"):
        return missed[0].reason if missed else _count(len({each.key for each in update.get("leads", [])}), "lead")
    told = {
        "choose": f"{_count(len(update.get('chosen', [])), 'source')} to read",
        "read": f"{len(update.get('read', []))} read, {len(missed)} not",
        "extract": _count(len(update["claims"]), "quotation") if "claims" in update else "reads on",
        "compare": f"{_count(len(update.get('findings', [])), 'finding')}, {len(update.get('conflicts', []))} disputed",
        "trends": _count(len(update.get("trends", [])), "trend"),
        "report": f"{len(answer.citations)} cited" if answer else "",
    }
    return told.get(node, "")


def _count(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"


RESEARCH = Agent(
    name="research",
    title="Research a topic",
    description="Researches a topic in the knowledge bases and on the web; reports with quotations and disagreements.",
    build=build,
    begin=begin,
    note=note,
    conclude=conclude,
    options=Options,
    result=Research,
    door=Door(path="research", asks="topic"),
)
