"""What the chat model is asked: short prompts with a stable beginning, which the server does not read twice."""

from collections.abc import Sequence
from functools import cache
from importlib.resources import files

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage

from graphs.coding.extract import fenced
from graphs.coding.languages import TONGUES
from graphs.coding.state import Candidate, Case, Outcome, Spec

SHOWN = 12_000
"""Characters of code in a prompt: what the embedded server's context holds beside an answer of the same length."""


@cache
def _prompt(name: str) -> str:
    return files("graphs.coding").joinpath("prompts", f"{name}.md").read_text(encoding="utf-8").strip()


def _system(name: str, spec: Spec) -> SystemMessage:
    return SystemMessage(_prompt(name).format(language=TONGUES[spec.language].title))


def task_of(spec: Spec) -> str:
    """The request, with the framework that was chosen for it."""
    parts = [spec.task.strip()]
    if spec.framework:
        parts.append(f"Use {spec.framework}.")
    if spec.mode == "generate" and spec.header and spec.header.strip() not in spec.task:
        parts.append(f"The code as it is now:\n{fenced(spec.header[:SHOWN], spec.language)}")
    if spec.tests:
        parts.append(f"It must pass these tests:\n{fenced(spec.tests[:SHOWN], spec.language)}")
    return "\n\n".join(parts)


def first(spec: Spec) -> list[BaseMessage]:
    return [_system("write", spec), HumanMessage(task_of(spec))]


def repair(spec: Spec, tried: Candidate) -> list[BaseMessage]:
    """The same request again with what came of it, so that the beginning is known to the server."""
    said = _prompt("repair").format(failure=failure_of(spec.cases, tried))
    return [*first(spec), AIMessage(fenced(tried.code[:SHOWN], spec.language)), HumanMessage(said)]


def failure_of(cases: Sequence[Case], tried: Candidate) -> str:
    """The first thing that went wrong, in one or two sentences."""
    if tried.broken:
        return f"It fails before any test: {tried.broken[:400]}."
    outcomes = tried.run.outcomes if tried.run else ()
    bad = next((each for each in outcomes if not each.passed), None)
    if bad is None:
        return "It does not do what was asked."
    wanted = {each.call[:500]: each.expected for each in cases}
    return _sentence(bad, wanted.get(bad.name))


def _sentence(bad: Outcome, expected: str | None) -> str:
    where = f" at line {bad.line}" if bad.line else ""
    if expected is None:
        return f"The test {bad.name} fails{where}: {bad.got[:300]}."
    return f"`{bad.name}` must give `{expected[:300]}`, but it gave `{bad.got[:300]}`{where}."


def cases(spec: Spec, code: str) -> list[BaseMessage]:
    """For test cases of given code, or of a task whose code is not shown so that it cannot mislead."""
    material = fenced(code[:SHOWN], spec.language) if code else spec.task.strip()
    name = f"\n\nThe function is called `{spec.entry}`." if spec.entry else ""
    return [_system("cases", spec), HumanMessage(f"{material}{name}")]


def review(spec: Spec, code: str) -> list[BaseMessage]:
    return [_system("review", spec), HumanMessage(fenced(code[:SHOWN], spec.language))]


def docstring(spec: Spec, name: str, code: str) -> list[BaseMessage]:
    return [_system("docstring", spec), HumanMessage(f"{fenced(code[:4_000], spec.language)}\n\nDocument `{name}`.")]


def choose(spec: Spec, outline: str) -> list[BaseMessage]:
    return [_system("choose", spec), HumanMessage(f"{outline}\n\nTask: {spec.task.strip()}")]


def change(spec: Spec, path: str, part: str) -> list[BaseMessage]:
    said = f"From {path}:\n{fenced(part[:SHOWN], spec.language)}\n\nTask: {task_of(spec)}"
    return [_system("change", spec), HumanMessage(said)]


def again(spec: Spec, tried: Candidate) -> list[BaseMessage]:
    """What was wrong with the last version of a part."""
    outcomes = tried.run.outcomes if tried.run else ()
    bad = next((each for each in outcomes if not each.passed), None)
    why = tried.broken or (f"The test {bad.name} fails: {bad.got[:300]}" if bad else "It breaks the program's tests.")
    said = AIMessage(fenced(tried.code[:SHOWN], spec.language) if tried.code else "(nothing)")
    return [said, HumanMessage(f"{why}\nWrite the whole part again, corrected.")]
