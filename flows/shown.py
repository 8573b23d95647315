"""Stages made visible: each as a Prefect task with a progress artifact, and in the library's source."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

from prefect import task
from prefect.artifacts import acreate_progress_artifact, aupdate_progress_artifact
from prefect.cache_policies import NO_CACHE

from ingestion.stages import Progress
from knowledge.library import SourceChange, Stage, StageState
from knowledge.tools import PutSourceInput, put_source
from tools.bench import Bench
from tools.errors import EngineFailed, SutradharError

_UPDATE_SECONDS = 1.0
_LAST_SECONDS = 10.0


@dataclass(frozen=True)
class Job:
    """The ingest whose stages are shown; `media` is the sha256."""

    bench: Bench
    media: str
    name: str
    knowledge_base: str


class _Shown:
    """One stage as a task: woken when there is news, ended by the stage's outcome."""

    def __init__(self, job: Job, stage: str) -> None:
        self._job = job
        self._stage = stage
        self._news = asyncio.Event()
        self.now = Progress(stage=stage)

    def hear(self, progress: Progress) -> None:
        self.now = progress
        self._news.set()

    async def show(self) -> None:
        """Run as a task that Prefect names after the stage; it fails when the stage failed."""

        @task(name=self._stage, task_run_name=self._stage, cache_policy=NO_CACHE)
        async def stage() -> None:
            await self._follow()

        # the error belongs to this task alone: the flow hears of it from the report
        with suppress(EngineFailed):
            await stage()

    async def _follow(self) -> None:
        title = f"{self._stage} of {self._job.name}"
        key = f"{self._stage.replace('_', '-')}-{self._job.media[:12]}"
        artifact = await acreate_progress_artifact(0.0, key=key, description=title)
        while True:
            await self._news.wait()
            self._news.clear()
            now = self.now
            percent = 100.0 if now.outcome else round(100 * (now.fraction or 0.0), 1)
            await aupdate_progress_artifact(
                artifact, percent, description=f"{title}: {now.note}" if now.note else title
            )
            if now.outcome is not None:
                break
            await self._tell_library("running")
            await asyncio.sleep(_UPDATE_SECONDS)
        if now.outcome == "failed":
            await self._tell_library("failed")
            raise EngineFailed(now.note)
        await self._tell_library("skipped" if now.outcome == "skipped" else "done")

    async def _tell_library(self, state: StageState) -> None:
        stage = Stage(state=state, fraction=self.now.fraction, note=self.now.note[:1_000])
        change = SourceChange(stages={self._stage: stage})
        wanted = PutSourceInput(sha256=self._job.media, knowledge_base=self._job.knowledge_base, change=change)
        # a stage that cannot be shown is done all the same
        with suppress(SutradharError):
            await self._job.bench.call(put_source, wanted)


@asynccontextmanager
async def stage_tasks(job: Job) -> AsyncIterator[Callable[[Progress], None]]:
    """A listener that shows every stage it hears of as a Prefect task."""
    shown: dict[str, _Shown] = {}
    tasks: list[asyncio.Task[None]] = []

    def hear(progress: Progress) -> None:
        one = shown.get(progress.stage)
        if one is None:
            one = shown[progress.stage] = _Shown(job, progress.stage)
            tasks.append(asyncio.create_task(one.show()))
        if one.now.outcome is None:
            one.hear(progress)

    try:
        yield hear
    except Exception as error:
        for one in shown.values():
            if one.now.outcome is None:
                one.hear(one.now.model_copy(update={"outcome": "failed", "note": str(error)}))
        await _ended(tasks)
        raise
    else:
        await _ended(tasks)
    finally:
        for each in tasks:
            each.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _ended(tasks: list[asyncio.Task[None]]) -> None:
    if tasks:
        await asyncio.wait(tasks, timeout=_LAST_SECONDS)
