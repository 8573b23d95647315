"""HumanEval pass@1: what the chat model writes at its first try, and what the coding agent makes of it."""

import asyncio
import json
import logging
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from graphs.catalog import Ask
from graphs.coding.state import CodeResult
from graphs.events import Answer, RunFinished
from graphs.runs import Runs, open_runs
from knowledge.library import LIBRARY, open_library
from tools.bench import Bench
from tools.errors import NotInstalled
from tools.open import open_bench
from tools.sandbox import Program
from tools.sandbox import run as run_program
from tools.settings import Budget, Settings

_log = logging.getLogger(__name__)

QUICK = 12
BUDGET = Budget(seconds=900)


@dataclass(frozen=True)
class Problem:
    """`test` defines `check`, which the agent never sees."""

    name: str
    prompt: str
    entry: str
    test: str


@dataclass(frozen=True)
class Solved:
    """`first` and `loop` tell whether the hidden tests pass for the first version and for the agent's answer.

    `claimed` says that the agent saw all of its own tests pass.
    """

    name: str
    first: bool
    loop: bool
    claimed: bool
    attempts: int
    chat_calls: int
    seconds: float


def problems_of(data: Path, count: int) -> list[Problem]:
    """So many problems, spread evenly over the file; all of them for 0."""
    lines = (data / "code" / "humaneval.jsonl").read_text(encoding="utf-8").splitlines()
    rows = [json.loads(line) for line in lines if line.strip()]
    step = len(rows) / count if count else 1.0
    chosen = [rows[int(n * step)] for n in range(min(count or len(rows), len(rows)))]
    return [Problem(each["task_id"], each["prompt"], each["entry_point"], each["test"]) for each in chosen]


async def passes(code: str, problem: Problem, bench: Bench) -> bool:
    """Whether the hidden tests pass, in the sandbox."""
    if not code:
        return False
    text = f"{code}\n{problem.test}\ncheck({problem.entry})\n"
    return (await run_program(Program(files={"main.py": text}, command=["python", "main.py"]), bench)).ok


async def solve(runs: Runs, problem: Problem) -> Solved:
    """One request to the agent, in a thread of its own."""
    run = await runs.start("coding", Ask(question=problem.prompt, options={"language": "python"}), budget=BUDGET)
    result, end = None, None
    async for _, event in runs.stream(run):
        if isinstance(event, Answer) and event.result:
            result = CodeResult.model_validate(event.result)
        elif isinstance(event, RunFinished):
            end = event
    thread = (await runs.run(run)).thread
    candidates = (await runs.history(thread, limit=1))[0].values.get("candidates") or [{"code": ""}]
    made = result.files[0].text if result and result.files else ""
    first, loop = await asyncio.gather(
        passes(candidates[0]["code"], problem, runs.bench), passes(made, problem, runs.bench)
    )
    return Solved(
        name=problem.name,
        first=first,
        loop=loop,
        claimed=bool(result and result.total and result.passed == result.total),
        attempts=len(candidates),
        chat_calls=end.usage.chat_calls if end else 0,
        seconds=end.usage.seconds if end else 0.0,
    )


def figures_of(solved: Sequence[Solved]) -> dict[str, Any]:
    count = max(len(solved), 1)
    one, loop = sum(each.first for each in solved) / count, sum(each.loop for each in solved) / count
    claimed = [each for each in solved if each.claimed]
    return {
        "problems": len(solved),
        "one_shot": round(one, 3),
        "loop": round(loop, 3),
        "points_won": round(100 * (loop - one), 1),
        "repaired": sum(each.loop and not each.first for each in solved),
        "spoilt": sum(each.first and not each.loop for each in solved),
        "claimed": len(claimed),
        "claimed_and_right": round(sum(each.loop for each in claimed) / max(len(claimed), 1), 3),
        "attempts_mean": round(statistics.mean(each.attempts for each in solved), 2),
        "chat_calls_mean": round(statistics.mean(each.chat_calls for each in solved), 2),
        "seconds_p50": round(statistics.median(each.seconds for each in solved), 1),
        "seconds_max": round(max(each.seconds for each in solved), 1),
    }


async def run(home: Path, data: Path | None, quick: bool = False, *, problems: int = 0) -> dict[str, Any]:
    """The one shot is the agent's own first version: the same model, the same prompt, no chance in it."""
    if data is None:
        raise NotInstalled("This evaluation needs code/humaneval.jsonl.", remedy="Name its folder with --data DIR.")
    chosen = problems_of(data, problems or (QUICK if quick else 0))
    solved = list[Solved]()
    await asyncio.to_thread(home.mkdir, parents=True, exist_ok=True)
    with TemporaryDirectory(dir=home) as folder:
        settings = Settings(home=Path(folder) / "home")
        async with open_bench(settings) as bench, open_library(Path(folder) / "library.sqlite") as library:
            ready = replace(bench, parts={**bench.parts, LIBRARY.name: library})
            async with open_runs(ready) as runs:
                for each in chosen:
                    solved.append(await solve(runs, each))
                    _log.info("%s", solved[-1])
    return figures_of(solved)
