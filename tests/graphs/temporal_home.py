"""A memory and models for the temporal graph that fit into a test: words for meaning, a script for the chat model."""

import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from graphs.runs import Runs, open_runs
from graphs.temporal.words import content, coverage
from knowledge.library import Source
from knowledge.segment import Made, Modality, Segment, segment_id
from knowledge.tools import Evidence, Group, ListSourcesInput, Recalled, RecallInput, Sources
from tools.bench import Bench
from tools.catalog import Catalog, load_catalog
from tools.chat.scripted import with_script
from tools.embedding_tools import Ranked, Reranked, RerankInput
from tools.errors import NotInstalled
from tools.open import open_bench
from tools.settings import Settings
from tools.toolbox import Tool

SHA = "a" * 64
NOW = datetime(2026, 1, 1, tzinfo=UTC)
SOURCE = Source(
    sha256=SHA,
    knowledge_base="kb",
    name="tour.mp4",
    kind="video",
    duration=70.0,
    state="ready",
    added_at=NOW,
    updated_at=NOW,
)


def spoken(text: str, start: float, end: float, **more: Any) -> Segment:
    return segment("speech", text, start=start, end=end, **more)


def segment(modality: Modality, text: str, *, source: str = SHA, **more: Any) -> Segment:
    where = f"{more.get('start')}-{more.get('page')}"
    return Segment(
        id=segment_id(source, modality, where, text),
        knowledge_base="kb",
        source=source,
        modality=modality,
        text=text,
        made=Made(model="test"),
        **more,
    )


class WordHost:
    """A host whose memory and cross-encoder only count shared words; the latter may be absent.

    Where its source is `arriving`, that is so for ever, and nothing of it is remembered before somebody has asked
    `unseen` times which are.
    """

    def __init__(self, segments: Sequence[Segment], reranks: bool, arriving: bool = False, unseen: int = 0) -> None:
        self._segments = segments
        self._reranks = reranks
        self._arriving = arriving
        self._unseen = unseen

    async def call(self, tool: Tool[Any, Any], input: BaseModel, bench: Bench) -> Any:
        match input:
            case RecallInput():
                return self._recall(input)
            case ListSourcesInput():
                return Sources(sources=self._sources(input))
            case RerankInput() if not self._reranks:
                raise NotInstalled("There is no reranker here.")
            case RerankInput():
                scores = [coverage(content(input.query), each) * 16 - 8 for each in input.passages]
                order = sorted(range(len(scores)), key=lambda index: -scores[index])
                return Reranked(ranking=[Ranked(index=each, score=scores[each]) for each in order], model="words")
        raise AssertionError(f"nobody should call {tool.name}")

    def _sources(self, input: ListSourcesInput) -> list[Source]:
        source = SOURCE.model_copy(update={"state": "running"}) if self._arriving else SOURCE
        if input.state == "running" and self._unseen:
            self._unseen -= 1
        elif self._arriving:
            source = source.model_copy(update={"segments": {"speech": 1}})
        return [source] if input.state in {None, source.state} else []

    def _recall(self, input: RecallInput) -> Recalled:
        wanted, where = content(input.question), input.where
        if self._unseen:
            return Recalled(groups=[])
        fitting = [
            Evidence(segment=each, score=coverage(wanted, each.text), neighbours=[])
            for each in self._segments
            if (not where.modalities or each.modality in where.modalities)
            and (where.start is None or (each.end or 0.0) > where.start)
            and (where.end is None or (each.start is not None and each.start < where.end))
            and (where.recorded_from is None or each.recorded_from is not None)
        ]
        best = sorted(fitting, key=lambda each: -each.score)[: input.limit]
        return Recalled(groups=[Group(source=SHA, knowledge_base="kb", name="tour.mp4", evidence=best)])


@asynccontextmanager
async def temporal(
    settings: Settings,
    segments: Sequence[Segment],
    script: Sequence[dict[str, Any]] = (),
    *,
    reranks: bool = True,
    arriving: bool = False,
    unseen: int = 0,
    languages: Sequence[str] = ("en",),
) -> AsyncIterator[Runs]:
    """Runs over these memories; an empty script is a model that must not be asked."""
    path = Path(settings.home.parent) / "script.json"
    path.write_text(json.dumps(list(script)), encoding="utf-8")
    catalog = with_script(load_catalog(), path)
    models = [
        each.model_copy(update={"languages": list(languages)}) if each.id == "scripted" else each
        for each in catalog.models
    ]
    catalog = Catalog(models=models, profiles=catalog.profiles)
    async with open_bench(settings, catalog=catalog) as bench:
        ready = replace(bench, host=WordHost(segments, reranks, arriving, unseen))
        async with open_runs(ready) as runs:
            yield runs
