"""Whole test files against code, in each language: as programs for the sandbox, and what their runs told."""

import json
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path

from graphs.coding import syntax
from graphs.coding.pythonic import defined
from graphs.coding.state import Coverage, Outcome
from graphs.coding.suites import BUILD_LIMITS, CASE_SECONDS, JVM, RUN_LIMITS, java_file
from tools.sandbox import Program, Ran
from tools.sandbox.languages import Language

TEST_FILES: dict[Language, str] = {
    "python": "test_solution.py",
    "javascript": "solution.test.js",
    "typescript": "solution.test.ts",
    "java": "SolutionTest.java",
    "cpp": "solution_test.cpp",
    "go": "solution_test.go",
    "shell": "solution_test.sh",
}
_TAP = re.compile(r"^\s*(not ok|ok) \d+ - (.+?)(?: # .*)?$", re.MULTILINE)
_V8_LINE = re.compile(r"^# .*?solution\.js\s*\|\s*([\d.]+)\s*\|[^|]*\|[^|]*\|\s*(.*?)\s*$", re.MULTILINE)


@dataclass(frozen=True)
class Unit:
    """A program that runs one test file; its own lines of output begin with `mark` where it has such."""

    program: Program
    mark: str
    language: Language


@dataclass(frozen=True)
class Told:
    """What a test file's run told. `killers` are the tests that noticed each mutant; None where none was run."""

    outcomes: tuple[Outcome, ...]
    broken: str = ""
    coverage: Coverage | None = None
    killers: tuple[tuple[str, ...], ...] = ()


def unit(language: Language, code: str, tests: str, mutants: Sequence[str] = (), *, cover: bool = False) -> Unit:
    """The program that runs these tests; Python's tries the mutants in the same run."""
    mark = f"@@{secrets.token_hex(8)} "
    if language == "python":
        return Unit(_python(code, tests, mutants, mark, cover=cover), mark, language)
    builders = {
        "javascript": _javascript,
        "typescript": _typescript,
        "java": _java,
        "cpp": _cpp,
        "go": _go,
        "shell": _shell,
    }
    return Unit(builders[language](code, tests), mark, language)


def _python(code: str, tests: str, mutants: Sequence[str], mark: str, *, cover: bool) -> Program:
    plan = {
        "file": "solution.py",
        "tests": TEST_FILES["python"],
        "mark": mark,
        "seconds": CASE_SECONDS,
        "mutants": list(mutants),
        "cover": cover,
    }
    own = files("graphs.coding").joinpath("inside", "unit.py").read_text(encoding="utf-8")
    given = {"solution.py": code, TEST_FILES["python"]: tests, "unit.py": own, "unit.json": json.dumps(plan)}
    if cover:
        given |= _library("coverage")
    packages = ["pytest"] if re.search(r"^\s*(?:import|from) pytest\b", tests, re.MULTILINE) else []
    limits = RUN_LIMITS.model_copy(update={"seconds": 60, "cpu_seconds": 60})
    return Program(files=given, command=["python", "-W", "ignore", "unit.py"], packages=packages, limits=limits)


@cache
def _library(name: str) -> dict[str, str]:
    """A library's own Python files, to be sent along; the part of it that is compiled it can do without."""
    spec = find_spec(name)
    folder = Path(spec.origin).parent if spec and spec.origin else None
    if folder is None:
        return {}
    paths = [path for path in sorted(folder.rglob("*.py")) if "htmlfiles" not in path.parts]
    return {str(path.relative_to(folder.parent)): path.read_text(encoding="utf-8") for path in paths}


def _javascript(code: str, tests: str) -> Program:
    names = list(dict.fromkeys(each.name for each in syntax.functions(code, "javascript") if not each.owner))
    names += [name for name, _ in syntax.classes(code, "javascript")]
    # a program that exports nothing is loaded for its names
    exported = (
        code
        if re.search(r"\bexports\b|^export\b", code, re.MULTILINE)
        else f"{code}\nmodule.exports = {{ {', '.join(names)} }};\n"
    )
    loads = re.search(r"(?:require\(|from\s+)['\"]\.?\.?/", tests)
    head = "" if loads else f'const {{ {", ".join(names)} }} = require("./solution.js");\n'
    asserts = "" if re.search(r"\bassert\b.*(?:require|from)", tests) else 'const assert = require("node:assert");\n'
    tester = "" if "node:test" in tests else 'const { test, describe, it } = require("node:test");\n'
    given = {"solution.js": exported, TEST_FILES["javascript"]: f"{tester}{asserts}{head}{tests}"}
    command = ["node", "--test", "--test-reporter=tap", "--experimental-test-coverage", TEST_FILES["javascript"]]
    return Program(files=given, command=command, limits=BUILD_LIMITS.model_copy(update={"seconds": 30}))


def _typescript(code: str, tests: str) -> Program:
    given = {"solution.ts": code, TEST_FILES["typescript"]: tests}
    build = ["tsc", "--target", "es2022", "--module", "commonjs", *given]
    return Program(files=given, build=build, command=["node", "--test", "--test-reporter=tap"], limits=BUILD_LIMITS)


def _java(code: str, tests: str) -> Program:
    source, name = java_file(code), java_file(tests)
    given = {source: code, name: tests}
    build = ["javac", "-proc:none", "-nowarn", "-d", "/build/out", source, name]
    return Program(
        files=given, build=build, command=["java", *JVM, "-ea", "-cp", "/build/out", name[:-5]], limits=BUILD_LIMITS
    )


