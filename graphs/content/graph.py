"""The content agent: plan, gather, outline, write the parts side by side, edit to the length, optimise, publish."""

from collections.abc import Mapping
from typing import Any

from langgraph.graph import END, START, StateGraph
from langgraph.types import Overwrite

from graphs.catalog import Agent, Ask, Door
from graphs.content import nodes
from graphs.content.finishing import answer_of
from graphs.content.options import ContentOptions, ContentResult
from graphs.content.state import Outline, State
from graphs.context import Context
from graphs.events import Answer
from tools.writing.text import count_words


def build() -> StateGraph[State, Context, State, State]:
    return (
        StateGraph(State, context_schema=Context)
        .add_node(nodes.plan)
        .add_node(nodes.gather)
        .add_node(nodes.outline)
        .add_node(nodes.write)
        # lanes may end at different times; the editor waits for all of them
        .add_node(nodes.edit, defer=True)
        .add_node(nodes.extend)
        .add_node(nodes.optimise)
        .add_node(nodes.publish)
        .add_edge(START, "plan")
        .add_edge("optimise", "publish")
        .add_edge("publish", END)
    )


def begin(ask: Ask) -> dict[str, Any]:
    return {
        "topic": ask.question,
        "material": ask.material,
        "options": ContentOptions.model_validate(ask.options),
        "knowledge_bases": ask.knowledge_bases,
        "sources": ask.sources,
        "evidence": [],
        "written": Overwrite({}),
        "extended": 0,
        "title": "",
        "description": "",
        "answer": None,
    }


def note(node: str, update: Mapping[str, Any]) -> str:
    """What a step did, in a few words."""
    if brief := update.get("brief"):
        return f"{brief.kind.replace('_', ' ')}, {brief.words} words, {brief.style}, {brief.language}"
    if isinstance(outline := update.get("outline"), Outline):
        return f"«{outline.title}», {len(outline.parts)} parts"
    if node == "gather":
        return f"{len(update.get('evidence', []))} passages"
    if written := update.get("written"):
        return f"{sum(count_words(each.text) for each in written.values())} words"
    if node == "publish" and isinstance(answer := update.get("answer"), Answer) and answer.result:
        return f"{answer.result['words']} of {answer.result['target_words']} words"
    return ""


def conclude(state: Mapping[str, Any], spoken: str) -> Answer | None:
    """The answer, or of a run that was cut short the parts that were written."""
    answer = state.get("answer")
    if isinstance(answer, Answer):
        return answer
    if state.get("written"):
        return answer_of(state)
    return Answer(text="The run ended before anything was written.", answered=False, citations=[])


CONTENT = Agent(
    name="content",
    title="Write content",
    description="Writes articles, posts, reports, stories, scripts, poems, manuals and newsletters of a wanted length.",
    build=build,
    begin=begin,
    note=note,
    conclude=conclude,
    options=ContentOptions,
    result=ContentResult,
    door=Door(path="content", asks="topic"),
    takes_material=True,
)
