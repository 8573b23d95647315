"""The video agent: plan, watch, observe; then condense and tell, or compose a piece."""

from collections.abc import Mapping
from functools import partial
from typing import Any

from langgraph.graph import END, START, StateGraph

from graphs.catalog import Agent, Ask
from graphs.context import Context
from graphs.video import nodes
from graphs.video.answering import conclude
from graphs.video.composing import PIECE, composer
from graphs.video.nodes import Watch
from graphs.video.options import VideoOptions
from graphs.video.state import State, VideoResult
from ingestion.watch import watch


def build(watching: Watch) -> StateGraph[State, Context, State, State]:
    return (
        StateGraph(State, context_schema=Context)
        .add_node(nodes.plan)
        .add_node("watch", nodes.watcher_of(watching), destinations=("observe",))
        .add_node(nodes.observe)
        .add_node(nodes.condense)
        .add_node(nodes.tell)
        .add_node("compose", composer())
        .add_edge(START, "plan")
        .add_edge("tell", END)
        .add_edge("compose", END)
    )


def begin(ask: Ask) -> dict[str, Any]:
    return {
        "question": ask.question,
        "options": VideoOptions.model_validate(ask.options),
        "sources": ask.sources,
        "knowledge_bases": ask.knowledge_bases,
        "media": "",
        "name": "",
        "chapters": [],
        "condensed": {},
        "left": [],
        "answer": None,
    }


def note(node: str, update: Mapping[str, Any]) -> str:
    """What a step did, in a few words."""
    if node == "plan":
        return f"{update.get('task', '')} {update.get('name', '')}".strip()
    if node == "watch" and (watched := update.get("watched")):
        return str(watched.unfinished or watched.name)
    if node == "observe":
        statements = sum(len(each.statements) for each in update.get("chapters", []))
        return f"{len(update.get('chapters', []))} chapters, {statements} statements"
    if node == "condense":
        return f"{len(update.get('condensed', {}))} condensed, {len(update.get('left', []))} to go"
    answer = update.get("answer")
    return f"{len(answer.citations)} moments, {len(answer.artefacts)} files" if answer else ""


def video_over(watching: Watch) -> Agent:
    """The agent that watches by `watching`."""
    return Agent(
        name="video",
        title="Describe, summarise and analyse a video",
        description="Watches a video or recording: describes it scene by scene, summarises, analyses, transcribes it, "
        "makes subtitles, storyboard and study notes, and writes from it.",
        build=partial(build, watching),
        begin=begin,
        note=note,
        conclude=conclude,
        options=VideoOptions,
        result=VideoResult,
        parts={"compose": PIECE},
    )


VIDEO = video_over(watch)
