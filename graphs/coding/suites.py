"""Programs that try code: expectations in, a program for the sandbox out; what it printed in, outcomes out."""

import json
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from graphs.coding import literals, syntax
from graphs.coding.languages import TONGUES
from graphs.coding.state import Case, Outcome
from tools.sandbox import Program, Ran, SandboxLimits
from tools.sandbox.languages import Language

JVM = ("-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto")

CASE_SECONDS = 2.0
"""For one expectation; whatever loops longer loops for ever."""

RUN_LIMITS = SandboxLimits(seconds=20, cpu_seconds=20, memory=512 << 20)
BUILD_LIMITS = SandboxLimits(seconds=60, cpu_seconds=60, memory=1536 << 20, processes=128)


@cache
def _inside(name: str) -> str:
    return files("graphs.coding").joinpath("inside", name).read_text(encoding="utf-8")


@dataclass(frozen=True)
class Suite:
    """A program that tries these expectations; its own lines of output begin with `mark`."""

    program: Program
    mark: str
    cases: tuple[Case, ...]
    skipped: tuple[str, ...] = ()


@dataclass(frozen=True)
class Tried:
    """What a suite's run told. `broken` says why the code did not even load, with the line where it is known."""

    outcomes: tuple[Outcome, ...]
    vector: tuple[str, ...] = ()
    broken: str = ""
    line: int | None = None
    stdout: str = ""


def suite(language: Language, code: str, cases: Sequence[Case], probes: Sequence[str] = ()) -> Suite:
    """The program that tries the code; without cases it still loads it."""
    mark = f"@@{secrets.token_hex(8)} "
    if language in {"python", "javascript", "typescript"}:
        return _interpreted(language, code, cases, probes, mark)
    builders = {"java": _java, "cpp": _cpp, "go": _go, "shell": _shell}
    return builders[language](code, cases, mark)


def _interpreted(language: Language, code: str, cases: Sequence[Case], probes: Sequence[str], mark: str) -> Suite:
    name = TONGUES[language].file
    plan = {
        "file": "solution.js" if language == "typescript" else name,
        "mark": mark,
        "cases": [_case(each, language) for each in cases],
        "probes": list(probes) if language == "python" else [],
        "seconds": CASE_SECONDS,
    }
    own = "cases.py" if language == "python" else "cases.js"
    given = {name: code, own: _inside(own), "plan.json": json.dumps(plan)}
    if language == "python":
        program = Program(files=given, command=["python", own], limits=RUN_LIMITS)
    elif language == "javascript":
        program = Program(files=given, command=["node", own], limits=_node())
    else:
        build = ["tsc", "--target", "es2022", "--module", "commonjs", "--strict", "--noEmitOnError", name]
        program = Program(files=given, build=build, command=["node", own], limits=BUILD_LIMITS)
    return Suite(program, mark, tuple(cases))


def _node() -> SandboxLimits:
    # V8 reserves far more than it uses
    return RUN_LIMITS.model_copy(update={"memory": 1 << 30})


def _case(case: Case, language: Language) -> dict[str, str]:
    call, expected = case.call, case.expected
    if language != "python":
        values = literals.arguments(call)
        if values is not None:
            call = f"{_name(call)}({', '.join(literals.written(each, language) for each in values)})"
        try:
            expected = literals.written(literals.value(expected), language)
        except (ValueError, TypeError):
            expected = case.expected
    return {"setup": case.setup, "call": call, "expected": expected}


def _name(call: str) -> str:
    return call.partition("(")[0].strip()


def _written_calls(
    code: str, language: Language, cases: Sequence[Case]
) -> tuple[list[tuple[int, str]], tuple[Case, ...], tuple[str, ...]]:
    """The calls that the language can write, numbered; and those that it cannot."""
    known = {each.name: each for each in syntax.functions(code, language)}
    calls, kept, skipped = list[tuple[int, str]](), list[Case](), list[str]()
    for case in cases:
        function, values = known.get(_name(case.call).rpartition(".")[2]), literals.arguments(case.call)
        try:
            if function is None or values is None or len(values) != len(function.parameters):
                raise literals.Unwritable(case.call)
            written = [
                literals.written(each, language, kind) for each, kind in zip(values, function.parameters, strict=True)
            ]
        except literals.Unwritable:
            skipped.append(case.call)
            continue
        calls.append((len(kept), f"{_reach(function, language)}({', '.join(written)})"))
        kept.append(case)
    return calls, tuple(kept), tuple(skipped)


def _reach(function: syntax.Function, language: Language) -> str:
    """How a function is called from outside of its class."""
    if not function.owner:
        return function.name
    if function.static:
        return f"{function.owner}{'::' if language == 'cpp' else '.'}{function.name}"
    return f"new {function.owner}().{function.name}" if language == "java" else f"{function.owner}{{}}.{function.name}"


def _java(code: str, cases: Sequence[Case], mark: str) -> Suite:
    if not syntax.classes(code, "java"):
        code = f"public class Solution {{\n{code}\n}}\n"
    calls, kept, skipped = _written_calls(code, "java", cases)
    lines = "\n".join(f"        attempt({n}, () -> {call});" for n, call in calls)
    text = _inside("Cases.java.txt").replace("@MARK@", mark).replace("@CALLS@", lines)
    source = java_file(code)
    build = ["javac", "-J-XX:TieredStopAtLevel=1", "-proc:none", "-nowarn", "-d", "/build/out", source, "Cases.java"]
    program = Program(
        files={source: code, "Cases.java": text},
        build=build,
        command=["java", *JVM, "-cp", "/build/out", "Cases"],
        limits=_jvm(),
    )
    return Suite(program, mark, kept, skipped)


