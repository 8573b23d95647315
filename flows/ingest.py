"""Ingestion as Prefect flows: retries, progress and a report; the work itself is `ingestion`'s.

The stages of a medium run beside each other with bounded queues between them, which no task boundary may cut. So one
task does the work and is retried, where finished stages are kept; each stage shows as a task of its own that begins and
ends with it (`flows.shown`).
"""

import asyncio
from contextlib import suppress
from pathlib import Path
from typing import Any
from uuid import UUID

from prefect import flow, runtime, task
from prefect.artifacts import acreate_markdown_artifact
from prefect.cache_policies import NO_CACHE
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import FlowRun, State, StateType, TaskRun
from prefect.logging import get_run_logger
from prefect.states import Cancelled

from flows.place import bench_for, current_bench
from flows.shown import Job, stage_tasks
from ingestion.stages import Progress, Report
from knowledge.library import SourceChange
from knowledge.tools import PutSourceInput, put_source
from tools.bench import Bench
from tools.errors import Busy, EngineFailed, SutradharError

RETRY_SECONDS = [2.0, 15.0]
_LAST_SECONDS = 10.0


async def _can_pass(task: Any, run: TaskRun, state: State[Any]) -> bool:
    """Whether trying again may help: an engine that died is loaded again, a refused file stays refused."""
    return isinstance(await state.aresult(raise_on_failure=False), EngineFailed | Busy)


@flow(name="ingest", flow_run_name="ingest-{name}", description="Bring one stored medium or document into memory.")
async def ingest_media(
    media: str, name: str, knowledge_base: str = "default", tenant: str = "local"
) -> dict[str, Any] | State[Any]:
    """Ingest the medium with this sha256; returns the report."""
    async with bench_for(tenant):
        try:
            report = await work(media, name, knowledge_base, tenant)
        except asyncio.CancelledError:
            if await _is_wanted():
                # without it the run would show as crashed until the runner has corrected that
                return Cancelled(message="Cancelled by a user.")
            raise
    await acreate_markdown_artifact(_table(report), key=f"report-{media[:12]}", description=f"Ingest of {name}")
    return report.model_dump(mode="json")


async def _is_wanted() -> bool:
    """Whether somebody asked for the running flow to be cancelled; otherwise it was interrupted and goes on later."""
    async with get_client() as client:
        run = await client.read_flow_run(UUID(str(runtime.flow_run.id)))
    return run.state_type == StateType.CANCELLING


@task(
    name="stages",
    task_run_name="stages",
    retries=len(RETRY_SECONDS),
    retry_delay_seconds=RETRY_SECONDS,
    retry_condition_fn=_can_pass,
    cache_policy=NO_CACHE,
)
async def work(media: str, name: str, knowledge_base: str, tenant: str) -> Report:
    """Do all stages that are not done yet; raises `EngineFailed` when one of them broke."""
    from ingestion.ingest import ingest

    bench = current_bench(tenant)
    kept = await bench.media.get(media)
    try:
        async with stage_tasks(Job(bench, media, name, knowledge_base)) as hear:
            report = await ingest(kept, bench, knowledge_base=knowledge_base, name=name, progress=hear)
            for each in report.stages:
                hear(Progress(stage=each.stage, fraction=1.0, note=each.note or each.outcome, outcome=each.outcome))
    except asyncio.CancelledError:
        # cancelled once: what is awaited now runs to its end
        await _give_up(bench, media, knowledge_base, "Stopped before it was finished.")
        raise
    broken = [f"{each.stage}: {each.note}" for each in report.failed]
    if broken:
        raise EngineFailed(f"Not everything in {name!r} could be learned. {' '.join(broken)}")
    for each in report.stages:
        if each.outcome == "skipped":
            get_run_logger().warning("%s was skipped: %s", each.stage, each.note)
    return report


@flow(
    name="ingest-folder",
    flow_run_name="ingest-folder-{folder}",
    description="Bring every file of a folder into memory.",
)
async def ingest_folder(folder: str, knowledge_base: str = "default", tenant: str = "local") -> dict[str, str]:
    """Ingest the folder's files one after another; one that is refused does not stop the others."""
    outcome: dict[str, str] = {}
    async with bench_for(tenant) as bench:
        for path in sorted(each for each in await asyncio.to_thread(_files, Path(folder)) if each.is_file()):
            try:
                media = await bench.media.put(path, name=path.name)
                await ingest_media(media.sha256, path.name, knowledge_base, tenant)
                outcome[path.name] = "done"
            except SutradharError as error:
                get_run_logger().warning("%s: %s", path.name, error)
                outcome[path.name] = str(error)
    rows = "\n".join(f"| {name} | {text} |" for name, text in outcome.items())
    await acreate_markdown_artifact(f"| file | outcome |\n|---|---|\n{rows}", key="folder", description=folder)
    return outcome


def _files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if not path.is_symlink() and not path.name.startswith(".")]


async def mark_lost(run: FlowRun, why: str) -> None:
    """A run whose process died again and again is given up, and its source says so."""
    given = run.parameters
    if "media" in given:
        bench = current_bench(str(given.get("tenant", "local")))
        await _give_up(bench, given["media"], str(given.get("knowledge_base", "default")), why)


async def _give_up(bench: Bench, media: str, knowledge_base: str, why: str) -> None:
    change = SourceChange(state="failed", reason=why)
    with suppress(SutradharError):
        await bench.call(put_source, PutSourceInput(sha256=media, knowledge_base=knowledge_base, change=change))


def _table(report: Report) -> str:
    head = ", ".join(f"{count} {modality}" for modality, count in sorted(report.segments.items())) or "nothing"
    rows = [f"| {each.stage} | {each.outcome} | {each.seconds:.1f} | {each.note} |" for each in report.stages]
    notes = [f"- {note}" for note in report.notes]
    return "\n".join(
        [
            f"**{report.name}** into `{report.knowledge_base}`: {head}",
            "",
            "| stage | outcome | seconds | note |",
            "|---|---|---|---|",
            *rows,
            "",
            *notes,
        ]
    )
