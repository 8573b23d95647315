"""Kill the host in the middle of each agent at random points, start it again, and see whether each run ends well.

The models are scripted; memory, checkpoints, log and sandbox are real. After a kill the next host must take the run up
and end it as `done`, or otherwise with its reason: a write that was cut off is not done again, and the assistant's
scripted model does not know how to go on without it. Its answer must be there once, and what it appended to a file must
be there once.
"""

import asyncio
import json
import os
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

from tools.bench import Bench
from tools.errors import SutradharError
from tools.settings import Budget, Policy, Settings
from tools.toolbox import TOOLBOX, Toolbox, tool

if TYPE_CHECKING:
    from graphs.runs import Runs

_PATIENCE = 180.0
_KILLS, _QUICK_KILLS = 20, 3

ASKED = {
    "temporal": "Where was the mirror built?",
    "coding": "Write a Python function `turned(text)` that returns the text backwards.",
    "research": "The mirror of the telescope",
    "content": "Write a short blog post about the mirror of the telescope.",
    "assistant": "Append one, two and three.",
    "router": "Where was the mirror built? And write a Python function `turned(text)` that returns the text backwards.",
}

PAPER = """# The mirror

The mirror of the telescope was built at Goddard in 2011. It has eighteen segments of beryllium.

# The cost

The telescope cost ten billion dollars. The mirror was tested in Houston in 2017.
"""


def _call(line: str, after: str) -> dict[str, Any]:
    return {"when": rf"Append one, two and three(?s:.*){after}", "say": {"tool": "append", "arguments": {"text": line}}}


SCRIPT: list[dict[str, Any]] = [
    # the latest result first: the script looks for the first line that fits
    {"when": "Append one(?s:.*)did three", "say": {"answer": "Appended."}, "delay": 0.02},
    {**_call("three", "did two"), "delay": 0.02},
    {**_call("two", "did one"), "delay": 0.02},
    {**_call("one", ""), "delay": 0.02},
    {"when": "turned", "say": "```python\ndef turned(text):\n    return text[::-1]\n```", "delay": 0.05},
    {"say": "The mirror of the telescope was built at Goddard in 2011 [1].", "delay": 0.03},
]


class Line(BaseModel):
    text: str


@tool(title="Append", effect="write")
async def append(input: Line, bench: Bench) -> Line:
    """Append a line to a file."""
    await asyncio.sleep(0.05)
    with (bench.settings.home / "lines").open("a") as file:
        file.write(f"{input.text}\n")
    await asyncio.sleep(0.05)
    return Line(text=f"did {input.text}")


async def run(home: Path, data: Path | None, quick: bool) -> dict[str, Any]:
    """For each agent: how its runs ended after a kill. `lost`, `doubled` and `unexplained` must be 0."""
    del data
    chance = random.Random(13)  # noqa: S311 - chooses moments, guards nothing
    figures: dict[str, Any] = {"lost": 0, "doubled": 0, "unexplained": 0}
    with tempfile.TemporaryDirectory(dir=home) as folder:
        memory = Path(folder, "memory")
        await _host(memory, "", None)
        for agent in ASKED:
            figures[agent] = await _trials(Path(folder), agent, chance, _QUICK_KILLS if quick else _KILLS, figures)
    return figures


async def _trials(
    folder: Path, agent: str, chance: random.Random, kills: int, figures: dict[str, Any]
) -> dict[str, Any]:
    undisturbed = await _once(folder, agent, None)
    seconds, ends = undisturbed["seconds"], Counter[str]()
    waited = list[float]()
    for _ in range(kills):
        told = await _once(folder, agent, chance.uniform(0.0, seconds))
        ends[told["status"] if told["interrupted"] else "finished before"] += 1
        figures["lost"] += told["answers"] == 0 and told["status"] != "failed"
        figures["doubled"] += max(told["answers"] - 1, 0) + len(told["lines"]) - len(set(told["lines"]))
        figures["unexplained"] += told["status"] != "done" and not told["reason"]
        if told["interrupted"]:
            waited.append(told["seconds"])
    return {
        "undisturbed": undisturbed["status"],
        "undisturbed_seconds": round(seconds, 2),
        "after_kill": dict(ends),
        "resumed_seconds_max": round(max(waited, default=0.0), 2),
    }


