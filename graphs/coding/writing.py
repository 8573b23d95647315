"""The loop: write a version, run it, then repair it or write another, and take the best."""

from typing import Any, Literal

from langchain_core.messages import BaseMessage
from langgraph.runtime import Runtime
from langgraph.types import Command

from graphs.coding import prompting
from graphs.coding.examples import examples
from graphs.coding.execute import absent_module, evidence, execute, refusal, try_out
from graphs.coding.extract import code_of
from graphs.coding.languages import TONGUES
from graphs.coding.probes import agreed, probes
from graphs.coding.specify import asked_entry
from graphs.coding.state import Candidate, File, Spec, State
from graphs.coding.suites import java_file, suite
from graphs.coding.units import told, unit
from graphs.context import Context
from graphs.speak import write as ask
from tools.bench import Bench
from tools.chat.roles import chat_model
from tools.errors import EngineFailed, NotInstalled

CODE_TOKENS = {"low": 500, "medium": 800, "high": 1_500}
CASE_TOKENS = 200
OWN_CASES = 6
CLOSED = "\n```\n"
"""The end of a fence, on a line of its own: a model that goes on after it only talks."""

OWN_ATTEMPTS = 3
"""Versions when only the model itself says what is right: it is wrong about that too often to try for long."""

SUSPECTS = 3
"""Versions when the first that meets the examples loops for ever beside them."""

FRESH = 3
"""Versions that a small model writes before one of them is repaired."""

SHARE = 0.7
"""Share of the run's seconds and tokens after which no further version is begun, so that the best is still reviewed."""


async def write(state: State, runtime: Runtime[Context]) -> Command[Literal["expect", "run"]]:
    """Write a version of the code: the first one as the model thinks best, others with more chance in them."""
    spec, candidates = state["spec"], state.get("candidates", [])
    number = len(candidates)
    # the seed is the version's number: a node that runs again after a kill asks for the same once more
    chance = {"temperature": 0.8, "seed": number} if number else {}
    text = await _asked(state, runtime, prompting.first(spec), stop=[CLOSED], **chance)
    written = _candidate(text, spec, "fresh" if number else "first")
    own = not number and not spec.cases and not spec.tests and state["options"].complexity != "low"
    return Command(update={"candidates": [*candidates, written]}, goto="expect" if own and written.code else "run")


async def expect(state: State, runtime: Runtime[Context]) -> State:
    """Have the model say what it expects of the function where the request gives no example, its code out of sight."""
    spec = state["spec"]
    entry = spec.entry or asked_entry("", state["candidates"][-1].code, spec.language)[0]
    if not entry:
        return {}
    spec = spec.model_copy(update={"entry": entry})
    try:
        text = await ask(runtime.context, "coding", prompting.cases(spec, ""), most_tokens=CASE_TOKENS)
    except EngineFailed:
        text = ""
    own = tuple(each.model_copy(update={"source": "model"}) for each in examples(text, entry)[:OWN_CASES])
    return {"spec": spec.model_copy(update={"cases": own})}


async def run(state: State, runtime: Runtime[Context]) -> Command[Literal["write", "repair", "review"]]:
    """Run the latest version with the tests in the sandbox, and decide whether another one is worth it."""
    spec, candidates = state["spec"], state["candidates"]
    try:
        latest = await tested(candidates, spec, runtime.context.bench)
    except NotInstalled as error:
        return Command(update={"notes": [*state.get("notes", []), refusal(error)], "isolated": False}, goto="review")
    candidates = [*candidates[:-1], latest]
    update: State = {"candidates": candidates}
    if latest.run is not None:
        update["runs"] = [*state.get("runs", []), latest.run]
    return Command(update=update, goto=_onward(state, candidates, runtime.context))


async def repair(state: State, runtime: Runtime[Context]) -> State:
    """Show the model what its last version did wrong and have it corrected."""
    spec, candidates = state["spec"], state["candidates"]
    best = best_of(state) or candidates[-1]
    text = await _asked(state, runtime, prompting.repair(spec, best))
    return {"candidates": [*candidates, _candidate(text, spec, "repair")]}


