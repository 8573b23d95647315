"""Code in the sandbox, and the evidence of it."""

import asyncio
import re

from graphs.coding.state import Run
from graphs.coding.suites import Suite, Tried, tried
from tools.bench import Bench
from tools.errors import Busy, NotInstalled
from tools.sandbox import Program, Ran, run

_TAIL = 2_000
_ABSENT = re.compile(r"No module named '([\w.]+)'|Cannot find module '([\w@/.-]+)'")


async def execute(program: Program, bench: Bench) -> Ran:
    """Run a program in the sandbox, a few times when no place is free.

    Raises `NotInstalled` where nothing can be isolated or the language's toolchain is absent.
    """
    for wait in (0.5, 2.0, 5.0):
        try:
            return await run(program, bench)
        except Busy as error:
            await asyncio.sleep(min(error.retry_after or wait, wait))
    return await run(program, bench)


async def try_out(suite: Suite, bench: Bench, what: str) -> tuple[Tried, Run]:
    """Run a suite; what it told, and the evidence."""
    ran = await execute(suite.program, bench)
    told = tried(suite, ran)
    return told, evidence(what, suite.program, ran, told)


def evidence(what: str, program: Program, ran: Ran, told: Tried | None = None) -> Run:
    """A run as it is shown to people."""
    command = program.build if ran.stage == "build" and program.build else program.command
    return Run(
        what=what,
        command=" ".join(command)[:200],
        exit=ran.exit_code,
        ended=ran.killed or ran.signal or ("does not compile" if ran.stage == "build" else "exited"),
        stdout=(told.stdout if told else ran.stdout)[-_TAIL:],
        stderr=ran.stderr[-_TAIL:],
        seconds=round(ran.wall_seconds, 3),
        memory_mb=round(ran.peak_memory / 1024**2, 1),
        outcomes=told.outcomes if told else (),
    )


def absent_module(reason: str) -> str:
    """The library that a program needs and the sandbox has not; empty when that is not the reason."""
    match = _ABSENT.search(reason)
    name = (match[1] or match[2]) if match else ""
    return "" if name.startswith((".", "/")) or name == "solution" else name


def refusal(error: NotInstalled) -> str:
    """Why nothing was run, for the answer."""
    return f"Nothing was run: {error.message} {error.remedy}".strip()
