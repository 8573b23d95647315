"""`sutradhar demo`: the whole way, through the same doors that people use, with every answer checked."""

import asyncio
import os
import shutil
import signal
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from rich.markup import escape

from api.cli.ask import Question, hear
from api.cli.edge import err, out
from api.cli.host import RunningHost, running_host
from api.cli.ingest import ingest
from api.cli.models import fetch
from api.demo.film import cut_film
from graphs.events import Answer
from tools.catalog import load_catalog
from tools.errors import EngineFailed, SutradharError
from tools.settings import Settings
from tools.store import WeightStore

_BASE = "demo"
_DOCUMENTS = ("LICENSE", "docs/architecture.md", "docs/configuration.md")
_START_SECONDS = 120.0


@dataclass(frozen=True)
class Expected:
    """A question and what a right answer has: one of `words`, or a citation that overlaps `moment`.

    Without either the material does not answer it, and the right answer says so.
    """

    question: str
    words: tuple[str, ...] = ()
    moment: tuple[float, float] | None = None

    def holds(self, answer: Answer | None) -> bool:
        if answer is None:
            return False
        if not self.words and self.moment is None:
            return not answer.answered
        said = not self.words or any(word in answer.text.lower() for word in self.words)
        return answer.answered and bool(answer.citations) and said and self._shown(answer)

    def _shown(self, answer: Answer) -> bool:
        if self.moment is None:
            return True
        start, end = self.moment
        spans = [(each.start, each.end) for each in answer.citations]
        return any(a is not None and b is not None and a < end and b > start for a, b in spans)


QUESTIONS = (
    Expected("When is the winter of despair mentioned?", moment=(17.7, 21.3)),
    Expected("Besides the age of wisdom, which age was it?", words=("foolishness",), moment=(5.1, 8.9)),
    Expected("When does the motorcycle appear?", moment=(9.0, 17.5)),
    Expected("Does the licence give permission to use the trademarks?", words=("not", "no")),
    Expected("Who won the football World Cup in 1998?"),
)


async def demo(settings: Settings) -> None:
    """Run everything; raises `EngineFailed` when an answer is not the one that the material gives."""
    started = time.perf_counter()
    out.print("[bold]1. Small models[/bold], fetched once and checked by their digests")
    await fetch(settings, [], as_json=False)
    out.print("\n[bold]2. A film and three documents[/bold]")
    folder = await _material(settings)
    async with _host(settings) as host:
        out.print("\n[bold]3. Ingested by Prefect flows[/bold]")
        await ingest(settings, [folder], _BASE, as_json=False)
        out.print("\n[bold]4. Questions[/bold]")
        wrong = [each.question for each in QUESTIONS if not await _asked(settings, each)]
        _conclude(host, len(QUESTIONS) - len(wrong), time.perf_counter() - started)
    if wrong:
        raise EngineFailed(f"Wrong or missing: {'; '.join(wrong)}", remedy="`sutradhar doctor` checks this machine.")


async def _asked(settings: Settings, expected: Expected) -> bool:
    out.print(f"\n[bold cyan]? {escape(expected.question)}[/bold cyan]")
    told = await hear(settings, Question(text=expected.question, knowledge_bases=[_BASE]), aloud=True)
    holds = expected.holds(told.answer)
    out.print("[green]✓ as it should be[/green]" if holds else "[red]✗ not what the material says[/red]")
    return holds


async def _material(settings: Settings) -> Path:
    """The film, cut on this machine from sample media, and documents of this project."""
    folder = settings.home / "demo"
    folder.mkdir(parents=True, exist_ok=True)
    film = folder / "film.mp4"
    if not film.exists():
        store = WeightStore(settings.cache, offline=settings.offline)
        samples = await store.ensure(load_catalog().row("sample-media"))
        err.print("[dim]· cutting the film[/dim]")
        await asyncio.to_thread(cut_film, samples, film)
    root = Path(__file__).parents[2]
    for name in _DOCUMENTS:
        if (root / name).exists():
            shutil.copyfile(root / name, folder / f"{Path(name).stem}{Path(name).suffix or '.txt'}")
    out.print(f"  {folder}")
    return folder


@asynccontextmanager
async def _host(settings: Settings) -> AsyncIterator[RunningHost]:
    """The host of this home; started for as long as the block lasts when none runs."""
    async with running_host(settings) as running:
        if running is not None:
            yield running
            return
    log = settings.home / "logs" / "demo-host.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    environment = os.environ | {"SUTRADHAR_HOME": str(settings.home)}
    with log.open("wb") as lines:
        child = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "api.cli", "up", stdout=lines, stderr=lines, env=environment
        )
    try:
        await _ready(settings, child, log)
        async with running_host(settings) as running:
            if running is None:
                raise EngineFailed("The host started and was gone at once.", remedy=f"Its log is {log}.")
            yield running
    finally:
        if child.returncode is None:
            child.send_signal(signal.SIGINT)
        await child.wait()


async def _ready(settings: Settings, child: asyncio.subprocess.Process, log: Path) -> None:
    err.print("[dim]· starting the host, the Prefect server and the flow runner[/dim]")
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline and child.returncode is None:
        async with running_host(settings) as host:
            if host is not None and await _answers(host):
                return
        await asyncio.sleep(0.5)
    raise EngineFailed("The host did not start.", remedy=f"Its log is {log}.")


async def _answers(host: RunningHost) -> bool:
    try:
        await host.get("/ready")
    except (SutradharError, OSError):
        return False
    return True


def _conclude(host: RunningHost, right: int, seconds: float) -> None:
    colour = "green" if right == len(QUESTIONS) else "red"
    out.print(f"\n[bold {colour}]{right} of {len(QUESTIONS)} answers right[/bold {colour}] in {seconds:.0f} s.")
    out.print(f"`make up` starts the platform again at {host.url}: the film and the documents are in its library.")