def _onward(state: State, candidates: list[Candidate], context: Context) -> Literal["write", "repair", "review"]:
    spec, latest = state["spec"], candidates[-1]
    most = state["options"].most_attempts
    if spec.cases and spec.cases[0].source == "model":
        most = min(most, OWN_ATTEMPTS)
    budget, ledger = context.ledger.budget, context.ledger
    spent = ledger.seconds > SHARE * budget.seconds or ledger.tokens > SHARE * budget.tokens
    # a step is a version and its run; what comes after the loop needs some too
    steps_left = budget.steps - 2 * len(candidates) - 6 > 0
    if len(candidates) >= most or spent or not steps_left:
        return "review"
    if _right(latest):
        return "write" if _suspect(latest) and len(candidates) < SUSPECTS else "review"
    return "repair" if _worth_repairing(candidates, context.bench) else "write"


def _worth_repairing(candidates: list[Candidate], bench: Bench) -> bool:
    """Whether to correct a version rather than to write a fresh one.

    Of four problems that the embedded model got wrong it repaired one, and a fresh version solved three: it goes first.
    A larger model knows what to do with an error.
    """
    if any(each.how == "repair" for each in candidates) or not any(each.code for each in candidates):
        return False
    return chat_model(bench, "coding").row.device != "cpu" or len(candidates) >= FRESH


def _suspect(candidate: Candidate) -> bool:
    """Whether it loops for inputs near the examples: then another version may have fewer such."""
    return any(each.endswith("took too long") for each in candidate.vector)


def _right(candidate: Candidate) -> bool:
    outcomes = candidate.run.outcomes if candidate.run else ()
    return not candidate.broken and all(each.passed for each in outcomes)


def best_of(state: State) -> Candidate | None:
    """The version that the run has come to, which need not be the last one."""
    candidates = [each for each in state.get("candidates", []) if each.code]
    return agreed(candidates) if candidates else None


async def tested(candidates: list[Candidate], spec: Spec, bench: Bench) -> Candidate:
    """The latest version with what its tests came to; the same code twice is not run twice.

    Raises `NotInstalled` where the sandbox or the toolchain is missing.
    """
    latest = candidates[-1]
    if not latest.code:
        return latest
    for each in candidates[:-1]:
        if each.code == latest.code:
            return each.model_copy(update={"how": latest.how})
    what = f"version {len(candidates)}"
    if spec.tests:
        return await _with_tests(latest, spec, bench, what)
    if not spec.cases and not spec.entry:
        return await _as_program(latest, spec, bench, what)
    asked = suite(spec.language, latest.code, spec.cases, probes(spec.cases))
    heard, shown = await try_out(asked, bench, what)
    if absent_module(heard.broken):
        return latest.model_copy(update={"run": shown.model_copy(update={"outcomes": ()})})
    where = f" (line {heard.line})" if heard.line and "line" not in heard.broken else ""
    broken = f"{heard.broken}{where}" if heard.broken else ""
    return latest.model_copy(update={"broken": broken, "run": shown, "vector": heard.vector})


async def _with_tests(latest: Candidate, spec: Spec, bench: Bench, what: str) -> Candidate:
    """With the owner's test file, and the examples of the request beside it."""
    asked = unit(spec.language, latest.code, spec.tests)
    ran = await execute(asked.program, bench)
    heard = told(asked, ran)
    shown = evidence(what, asked.program, ran).model_copy(update={"outcomes": heard.outcomes})
    return latest.model_copy(update={"broken": heard.broken, "run": shown})


async def _as_program(latest: Candidate, spec: Spec, bench: Bench, what: str) -> Candidate:
    """A program without a function to call is only run; one that waits for ever may be a server and is not wrong."""
    asked = suite(spec.language, latest.code, ())
    heard, shown = await try_out(asked, bench, what)
    fails = heard.broken and not absent_module(heard.broken)
    return latest.model_copy(update={"broken": heard.broken if fails else "", "run": shown})


async def _asked(state: State, runtime: Runtime[Context], messages: list[BaseMessage], **options: Any) -> str:
    """The model's answer; nothing when it fails after there was a version to show."""
    most = CODE_TOKENS[state["options"].complexity]
    try:
        return await ask(runtime.context, "coding", messages, most_tokens=most, **options)
    except EngineFailed:
        if not any(each.code for each in state.get("candidates", [])):
            raise
        return ""


def _candidate(text: str, spec: Spec, how: Literal["first", "repair", "fresh"]) -> Candidate:
    code = code_of(text, spec.language, spec.header, spec.entry)
    return Candidate(code=code, how=how, broken="" if code else "The model wrote no code.")


def solution(spec: Spec, code: str) -> File:
    """The code under the name of its file."""
    return File(path=java_file(code) if spec.language == "java" else TONGUES[spec.language].file, text=code)
