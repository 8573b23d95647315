"""Try a Python program: evaluate each expectation of `plan.json` in it and print what came of it, one JSON line each.

The plan has `file`, `mark` (the beginning of each line of ours), `cases` (setup, call, expected), `probes` (expressions
whose values are only shown) and `seconds` for each of them.
"""

import io
import json
import math
import signal
import sys
import traceback
from contextlib import redirect_stdout
from pathlib import Path
from types import FrameType, ModuleType
from typing import Any


class TooSlow(BaseException):
    """Not an `Exception`, so that the program's own `except` does not swallow it."""


def _ring(number: int, frame: FrameType | None) -> None:
    raise TooSlow


def same(got: Any, want: Any) -> bool:
    if isinstance(got, bool) or isinstance(want, bool):
        return type(got) is type(want) and got == want
    if isinstance(got, int | float) and isinstance(want, int | float):
        return got == want or math.isclose(got, want, rel_tol=1e-6, abs_tol=1e-6)
    if isinstance(got, list | tuple) and type(got) is type(want) and len(got) == len(want):
        return all(map(same, got, want))
    return bool(got == want)


def _expected(case: dict[str, str], got: Any, names: dict[str, Any]) -> bool:
    try:
        want = eval(case["expected"], names)  # noqa: S307 - what runs here is what the sandbox is for
    except Exception:  # noqa: BLE001
        return repr(got) == case["expected"]
    return same(got, want) or repr(got) == case["expected"]


def _reason(error: BaseException, file: str) -> tuple[str, int | None]:
    if isinstance(error, TooSlow):
        return "took too long", None
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == file]
    if isinstance(error, SyntaxError):
        lines = [error.lineno]
    text = f"{type(error).__name__}: {error}"[:300]
    return text, lines[-1] if lines else None


def attempt(names: dict[str, Any], case: dict[str, str], file: str, seconds: float) -> dict[str, Any]:
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        with redirect_stdout(io.StringIO()):
            fresh = dict(names)
            exec(case.get("setup", ""), fresh)  # noqa: S102
            got = eval(case["call"], fresh)  # noqa: S307
            passed = "expected" in case and _expected(case, got, fresh)
        return {"name": case["call"], "passed": passed, "got": repr(got)[:300]}
    except BaseException as error:  # noqa: BLE001 - a program may raise anything, SystemExit too
        text, line = _reason(error, file)
        return {"name": case["call"], "passed": False, "got": text, "line": line, "raised": True}
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def load(file: str, seconds: float) -> dict[str, Any]:
    """The program's names; raises whatever it raises."""
    module = ModuleType("solution")
    sys.modules["solution"] = module
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        with redirect_stdout(io.StringIO()):
            exec(compile(Path(file).read_text(encoding="utf-8"), file, "exec"), module.__dict__)  # noqa: S102
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
    return module.__dict__


def main() -> None:
    plan = json.loads(Path("plan.json").read_text(encoding="utf-8"))
    sys.setrecursionlimit(5_000)
    signal.signal(signal.SIGALRM, _ring)
    sys.stdin = io.StringIO("")

    def say(kind: str, **told: Any) -> None:
        print(plan["mark"] + json.dumps({"kind": kind, **told}), flush=True)  # noqa: T201

    try:
        names = load(plan["file"], plan["seconds"])
    except BaseException as error:  # noqa: BLE001
        text, line = _reason(error, plan["file"])
        say("load", got=text, line=line)
        return
    slow = 0
    for kind, case in [("case", each) for each in plan["cases"]] + [
        ("probe", {"call": each}) for each in plan["probes"]
    ]:
        told = attempt(names, case, plan["file"], plan["seconds"])
        say(kind, **told)
        slow += told["got"] == "took too long"
        if slow > 1:
            # the rest would take as long and say no more
            return


if __name__ == "__main__":
    main()
