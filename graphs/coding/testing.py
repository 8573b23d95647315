"""Unit tests for given code: designed by the model, run, and kept only when they can fail."""

import asyncio
from collections.abc import Sequence

from langgraph.runtime import Runtime

from graphs.coding import prompting, pythonic, syntax
from graphs.coding.examples import examples
from graphs.coding.execute import evidence, execute, refusal, try_out
from graphs.coding.mutants import mutants
from graphs.coding.state import Case, Coverage, File, Run, Spec, State
from graphs.coding.suites import suite
from graphs.coding.units import TEST_FILES, told, unit
from graphs.coding.units import test_file as written_tests
from graphs.coding.writing import SHARE
from graphs.context import Context
from graphs.speak import write as ask
from tools.bench import Bench
from tools.errors import EngineFailed, NotInstalled

TOKENS = 300
FUNCTIONS = 6
"""Functions that the model writes cases for."""

COMPILED_MUTANTS = 6
"""Mutants of a language that is built anew for each."""


async def design(state: State, runtime: Runtime[Context]) -> State:
    """Gather expectations: the documentation's own examples first, then the model's for each function."""
    spec = state["spec"]
    code = spec.header or "\n".join(file.text for file in state.get("files", [])[:1])
    names = public_functions(code, spec)[:FUNCTIONS]
    found = [case for name in names for case in examples(code, name)]
    for name in names:
        if _spent(runtime.context):
            break
        asked = spec.model_copy(update={"entry": name})
        try:
            text = await ask(runtime.context, "coding", prompting.cases(asked, code), most_tokens=TOKENS)
        except EngineFailed:
            continue
        found += [each.model_copy(update={"source": "model"}) for each in examples(text, name)]
    once = {each.call: each for each in reversed(found)}
    cases = tuple(reversed(once.values()))
    return {"spec": spec.model_copy(update={"header": code, "cases": cases})}


def public_functions(code: str, spec: Spec) -> list[str]:
    """The functions that tests can call by name."""
    if spec.language == "python":
        classes = {name for name, node in _classes(code)}
        return [name for name in pythonic.defined(code) if not name.startswith("_") and name not in classes]
    return list(dict.fromkeys(each.name for each in syntax.functions(code, spec.language) if each.name != "main"))


def _classes(code: str) -> list[tuple[str, int]]:
    return syntax.classes(code, "python")


def _spent(context: Context) -> bool:
    ledger, budget = context.ledger, context.ledger.budget
    return ledger.seconds > SHARE * budget.seconds or ledger.tokens > SHARE * budget.tokens


async def examine(state: State, runtime: Runtime[Context]) -> State:
    """Run the cases against the code; keep those that hold and that notice a change of it; measure the coverage."""
    spec, bench = state["spec"], runtime.context.bench
    notes, runs = list(state.get("notes", [])), list(state.get("runs", []))
    try:
        kept, run, said = await holding(spec, bench)
        runs.append(run)
        notes += said
        kept, lost = await able_to_fail(spec, kept, bench)
        if lost:
            notes.append(f"Left out, because no change to the code made them fail: {'; '.join(lost[:6])}.")
        text = written_tests(spec.language, spec.header, [(each.call, each.expected) for each in kept])
        coverage, final = await measured(spec, text, bench) if text and kept else (None, None)
    except NotInstalled as error:
        return {"notes": [*notes, refusal(error)], "isolated": False, "tests": _unproven(spec)}
    runs += [final] if final else []
    tests = [File(path=TEST_FILES[spec.language], text=text)] if text and kept else []
    kept_spec = spec.model_copy(update={"cases": tuple(kept)})
    return {"spec": kept_spec, "runs": runs, "notes": notes, "tests": tests, "coverage": coverage}


def _unproven(spec: Spec) -> list[File]:
    text = written_tests(spec.language, spec.header, [(each.call, each.expected) for each in spec.cases])
    return [File(path=TEST_FILES[spec.language], text=text)] if text else []


async def holding(spec: Spec, bench: Bench) -> tuple[list[Case], Run, list[str]]:
    """The cases that the code meets. Where it does not meet the model's own, one of the two is wrong: that is told."""
    asked = suite(spec.language, spec.header, spec.cases)
    heard, run = await try_out(asked, bench, "the designed tests")
    by_name = {each.call[:500]: each for each in asked.cases}
    kept = [by_name[each.name] for each in heard.outcomes if each.passed]
    notes = [
        f"`{each.name}` gives `{each.got}` where the {_who(by_name[each.name])} expects "
        f"`{by_name[each.name].expected}`: one of the two is wrong."
        for each in heard.outcomes
        if not each.passed and not heard.broken
    ]
    if heard.broken:
        notes.append(f"The code does not load: {heard.broken}")
    if asked.skipped:
        notes.append(f"Not written as {spec.language}: {', '.join(asked.skipped[:5])}.")
    return kept, run, notes[:8]


def _who(case: Case) -> str:
    return "documentation" if case.source == "example" else "model"


async def able_to_fail(spec: Spec, cases: Sequence[Case], bench: Bench) -> tuple[list[Case], list[str]]:
    """The cases that at least one mutant of the code fails, and the calls of the others."""
    if not cases:
        return [], []
    most = COMPILED_MUTANTS if spec.language in {"java", "cpp", "go"} else 16
    changed = await asyncio.to_thread(mutants, spec.header[:40_000], spec.language, most)
    if not changed:
        return list(cases), []
    noticed = set[str]()
    if spec.language == "python":
        text = written_tests("python", spec.header, [(each.call, each.expected) for each in cases])
        asked = unit("python", spec.header, text, changed)
        heard = told(asked, await execute(asked.program, bench))
        order = [each.name for each in heard.outcomes]
        killers = {name for some in heard.killers for name in some}
        noticed = {case.call for case, name in zip(cases, order, strict=False) if name in killers or not heard.killers}
    else:
        for each in changed:
            tried_out, _ = await try_out(suite(spec.language, each, cases), bench, "a changed program")
            if not tried_out.broken:
                noticed |= {outcome.name for outcome in tried_out.outcomes if not outcome.passed}
    return (
        [each for each in cases if each.call[:500] in noticed],
        [each.call for each in cases if each.call[:500] not in noticed],
    )


async def measured(spec: Spec, tests: str, bench: Bench) -> tuple[Coverage | None, Run]:
    """The finished test file's own run, with what it covers."""
    asked = unit(spec.language, spec.header, tests, cover=spec.language == "python")
    ran = await execute(asked.program, bench)
    heard = told(asked, ran)
    run = evidence("the test file", asked.program, ran).model_copy(update={"outcomes": heard.outcomes, "stdout": ""})
    return heard.coverage, run
