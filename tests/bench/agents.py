"""Fifty runs at once over all agents on scripted models: how they end, and how long they take."""

import asyncio
import statistics
import tempfile
import time
from collections import Counter
from itertools import cycle, islice
from pathlib import Path
from typing import Any

from graphs.events import RunFinished
from graphs.runs import Runs
from tests.bench.agents_kill import ASKED, opened, remember

RUNS = 50


async def run(home: Path, data: Path | None, quick: bool) -> dict[str, Any]:
    """`ends` counts how the runs ended; with real memory and sandbox, the models cost nothing but their scripts."""
    del data
    with tempfile.TemporaryDirectory(dir=home) as folder:
        async with opened(Path(folder, "home")) as runs:
            await remember(Path(folder, "home"), runs)
            # the assistant writes to one file, and one of its kind is enough
            agents = [agent for agent in ASKED if agent != "assistant"]
            asked = [*islice(cycle(agents), 10 if quick else RUNS - 1), "assistant"]
            began = time.perf_counter()
            told = await asyncio.gather(*(_ended(runs, agent) for agent in asked))
            seconds = time.perf_counter() - began
    ends = Counter(f"{agent} {last.status}" for agent, last, _ in told)
    by_agent = {agent: [took for name, _, took in told if name == agent] for agent in ASKED}
    return {
        "runs": len(told),
        "failed": sum(last.status == "failed" for _, last, _ in told),
        "reasons": sorted({last.reason for _, last, _ in told if last.reason}),
        "ends": dict(sorted(ends.items())),
        "seconds": round(seconds, 2),
        "median_seconds": {agent: round(statistics.median(took), 2) for agent, took in by_agent.items()},
    }


async def _ended(runs: Runs, agent: str) -> tuple[str, RunFinished, float]:
    began = time.perf_counter()
    events = [event async for _, event in runs.stream(await runs.start(agent, ASKED[agent]))]
    last = events[-1]
    assert isinstance(last, RunFinished)
    return agent, last, time.perf_counter() - began
