"""`sutradhar ingest`: files into memory, by the running host's flows or alone in this process."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import typer
from aiohttp import FormData
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from api.cli.edge import err, out, say_json
from api.cli.host import RunningHost, running_host
from ingestion.stages import Progress as StageProgress
from tools.bench import Bench
from tools.errors import EngineFailed, InvalidInput, SutradharError, from_body
from tools.settings import Settings

Work = Callable[[Path], Awaitable[dict[str, Any]]]
Show = Callable[[str, str, float | None, str], None]
"""File, stage, fraction 0..1, note."""


async def ingest(settings: Settings, paths: Sequence[Path], kb: str, *, as_json: bool) -> None:
    """Ingest every file; one that is refused does not stop the others, but the exit code tells."""
    files = await asyncio.to_thread(_files, paths)
    if not files:
        raise InvalidInput(f"There is no file in {', '.join(map(str, paths))}.")
    started = time.perf_counter()
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[note]}"), TimeElapsedColumn())
    with Progress(*columns, console=err, disable=as_json) as progress:
        sources, failures = await _ingest_all(settings, files, kb, _bars(progress))
    seconds = round(time.perf_counter() - started, 3)
    if as_json:
        say_json({"sources": sources, "failures": failures, "seconds": seconds})
    else:
        _tell(sources, failures, seconds)
    if failures:
        raise typer.Exit(1)


def _files(paths: Sequence[Path]) -> list[Path]:
    found = [each for path in paths for each in (sorted(path.rglob("*")) if path.is_dir() else [path])]
    return [path for path in found if path.is_file() and not path.name.startswith(".")]


async def _ingest_all(
    settings: Settings, files: Sequence[Path], kb: str, show: Show
) -> tuple[list[dict[str, Any]], list[dict[str, str]]]:
    sources, failures = list[dict[str, Any]](), list[dict[str, str]]()
    async with _worker(settings, kb, show) as work:
        for path in files:
            try:
                sources.append(await work(path))
            except SutradharError as error:
                failures.append({"file": str(path), "error": str(error), "code": error.code})
    return sources, failures


@asynccontextmanager
async def _worker(settings: Settings, kb: str, show: Show) -> AsyncIterator[Work]:
    """The running host's flows, or the rooms in this process when there is no host."""
    async with AsyncExitStack() as stack:
        host = await stack.enter_async_context(running_host(settings))
        if host is not None:
            yield lambda path: _through(host, path, kb, show)
        else:
            from api.host import open_alone

            bench, _ = await stack.enter_async_context(open_alone(settings))
            yield lambda path: _alone(bench, path, kb, show)


async def _alone(bench: Bench, path: Path, kb: str, show: Show) -> dict[str, Any]:
    from ingestion.ingest import ingest as work

    def progress(now: StageProgress) -> None:
        show(path.name, now.stage, 1.0 if now.outcome else now.fraction, now.note)

    report = await work(path, bench, knowledge_base=kb, name=path.name, progress=progress)
    return {
        "id": report.source,
        "name": report.name,
        "knowledge_base": report.knowledge_base,
        "segments": report.segments,
        "seconds": report.seconds,
        "stages": {each.stage: each.outcome for each in report.stages},
        "notes": [*report.notes, *(f"{each.stage}: {each.note}" for each in report.stages if each.note)],
    }


async def _through(host: RunningHost, path: Path, kb: str, show: Show) -> dict[str, Any]:
    with path.open("rb") as file:
        form = FormData()
        form.add_field("knowledge_base", kb)
        form.add_field("file", file, filename=path.name)
        submitted = (await host.post("/api/v1/knowledge/ingest", data=form))["submitted"][0]
    if "error" in submitted:
        raise from_body(submitted)
    source = dict[str, Any]()
    params = {"knowledge_base": kb}
    async for _, source in host.stream("GET", f"/api/v1/knowledge/sources/{submitted['source']}/events", params=params):
        if "error" in source:
            raise from_body(source)
        for name, stage in source["stages"].items():
            ended = stage["state"] in ("done", "skipped", "failed")
            show(path.name, name, 1.0 if ended else stage["fraction"], stage["note"])
    if source["state"] == "failed":
        raise EngineFailed(f"{path.name!r} could not be ingested: {source['reason']}")
    stages = {name: stage["state"] for name, stage in source["stages"].items()}
    notes = [f"{name}: {stage['note']}" for name, stage in source["stages"].items() if stage["state"] != "done"]
    kept = ("id", "name", "knowledge_base", "segments", "seconds")
    return {**{name: source[name] for name in kept}, "stages": stages, "notes": notes}


def _bars(progress: Progress) -> Show:
    tasks: dict[tuple[str, str], TaskID] = {}

    def show(file: str, stage: str, fraction: float | None, note: str) -> None:
        if (file, stage) not in tasks:
            tasks[file, stage] = progress.add_task(f"{file}  {stage}", total=1.0, note="")
        progress.update(tasks[file, stage], completed=fraction or 0.0, note=note[:60])

    return show


def _tell(sources: list[dict[str, Any]], failures: list[dict[str, str]], seconds: float) -> None:
    for source in sources:
        counts = ", ".join(f"{count} {modality}" for modality, count in sorted(source["segments"].items()))
        out.print(f"[green]✓[/green] {escape(source['name'])}  {counts or 'nothing found'}")
        for note in source.get("notes", []):
            out.print(f"    [dim]{escape(note)}[/dim]")
    for failure in failures:
        out.print(f"[red]✗[/red] {escape(failure['file'])}  {escape(failure['error'])}")
    err.print(f"[dim]{seconds:.1f} s[/dim]")