def _cpp(code: str, tests: str) -> Program:
    head = "" if '#include "solution.cpp"' in tests else '#include <cassert>\n#include "solution.cpp"\n'
    given = {"solution.cpp": code, TEST_FILES["cpp"]: f"{head}{tests}"}
    build = ["g++", "-std=c++20", "-O0", "-D_GLIBCXX_ASSERTIONS", TEST_FILES["cpp"], "-o", "/build/tests"]
    return Program(files=given, build=build, command=["/build/tests"], limits=BUILD_LIMITS)


def _go(code: str, tests: str) -> Program:
    given = {"solution.go": code, TEST_FILES["go"]: tests, "go.mod": "module solution\n\ngo 1.19\n"}
    return Program(files=given, command=["go", "test", "-count=1", "./..."], limits=BUILD_LIMITS)


def _shell(code: str, tests: str) -> Program:
    given = {"solution.sh": code, TEST_FILES["shell"]: tests}
    return Program(files=given, command=["bash", TEST_FILES["shell"]], limits=RUN_LIMITS)


def told(unit: Unit, ran: Ran) -> Told:
    """Read a run of a test file. A language without a runner of its own has one outcome: it ended well or not."""
    if ran.stage == "build":
        return Told((), broken=(ran.stderr or ran.stdout).strip()[:500] or "it does not compile")
    if unit.language == "python":
        return _read_python(unit, ran)
    listed = [(match[1] == "ok", match[2]) for match in _TAP.finditer(ran.stdout)]
    name = TEST_FILES[unit.language]
    listed = [each for each in listed if each[1] != name and not each[1].endswith(f"/{name}")] or listed
    if listed and unit.language in {"javascript", "typescript"}:
        outcomes = tuple(
            Outcome(name=name, passed=ok, got="passed" if ok else _yaml(ran.stdout, name)) for ok, name in listed
        )
        return Told(outcomes, coverage=_v8(ran.stdout))
    got = "passed" if ran.ok else ((ran.stderr or ran.stdout).strip()[-300:] or f"ended with {ran.exit_code}")
    return Told((Outcome(name=name, passed=ran.ok, got=got),))


def _yaml(stdout: str, name: str) -> str:
    """Why a test failed, out of TAP's details under it."""
    after = stdout.partition(f"- {name}")[2]
    match = re.search(r"error:\s*(?:\|-\s*)?(.+?)\n\s*(?:code|stack|name|expected):", after, re.DOTALL)
    return " ".join(match[1].split())[:300] if match else "failed"


def _v8(stdout: str) -> Coverage | None:
    match = _V8_LINE.search(stdout)
    if match is None:
        return None
    missing = [
        number
        for first, last in re.findall(r"(\d+)(?:-(\d+))?", match[2])
        for number in range(int(first), int(last or first) + 1)
    ]
    share = float(match[1]) / 100
    statements = round(len(missing) / (1 - share)) if missing and share < 1 else 100
    return Coverage(statements=statements, covered=round(statements * share), missing=tuple(missing))


def _read_python(unit: Unit, ran: Ran) -> Told:
    records = [json.loads(line[len(unit.mark) :]) for line in ran.stdout.splitlines() if line.startswith(unit.mark)]
    of = {kind: [each for each in records if each["kind"] == kind] for kind in ("load", "case", "coverage", "mutant")}
    if of["load"]:
        return Told((), broken=str(of["load"][0]["got"]))
    outcomes = tuple(
        Outcome(name=each["name"], passed=each["passed"], got=each["got"], line=each.get("line")) for each in of["case"]
    )
    coverage = None
    if of["coverage"]:
        missing = tuple(of["coverage"][0]["missing"])
        statements = int(of["coverage"][0]["statements"])
        coverage = Coverage(statements=statements, covered=statements - len(missing), missing=missing)
    killers = tuple(tuple(each["killers"]) for each in sorted(of["mutant"], key=lambda each: each["number"]))
    broken = "" if outcomes else f"it ended at {ran.killed or ran.signal or ran.exit_code}: {ran.stderr.strip()[-300:]}"
    return Told(outcomes, broken, coverage, killers)


def test_file(language: Language, entry_code: str, cases: Sequence[tuple[str, str]]) -> str:
    """A test file in the language's own idiom, from calls and their expected values; empty where there is none."""
    if language == "python":
        return _python_tests(entry_code, cases)
    if language == "javascript":
        return _javascript_tests(cases)
    return ""


def _python_tests(code: str, cases: Sequence[tuple[str, str]]) -> str:
    used = [name for name in defined(code) if any(re.search(rf"\b{re.escape(name)}\b", call) for call, _ in cases)]
    head = f"from solution import {', '.join(used)}\n" if used else "from solution import *\n"
    body = [
        f"\n\ndef test_{_word(call)}_{n}():\n    assert {call} == {value}\n" for n, (call, value) in enumerate(cases, 1)
    ]
    return head + "".join(body)


def _javascript_tests(cases: Sequence[tuple[str, str]]) -> str:
    names = ", ".join(dict.fromkeys(_word(call) for call, _ in cases))
    head = (
        'const { test } = require("node:test");\nconst assert = require("node:assert");\n'
        f'const {{ {names} }} = require("./solution.js");\n'
    )
    body = [
        f'\ntest("{_word(call)} {n}", () => {{\n  assert.deepStrictEqual({call}, {value});\n}});\n'
        for n, (call, value) in enumerate(cases, 1)
    ]
    return head + "".join(body)


def _word(call: str) -> str:
    return call.partition("(")[0].strip().rpartition(".")[2]
