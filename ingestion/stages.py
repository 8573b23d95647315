"""What every ingestion shares: stages that are done once per content, progress while they run, and a report."""

import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Literal, TypeVar

from pydantic import BaseModel, ConfigDict, TypeAdapter

from knowledge.segment import Segment
from tools.bench import Bench
from tools.errors import EngineFailed, InvalidInput, NotFound, NotInstalled, SutradharError, UnsupportedMedia

T = TypeVar("T")
Outcome = Literal["done", "kept", "skipped", "failed"]


class StageReport(BaseModel):
    """`kept` was done for this content before; `skipped` cannot be done here, and `note` says why."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    stage: str
    outcome: Outcome
    seconds: float = 0.0
    note: str = ""


class Report(BaseModel):
    """What an ingestion came to. `segments` counts by modality."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    source: str
    name: str
    knowledge_base: str
    segments: dict[str, int] = {}
    stages: list[StageReport] = []
    duration: float | None = None
    notes: list[str] = []

    @property
    def seconds(self) -> dict[str, float]:
        return {each.stage: each.seconds for each in self.stages}

    @property
    def failed(self) -> list[StageReport]:
        return [each for each in self.stages if each.outcome == "failed"]


class Progress(BaseModel):
    """How far a stage is; `fraction` is 0..1 where known; `outcome` comes with the end of the stage."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    stage: str
    fraction: float | None = None
    note: str = ""
    outcome: Outcome | None = None


OnProgress = Callable[[Progress], None]


def unheard(progress: Progress) -> None:
    """The listener of a caller who does not listen."""


_SEGMENTS = TypeAdapter(list[Segment])


async def once(
    bench: Bench, sha: str, stage: str, version: str, work: Callable[[], Awaitable[list[Segment]]]
) -> list[Segment]:
    """The segments of a stage: read back when this content went through this version of it before, else made."""
    ref = result_ref(sha, stage, version)
    kept = await recall(bench, ref, _SEGMENTS)
    if kept is not None:
        return kept
    made = await work()
    await keep(bench, ref, _SEGMENTS, made)
    return made


async def recall(bench: Bench, ref: str, kind: TypeAdapter[T]) -> T | None:
    """A stage's kept result, or None; one that a newer model no longer reads counts as absent."""
    try:
        return kind.validate_json(await bench.media.read(ref))
    except (NotFound, ValueError):
        return None


async def keep(bench: Bench, ref: str, kind: TypeAdapter[T], made: T) -> None:
    sha, _, name = ref.partition("/")
    await bench.media.derive(sha, name, kind.dump_json(made))


def result_ref(sha: str, stage: str, version: str) -> str:
    """Where a stage's result is kept; `version` says which models and which of our own steps made it."""
    safe = "".join(each if each.isalnum() or each in "-._" else "_" for each in f"{stage}-{version}")
    return f"{sha}/stages/{safe[:150]}.json"


def in_base(segments: Sequence[Segment], knowledge_base: str) -> list[Segment]:
    """Segments kept by content, as they belong into this knowledge base."""
    return [
        each if each.knowledge_base == knowledge_base else each.model_copy(update={"knowledge_base": knowledge_base})
        for each in segments
    ]


class Stages:
    """The stages of one ingestion: timed, reported, and failing each for itself."""

    def __init__(self, progress: OnProgress = unheard) -> None:
        self.reports: list[StageReport] = []
        self.progress = progress

    @asynccontextmanager
    async def stage(self, name: str, *, needed: bool = False) -> AsyncIterator[None]:
        """Run one stage. A missing model skips it, a broken engine or track fails it; the others go on.

        Without a `needed` stage nothing can go on, so its error ends the ingestion.
        """
        began = time.perf_counter()
        outcome: Outcome = "done"
        note = ""
        self.progress(Progress(stage=name, fraction=0.0))
        try:
            yield
        except NotInstalled as error:
            outcome, note = "skipped", str(error)
            if needed:
                raise
        except (EngineFailed, UnsupportedMedia) as error:
            outcome, note = "failed", str(error)
            if needed:
                raise
        seconds = round(time.perf_counter() - began, 3)
        self.reports.append(StageReport(stage=name, outcome=outcome, seconds=seconds, note=note))
        self.progress(Progress(stage=name, fraction=1.0, note=note or outcome, outcome=outcome))

    def mark(self, name: str, outcome: Outcome, note: str = "") -> None:
        """Change what the finished stage came to."""
        self.reports = [
            each.model_copy(update={"outcome": outcome, "note": note}) if each.stage == name else each
            for each in self.reports
        ]


def count(segments: Sequence[Segment]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for each in segments:
        counts[each.modality] = counts.get(each.modality, 0) + 1
    return counts


def all_failed(stages: Stages, names: Sequence[str]) -> SutradharError | None:
    """The error of an ingestion in which nothing that was tried worked."""
    tried = [each for each in stages.reports if each.stage in names]
    if not tried or any(each.outcome in {"done", "kept"} for each in tried):
        return None
    error = InvalidInput if all(each.outcome == "skipped" for each in tried) else EngineFailed
    return error("Nothing could be learned from the medium: " + " ".join(each.note for each in tried))
