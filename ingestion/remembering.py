"""From segments to memory: written beside the stages that make them, in batches, through the `remember` tool."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Protocol, Self
from uuid import UUID

from pydantic import TypeAdapter

from ingestion.stages import Progress, Report, Stages, count, keep, recall, result_ref
from knowledge.library import Kind, Source, SourceChange, Stage
from knowledge.segment import Segment
from knowledge.tools import (
    ForgetSegmentsInput,
    PutSourceInput,
    RememberInput,
    SourceInput,
    forget_segments,
    get_source,
    put_source,
)
from knowledge.tools import remember as remember_tool
from tools.bench import Bench
from tools.errors import NotFound, SutradharError
from tools.media.container import head_of
from tools.media.probe import Probe
from tools.media.store import Media

_WAITING = 256
_BATCH = 64
_REPORT = TypeAdapter(Report)


class Writer:
    """Embeds and writes segments while others are still being made. `written` is what memory has acknowledged.

    An async context manager: at its end everything is written, or the error that stopped it is raised.
    """

    def __init__(self, bench: Bench, stages: Stages) -> None:
        self._bench, self._stages = bench, stages
        self._queue: asyncio.Queue[Segment | None] = asyncio.Queue(_WAITING)
        self._task: asyncio.Task[None] | None = None
        self.written = list[Segment]()

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._run())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._task is None:
            return
        if error is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
            return
        await self._put(None)
        await self._task

    async def write(self, segments: Sequence[Segment]) -> None:
        """Hand over segments; waits when memory is behind, raises when it has failed."""
        for each in segments:
            await self._put(each)

    async def _put(self, segment: Segment | None) -> None:
        if self._task is None:
            raise RuntimeError("the writer is not open")
        putting = asyncio.ensure_future(self._queue.put(segment))
        done, _ = await asyncio.wait([putting, self._task], return_when=asyncio.FIRST_COMPLETED)
        if putting not in done:
            putting.cancel()
        if self._task in done:
            self._task.result()

    async def _run(self) -> None:
        """Take what is there, at most a batch: the first segments are findable at once, later ones share a call."""
        async with self._stages.stage("remember", needed=True):
            ended = False
            while not ended:
                batch = [await self._queue.get()]
                while len(batch) < _BATCH and batch[-1] is not None and not self._queue.empty():
                    batch.append(self._queue.get_nowait())
                ended = batch[-1] is None
                segments = [each for each in batch if each is not None]
                if segments:
                    await remember(self._bench, segments)
                    if not self.written:
                        await show_segments(self._bench, segments)
                    self.written += segments
                    self._stages.progress(Progress(stage="remember", note=f"{len(self.written)} segments"))


class Sink(Protocol):
    """Where segments go as they are made; `written` are those that have arrived."""

    written: list[Segment]

    async def write(self, segments: Sequence[Segment]) -> None: ...


class Collected:
    """A sink that only collects: nothing is remembered."""

    def __init__(self) -> None:
        self.written = list[Segment]()

    async def write(self, segments: Sequence[Segment]) -> None:
        self.written += segments


@dataclass(frozen=True)
class Job:
    """One medium on its way into one knowledge base."""

    sha: str
    probe: Probe
    bench: Bench
    knowledge_base: str
    stages: Stages
    writer: Sink


async def remembered(sha: str, bench: Bench, knowledge_base: str, version: str) -> Report | None:
    """The report of an earlier ingestion that left nothing to do: same content, steps and models."""
    source = await _find(bench, knowledge_base, sha)
    if source is None or source.state != "ready":
        return None
    report = await recall(bench, result_ref(sha, "report", version), _REPORT)
    if report is None or any(each.outcome in {"failed", "skipped"} for each in report.stages):
        return None
    kept = [each.model_copy(update={"outcome": "kept", "seconds": 0.0}) for each in report.stages]
    return report.model_copy(update={"knowledge_base": knowledge_base, "name": source.name, "stages": kept})


async def start_source(media: Media, name: str, bench: Bench, knowledge_base: str, probe: Probe | None = None) -> None:
    """Show the source in the library while it is being ingested."""
    change = SourceChange(name=name[:200], kind=await _kind(media, bench, probe), state="running", reason="")
    if probe is not None and probe.duration:
        change = change.model_copy(update={"duration": probe.duration})
    await _put(bench, knowledge_base, media.sha256, change)


async def show_segments(bench: Bench, segments: Sequence[Segment]) -> None:
    """Show in the library that so much of a source can be found already."""
    if segments:
        change = SourceChange(segments=count(segments))
        await _put(bench, segments[0].knowledge_base, segments[0].source, change)


async def finish_source(media: Media, name: str, bench: Bench, report: Report, version: str) -> None:
    """Record what came of it; the report is kept so that the same content need not be ingested again."""
    stages = {
        each.stage: Stage(
            state="done" if each.outcome == "kept" else each.outcome,
            fraction=1.0 if each.outcome in {"done", "kept"} else None,
            seconds=each.seconds,
            note=each.note[:1_000],
        )
        for each in report.stages
    }
    change = SourceChange(
        name=name[:200],
        state="ready",
        reason=" ".join(report.notes)[:2_000],
        stages=stages,
        segments=report.segments,
    )
    await keep(bench, result_ref(media.sha256, "report", version), _REPORT, report)
    await _put(bench, report.knowledge_base, media.sha256, change)


async def fail_source(media: Media, name: str, bench: Bench, knowledge_base: str, error: SutradharError) -> None:
    """Show in the library why a source could not be ingested."""
    change = SourceChange(name=name[:200], state="failed", reason=str(error)[:2_000])
    await _put(bench, knowledge_base, media.sha256, change)


async def _kind(media: Media, bench: Bench, probe: Probe | None) -> Kind:
    if probe is not None:
        return "audio" if probe.video is None else "video"
    head = await asyncio.to_thread(head_of, await bench.media.local(media.sha256))
    return (
        "image"
        if head.startswith((b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"BM", b"II*", b"MM", b"RIFF"))
        else "document"
    )


async def remember(bench: Bench, segments: Sequence[Segment]) -> None:
    if segments:
        await bench.call(remember_tool, RememberInput(segments=list(segments)))


async def forget_some(bench: Bench, knowledge_base: str, sha: str, ids: Sequence[UUID]) -> None:
    if ids:
        await bench.call(forget_segments, ForgetSegmentsInput(knowledge_base=knowledge_base, source=sha, ids=list(ids)))


async def _find(bench: Bench, knowledge_base: str, sha: str) -> Source | None:
    try:
        return await bench.call(get_source, SourceInput(sha256=sha, knowledge_base=knowledge_base))
    except NotFound:
        return None


async def _put(bench: Bench, knowledge_base: str, sha: str, change: SourceChange) -> None:
    await bench.call(put_source, PutSourceInput(sha256=sha, knowledge_base=knowledge_base, change=change))