def _jvm() -> SandboxLimits:
    return BUILD_LIMITS.model_copy(update={"seconds": 30, "memory": 2 << 30})


def java_file(code: str) -> str:
    """The file that Java wants its public class in."""
    public = [
        name
        for name, line in syntax.classes(code, "java")
        if "public" in code.splitlines()[line - 1].partition(name)[0]
    ]
    first = public or [name for name, _ in syntax.classes(code, "java")]
    return f"{first[0] if first else 'Solution'}.java"


def _cpp(code: str, cases: Sequence[Case], mark: str) -> Suite:
    calls, kept, skipped = _written_calls(code, "cpp", cases)
    lines = "\n".join(f"    attempt({n}, [] {{ return {call}; }});" for n, call in calls)
    text = _inside("cases.cpp.txt").replace("@MARK@", mark).replace("@CALLS@", lines)
    build = ["g++", "-std=c++20", "-O0", "-D_GLIBCXX_ASSERTIONS", "cases.cpp", "-o", "/build/cases"]
    given = {"solution.cpp": code, "cases.cpp": text}
    return Suite(Program(files=given, build=build, command=["/build/cases"], limits=BUILD_LIMITS), mark, kept, skipped)


def _go(code: str, cases: Sequence[Case], mark: str) -> Suite:
    if "package " not in code:
        code = f"package main\n\n{code}"
    calls, kept, skipped = _written_calls(code, "go", cases)
    lines = "\n".join(f"\tattempt(t, {n}, func() any {{ return {call} }})" for n, call in calls)
    text = _inside("cases_test.go.txt").replace("@MARK@", mark).replace("@CALLS@", lines)
    given = {"solution.go": code, "cases_test.go": text, "go.mod": "module solution\n\ngo 1.19\n"}
    program = Program(files=given, command=["go", "test", "-count=1", "-v", "./..."], limits=BUILD_LIMITS)
    return Suite(program, mark, kept, skipped)


def _shell(code: str, cases: Sequence[Case], mark: str) -> Suite:
    lines, kept, skipped = list[str](), list[Case](), list[str]()
    for case in cases:
        values = literals.arguments(case.call)
        if values is None or any(isinstance(each, list | dict) for each in values):
            skipped.append(case.call)
            continue
        call = " ".join([_name(case.call), *(literals.written(each, "shell") for each in values)])
        lines.append(f"printf '%s%s = %s\\n' '{mark}' {len(kept)} \"$( {call} 2>/dev/null | tr '\\n' ' ' )\"")
        kept.append(case)
    text = "\n".join([". ./solution.sh >/dev/null", *lines, ""])
    given = {"solution.sh": code, "cases.sh": text}
    build = ["bash", "-n", "solution.sh"]
    return Suite(
        Program(files=given, build=build, command=["bash", "cases.sh"], limits=RUN_LIMITS),
        mark,
        tuple(kept),
        tuple(skipped),
    )


def tried(suite: Suite, ran: Ran) -> Tried:
    """Read a run. Expectations that it did not come to have failed."""
    told = [line[len(suite.mark) :] for line in ran.stdout.splitlines() if line.startswith(suite.mark)]
    rest = "\n".join(line for line in ran.stdout.splitlines() if not line.startswith(suite.mark))
    if ran.stage == "build":
        return Tried(_missed(suite, 0, "it does not compile"), broken=_first_error(ran), stdout=rest)
    records = [_record(line, suite) for line in told]
    load = next((each for each in records if each["kind"] == "load"), None)
    if load is not None:
        why, line = str(load["got"]), load.get("line")
        line = line if isinstance(line, int) else None
        return Tried(_missed(suite, 0, why), broken=why, line=line, stdout=rest)
    cases = [_outcome(each) for each in records if each["kind"] == "case"]
    vector = tuple(
        f"{'raised ' if each.get('raised') else ''}{each['got']}" for each in records if each["kind"] == "probe"
    )
    how = ran.killed or ran.signal or (f"exit code {ran.exit_code}" if ran.exit_code else "")
    ended = f"it ended at {how}" if how else "not tried: others took too long"
    broken = "" if cases or not suite.cases else f"{ended}: {ran.stderr.strip()[-300:]}"
    return Tried((*cases, *_missed(suite, len(cases), ended)), vector, broken, stdout=rest)


def _record(line: str, suite: Suite) -> dict[str, object]:
    if line.startswith("{"):
        return dict(json.loads(line))
    number, _, said = line.partition(" ")
    case = suite.cases[int(number)]
    sign, _, got = said.partition(" ")
    passed = sign == "=" and literals.matches(got, case.expected)
    return {"kind": "case", "name": case.call, "passed": passed, "got": got[:300]}


def _outcome(record: dict[str, object]) -> Outcome:
    line = record.get("line")
    return Outcome(
        name=str(record["name"])[:500],
        passed=bool(record["passed"]),
        got=str(record["got"]),
        line=line if isinstance(line, int) else None,
    )


def _missed(suite: Suite, first: int, why: str) -> tuple[Outcome, ...]:
    return tuple(Outcome(name=each.call[:500], passed=False, got=why[:300]) for each in suite.cases[first:])


def _first_error(ran: Ran) -> str:
    said = (ran.stderr or ran.stdout).splitlines()
    errors = [line for line in said if "error" in line.lower()] or said
    reason = "\n".join(errors[:3])[:500]
    return reason or f"the build ended at {ran.killed or ran.signal or f'exit code {ran.exit_code}'}"
