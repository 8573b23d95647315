"""The coding agent: specify, write, run with tests in the sandbox, review, repair in bounds, document."""

from collections.abc import Mapping
from typing import Any, Literal

from langgraph.graph import END, START, StateGraph
from langgraph.runtime import Runtime
from langgraph.types import Command

from graphs.catalog import Agent, Ask, Door
from graphs.coding import documenting, repository, reviewing, testing, writing
from graphs.coding.languages import TONGUES
from graphs.coding.report import conclude, report
from graphs.coding.specify import specify as understood
from graphs.coding.state import Candidate, CodeResult, File, Options, State
from graphs.coding.suites import java_file
from graphs.context import Context
from tools.errors import InvalidInput
from tools.sandbox.languages import Language


async def specify(
    state: State, runtime: Runtime[Context]
) -> Command[Literal["unpack", "write", "review", "document", "design"]]:
    """Read the request by rules: what is asked for, in which language, about which function, with which examples."""
    options = state["options"]
    spec = understood(state["question"], options)
    if options.archive is not None:
        return Command(update={"spec": spec}, goto="unpack")
    if spec.mode != "generate" and not spec.header.strip():
        raise InvalidInput(f"There is no code to {spec.mode}.", remedy="Send it as `code` or `archive`.", param="code")
    given = [File(path=_name(spec.header, spec.language), text=spec.header)] if spec.header.strip() else []
    onward: dict[str, Literal["write", "review", "document", "design"]] = {
        "generate": "write",
        "review": "review",
        "document": "document",
        "test": "design",
    }
    kept = given if spec.mode != "generate" or options.code is not None else []
    return Command(update={"spec": spec, "files": kept}, goto=onward[spec.mode])


def _name(code: str, language: Language) -> str:
    return java_file(code) if language == "java" else TONGUES[language].file


def build() -> StateGraph[State, Context, State, State]:
    return (
        StateGraph(State, context_schema=Context)
        .add_node(specify)
        .add_node(repository.unpack)
        .add_node(repository.locate)
        .add_node(repository.change)
        .add_node(repository.verify)
        .add_node(writing.write)
        .add_node(writing.expect)
        .add_node(writing.run)
        .add_node(writing.repair)
        .add_node(reviewing.review)
        .add_node(documenting.document)
        .add_node(testing.design)
        .add_node(testing.examine)
        .add_node(report)
        .add_edge(START, "specify")
        .add_edge("locate", "change")
        .add_edge("change", "verify")
        .add_edge("expect", "run")
        .add_edge("repair", "run")
        .add_edge("document", "report")
        .add_edge("design", "examine")
        .add_edge("examine", "report")
        .add_edge("report", END)
    )


def begin(ask: Ask) -> dict[str, Any]:
    """The state that a request starts with; nothing of an earlier request in the thread is taken over."""
    return {
        "question": ask.question,
        "options": Options.model_validate(ask.options),
        "spec": None,
        "files": [],
        "candidates": [],
        "made": [],
        "tests": [],
        "runs": [],
        "findings": [],
        "coverage": None,
        "notes": [],
        "isolated": True,
        "answer": None,
    }


def note(node: str, update: Mapping[str, Any]) -> str:
    """What a step did, in a few words."""
    if node == "specify" and (spec := update.get("spec")):
        entry = f" {spec.entry}" if spec.entry else ""
        return f"{spec.mode} {spec.language}{entry}, {_count(len(spec.cases), 'example')}"
    if update.get("candidates"):
        return _version(node, update["candidates"])
    if node == "examine" and "spec" in update:
        return f"{_count(len(update['spec'].cases), 'test')} kept"
    things = {"review": ("findings", "finding"), "unpack": ("files", "file")}
    field, thing = things.get(node, ("", ""))
    return _count(len(update[field]), thing) if field in update else ""


def _version(node: str, candidates: list[Candidate]) -> str:
    latest = candidates[-1]
    if node in {"write", "repair", "change"}:
        return f"version {len(candidates)}"
    if latest.broken:
        return latest.broken[:120]
    return f"{latest.run.passed} of {_count(len(latest.run.outcomes), 'test')} pass" if latest.run else ""


def _count(number: int, thing: str) -> str:
    return f"{number} {thing}{'' if number == 1 else 's'}"


CODING = Agent(
    name="coding",
    title="Code",
    description=(
        "Writes, reviews, documents and tests code in Python, JavaScript, Java, C++, TypeScript, Go and shell; "
        "what it writes is run with its tests in a sandbox."
    ),
    build=build,
    begin=begin,
    note=note,
    conclude=conclude,
    options=Options,
    result=CodeResult,
    door=Door(path="code", asks="prompt", needs=("language",)),
)
