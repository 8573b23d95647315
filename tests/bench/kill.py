"""Kill an ingest at random points with SIGKILL, start it again, and compare what is remembered with an undisturbed one.

The ingest runs in a process of its own over the embedded store, with a document of some hundred passages and an
embedding that needs no weights: the point is what survives, not how fast it is.
"""

import asyncio
import json
import os
import random
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from tools.settings import Settings

_SECTIONS = 400
_BASE = "kill"
_PATIENCE = 300.0
_TRIALS, _QUICK_TRIALS = 20, 3


async def run(home: Path, data: Path | None, quick: bool) -> dict[str, Any]:
    """`lost` and `doubled` segments over all kills; both must be 0."""
    del data
    chance = random.Random(7)  # noqa: S311 - chooses moments, guards nothing
    trials = _QUICK_TRIALS if quick else _TRIALS
    with tempfile.TemporaryDirectory(dir=home) as folder:
        paper = Path(folder, "paper.md")
        await asyncio.to_thread(paper.write_text, _paper())
        seconds, wanted = await _ingest(Path(folder, "undisturbed"), paper, None)
        assert wanted is not None
        lost = doubled = interrupted = 0
        recovery = list[float]()
        for trial in range(trials):
            own = Path(folder, str(trial))
            _, ended = await _ingest(own, paper, chance.uniform(0.0, seconds))
            interrupted += ended is None
            took, got = await _ingest(own, paper, None)
            recovery.append(took)
            got = got or []
            lost += len(set(wanted) - set(got))
            doubled += len(got) - len(set(got)) + len(set(got) - set(wanted))
    return {
        "kills": trials,
        "kills_before_the_end": interrupted,
        "segments": len(wanted),
        "lost": lost,
        "doubled": doubled,
        "undisturbed_seconds": round(seconds, 3),
        "resumed_seconds_max": round(max(recovery), 3),
    }


async def _ingest(home: Path, paper: Path, kill_after: float | None) -> tuple[float, list[str] | None]:
    """Run the ingest, killed so many seconds after it began; returns its seconds and the ids, None if it was killed."""
    await asyncio.to_thread(home.mkdir, parents=True, exist_ok=True)
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.bench.kill",
        str(home),
        str(paper),
        stdout=asyncio.subprocess.PIPE,
        limit=1 << 24,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
        start_new_session=True,
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(_PATIENCE):
            if await process.stdout.readline() != b"begun\n":
                raise RuntimeError("the ingest did not start; see its errors above")
            began = time.perf_counter()
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
            raise RuntimeError(f"the ingest ended with code {process.returncode} and was not killed")
        return time.perf_counter() - began, None
    told = json.loads(answer)
    return told["seconds"], told["ids"]


def _paper() -> str:
    words = ["river", "bridge", "harvest", "monsoon", "village", "lantern", "school", "market", "temple", "railway"]
    chance = random.Random(11)  # noqa: S311
    sections = (
        f"# Section {number}\n\n{' '.join(chance.choice(words) for _ in range(70))}.\n" for number in range(_SECTIONS)
    )
    return "\n".join(sections)


async def _work(home: Path, paper: Path) -> None:
    from ingestion.ingest import ingest
    from knowledge.open import open_knowledge
    from knowledge.store import STORE, Where
    from tools.open import open_bench

    settings = Settings(home=home, offline=True, serves={"text-embedding": ["hashed-words"]}, _env_file=None)
    async with open_bench(settings) as bare, open_knowledge(bare) as bench:
        print("begun", flush=True)
        began = time.perf_counter()
        await ingest(paper, bench, knowledge_base=_BASE)
        seconds = time.perf_counter() - began
        found = await bench.part(STORE).scroll(bench.tenant, Where(knowledge_bases=[_BASE]), limit=10_000)
    print(json.dumps({"seconds": seconds, "ids": [str(each.id) for each in found]}), flush=True)


if __name__ == "__main__":
    asyncio.run(_work(Path(sys.argv[1]), Path(sys.argv[2])))
