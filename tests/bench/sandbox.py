"""HumanEval's own solutions in the sandbox: they pass, mutated ones fail, and what the walls cost per run."""

import asyncio
import json
import os
import statistics
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from tools import sandbox
from tools.errors import NotInstalled
from tools.sandbox import Program, Ran, SandboxLimits
from tools.sandbox.proof import prove
from tools.settings import Sandbox, Settings

_CROWD = 20
_LIMITS = SandboxLimits(seconds=60, cpu_seconds=60, memory=256 << 20, processes=16)
# a body that gives back nothing: a check that it passes tests nothing
_MUTATED = "    return None\n"
_PASS = ["-c", "pass"]

Problem = dict[str, str]


async def run(home: Path, data: Path | None, quick: bool) -> dict[str, Any]:
    """Passes of solutions and of mutated ones, one after another and 20 at once; milliseconds are medians."""
    file = (data or Path()) / "code" / "humaneval.jsonl"
    if data is None or not file.is_file():
        raise NotInstalled(f"There is no {file}.", remedy="Name the folder that has code/humaneval.jsonl with --data.")
    problems = [json.loads(line) for line in (await asyncio.to_thread(file.read_text)).splitlines()]
    problems = problems[:10] if quick else problems
    settings = Settings(home=home, sandbox=Sandbox(parallel=_CROWD), _env_file=None)
    figures: dict[str, Any] = {"load": round(os.getloadavg()[0], 2), "layers": (await prove(settings)).layers}
    figures |= await _start_cost(settings, 10 if quick else 40)
    solved = [await _solve(each, each["canonical_solution"], settings) for each in problems]
    mutated = [await _solve(each, _MUTATED, settings) for each in problems]
    began = time.perf_counter()
    crowd = await _crowd([(each, each["canonical_solution"]) for each in problems], settings)
    crowd_seconds = time.perf_counter() - began
    return figures | {
        "problems": len(problems),
        "solutions_passed": sum(ran.ok for ran in solved),
        "mutated_passed": sum(ran.ok for ran in mutated),
        "failed": [each["task_id"] for each, ran in zip(problems, solved, strict=True) if not ran.ok],
        "inside_ms": round(statistics.median(ran.wall_seconds for ran in solved) * 1000, 1),
        f"solutions_passed_{_CROWD}_at_once": sum(ran.ok for ran in crowd),
        f"runs_per_second_{_CROWD}_at_once": round(len(problems) / crowd_seconds, 1),
    }


async def _solve(problem: Problem, body: str, settings: Settings) -> Ran:
    """The problem's check over its prompt with this body."""
    code = f"{problem['prompt']}{body}\n{problem['test']}\ncheck({problem['entry_point']})\n"
    return await sandbox.run(Program(files={"main.py": code}, command=["python", "main.py"], limits=_LIMITS), settings)


async def _crowd(work: list[tuple[Problem, str]], settings: Settings) -> list[Ran]:
    """Always 20 at once until all are done."""
    turn = asyncio.Semaphore(_CROWD)

    async def one(problem: Problem, body: str) -> Ran:
        async with turn:
            return await _solve(problem, body, settings)

    return await asyncio.gather(*(one(*each) for each in work))


async def _start_cost(settings: Settings, rounds: int) -> dict[str, Any]:
    """An empty program, outside and inside, in turns. Outside it is the barest start of the same interpreter."""

    async def plain() -> None:
        # without a site folder, as inside, where that folder is shown empty
        process = await asyncio.create_subprocess_exec(sys.executable, "-I", "-S", *_PASS)
        await process.wait()

    async def walled() -> None:
        await sandbox.run(Program(command=["python", *_PASS], limits=_LIMITS), settings)

    jobs: dict[str, Callable[[], Awaitable[None]]] = {"plain_ms": plain, "sandbox_ms": walled}
    times: dict[str, list[float]] = {name: [] for name in jobs}
    for _ in range(rounds):
        for name, job in jobs.items():
            began = time.perf_counter()
            await job()
            times[name].append((time.perf_counter() - began) * 1000)
    medians = {name: round(statistics.median(taken), 1) for name, taken in times.items()}
    least = {f"{name}_min": round(min(taken), 1) for name, taken in times.items()}
    return {**medians, **least, "added_ms": round(medians["sandbox_ms"] - medians["plain_ms"], 1)}
