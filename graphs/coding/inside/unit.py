"""Run tests of a Python program, measure what they cover, and see which of them notice changes to the program.

`unit.json` has `file`, `tests` (a file), `mark`, `seconds` for each test, `mutants` (sources of changed programs) and
`cover`. Tests are functions called `test_…`, `unittest` classes, or a script of assertions. One JSON line each.
"""

import importlib
import io
import json
import signal
import sys
import traceback
import unittest
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from types import FrameType, ModuleType
from typing import Any

Tests = list[tuple[str, Callable[[], object]]]


class TooSlow(BaseException):
    """Not an `Exception`, so that the program's own `except` does not swallow it."""


def _ring(number: int, frame: FrameType | None) -> None:
    raise TooSlow


def bounded(call: Callable[[], object], seconds: float, files: tuple[str, ...]) -> dict[str, Any]:
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
            call()
        return {"passed": True, "got": "passed"}
    except TooSlow:
        return {"passed": False, "got": "took too long"}
    except BaseException as error:  # noqa: BLE001 - a test may raise anything, SystemExit too
        frames = [each for each in traceback.extract_tb(error.__traceback__) if Path(each.filename).name in files]
        said = f"{type(error).__name__}: {error}".rstrip(": ")
        source = f" in `{frames[-1].line}`" if frames and frames[-1].line else ""
        return {"passed": False, "got": f"{said}{source}"[:400], "line": frames[-1].lineno if frames else None}
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def load(name: str, file: str, source: str) -> ModuleType:
    module = ModuleType(name)
    module.__file__ = file
    sys.modules[name] = module
    exec(compile(source, file, "exec"), module.__dict__)  # noqa: S102 - what runs here is what the sandbox is for
    return module


def collect(names: dict[str, Any]) -> Tests:
    found: Tests = [
        (name, value) for name, value in names.items() if name.startswith("test") and callable(value) and _plain(value)
    ]
    for name, kind in names.items():
        if isinstance(kind, type) and issubclass(kind, unittest.TestCase):
            for method in unittest.defaultTestLoader.getTestCaseNames(kind):
                found.append((f"{name}.{method}", _case(kind, method)))
    return found


def _plain(value: Any) -> bool:
    code = getattr(value, "__code__", None)
    return code is not None and code.co_argcount == len(value.__defaults__ or ())


def _case(kind: type[unittest.TestCase], method: str) -> Callable[[], object]:
    return lambda: kind(method).debug()


def tests_of(module: ModuleType, plan: dict[str, Any]) -> Tests:
    """The tests, loaded against this version of the program; a file without functions is one test as a whole."""
    path = Path(plan["tests"])
    source = path.read_text(encoding="utf-8")
    names = {name: value for name, value in vars(module).items() if not name.startswith("__")}

    def whole() -> dict[str, Any]:
        fresh = ModuleType(path.stem)
        fresh.__dict__.update(names)
        exec(compile(source, str(path), "exec"), fresh.__dict__)  # noqa: S102
        return fresh.__dict__

    loaded = dict[str, Any]()
    told = bounded(lambda: loaded.update(whole()), plan["seconds"], (path.name,))
    if not told["passed"]:

        def fail() -> None:
            raise AssertionError(told["got"])

        return [(path.name, fail)]
    own = {name: value for name, value in loaded.items() if names.get(name) is not value}
    return collect(own) or [(path.name, whole)]


def run_all(module: ModuleType, plan: dict[str, Any]) -> list[dict[str, Any]]:
    files = (Path(plan["tests"]).name, Path(plan["file"]).name)
    return [{"name": name, **bounded(test, plan["seconds"], files)} for name, test in tests_of(module, plan)]


def main() -> None:
    plan = json.loads(Path("unit.json").read_text(encoding="utf-8"))
    signal.signal(signal.SIGALRM, _ring)
    sys.path.insert(0, "")
    sys.stdin = io.StringIO("")
    name = Path(plan["file"]).stem

    def say(kind: str, **told: Any) -> None:
        print(plan["mark"] + json.dumps({"kind": kind, **told}), flush=True)  # noqa: T201

    def fresh(source: str) -> tuple[dict[str, Any], list[dict[str, Any]]]:
        kept = list[ModuleType]()
        told = bounded(lambda: kept.append(load(name, plan["file"], source)), plan["seconds"], (plan["file"],))
        return told, run_all(kept[0], plan) if kept else []

    source = Path(plan["file"]).read_text(encoding="utf-8")
    measure = (
        importlib.import_module("coverage").Coverage(data_file=None, include=[plan["file"]]) if plan["cover"] else None
    )
    if measure is not None:
        measure.start()
    loaded, outcomes = fresh(source)
    if measure is not None:
        measure.stop()
    if not loaded["passed"]:
        say("load", got=loaded["got"], line=loaded.get("line"))
        return
    for each in outcomes:
        say("case", **each)
    if measure is not None:
        _, statements, _, missing, _ = measure.analysis2(plan["file"])
        say("coverage", statements=len(statements), missing=missing)
    for number, mutant in enumerate(plan["mutants"]):
        changed, noticed = fresh(mutant)
        killers = [each["name"] for each in noticed if not each["passed"]] if changed["passed"] else ["*"]
        say("mutant", number=number, killers=killers)


if __name__ == "__main__":
    main()