async def _once(folder: Path, agent: str, kill_after: float | None) -> dict[str, Any]:
    """A run in a fresh copy of the home, killed so many seconds after it began and then taken up by a second host."""
    home = folder / "trial"
    await asyncio.to_thread(shutil.rmtree, home, ignore_errors=True)
    await asyncio.to_thread(shutil.copytree, folder / "memory", home)
    first = await _host(home, agent, kill_after)
    if first is not None:
        return {**first, "interrupted": False}
    second = await _host(home, "", None)
    assert second is not None
    return {**second, "interrupted": True}


async def _host(home: Path, agent: str, kill_after: float | None) -> dict[str, Any] | None:
    """Start a host; None when it was killed. One with an agent begins a run, one without takes up what it finds."""
    command = [sys.executable, "-m", "tests.bench.agents_kill", str(home), agent]
    path = os.pathsep.join(path for path in sys.path if path)
    environment = {**os.environ, "PYTHONPATH": path, "LANGGRAPH_STRICT_MSGPACK": "true"}
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, env=environment, limit=1 << 24, start_new_session=True
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(_PATIENCE):
            if await process.stdout.readline() != b"begun\n":
                raise RuntimeError("the host did not start; see its errors above")
            if kill_after is not None:
                await asyncio.wait([asyncio.ensure_future(process.wait())], timeout=kill_after)
                if process.returncode is None:
                    process.kill()
            answer = await process.stdout.readline()
            await process.wait()
    finally:
        if process.returncode is None:
            process.kill()
    if not answer:
        if kill_after is None:
            raise RuntimeError(f"the host ended with code {process.returncode} and was not killed")
        return None
    told: dict[str, Any] = json.loads(answer)
    return told


@asynccontextmanager
async def opened(home: Path) -> AsyncIterator["Runs"]:
    from graphs.runs import open_runs
    from knowledge.open import open_knowledge
    from tools.catalog import load_catalog
    from tools.chat.scripted import with_script
    from tools.open import open_bench

    script = await asyncio.to_thread(_prepared, home)
    settings = Settings(
        home=home,
        offline=True,
        serves={"text-embedding": ["hashed-words"], "reranking": []},
        policy=Policy(trusted=["append", "search_web", "fetch_page"]),
        budget=Budget(seconds=60),
        _env_file=None,
    )
    async with (
        open_bench(settings, catalog=with_script(load_catalog(), script)) as bare,
        open_knowledge(bare) as known,
        open_runs(replace(known, parts={**known.parts, TOOLBOX.name: Toolbox([append])})) as runs,
    ):
        yield runs


def _prepared(home: Path) -> Path:
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    script = home.with_name("script.json")
    script.write_text(json.dumps(SCRIPT), encoding="utf-8")
    return script


async def _work(home: Path, agent: str) -> None:
    async with opened(home) as runs:
        if not agent and not await runs.threads():
            print("begun", flush=True)
            await remember(home, runs)
            print(json.dumps({}), flush=True)
            return
        began = time.perf_counter()
        run = await _begun(runs, agent)
        print("begun", flush=True)
        events = [event async for _, event in runs.stream(run)]
        last: Any = events[-1]
        lines = home / "lines"
        told = {
            "status": last.status,
            "reason": last.reason,
            "seconds": time.perf_counter() - began,
            "answers": sum(event.type == "answer" for event in events),
            "lines": lines.read_text().split() if lines.exists() else [],
        }
    print(json.dumps(told), flush=True)


async def _begun(runs: "Runs", agent: str) -> str:
    if not agent:
        return (await runs.runs("t"))[-1].run
    return await runs.start(agent, ASKED[agent], thread="t")


async def remember(home: Path, runs: "Runs") -> None:
    from ingestion.ingest import ingest

    paper = home.with_name("paper.md")
    paper.write_text(PAPER, encoding="utf-8")
    try:
        await ingest(paper, runs.bench, knowledge_base="kill")
    except SutradharError as error:
        raise RuntimeError("the paper could not be ingested") from error


if __name__ == "__main__":
    asyncio.run(_work(Path(sys.argv[1]), sys.argv[2]))
