"""A memory and models for the temporal graph that fit into a test: words for meaning, a script for the chat model."""

import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from graphs.runs import Runs, open_runs
from graphs.temporal.words import content, coverage
from knowledge.segment import Made, Modality, Segment, segment_id
from knowledge.store import STORE, Hit, Query
from tools.bench import Bench
from tools.catalog import load_catalog
from tools.chat.scripted import with_script
from tools.embedding_tools import Embedded, Ranked, Reranked, RerankInput
from tools.errors import NotInstalled
from tools.open import open_bench
from tools.settings import Settings
from tools.toolbox import Tool

SHA = "a" * 64


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


class WordStore:
    """Finds segments by shared words, or in order when none is shared, within the query's conditions."""

    def __init__(self, segments: Sequence[Segment]) -> None:
        self._segments = segments

    async def search(self, tenant: str, query: Query) -> list[Hit]:
        wanted, where = content(query.words or ""), query.where
        fitting = [
            each
            for each in self._segments
            if (not where.modalities or each.modality in where.modalities)
            and (where.start is None or (each.end or 0.0) > where.start)
            and (where.end is None or (each.start is not None and each.start < where.end))
            and (where.recorded_from is None or each.recorded_from is not None)
        ]
        hits = [Hit(segment=each, score=coverage(wanted, each.text)) for each in fitting]
        return sorted(hits, key=lambda hit: -hit.score)[: query.limit]


class WordHost:
    """A host whose embedding says nothing and whose cross-encoder counts shared words; `reranks` may be off."""

    def __init__(self, reranks: bool) -> None:
        self._reranks = reranks
        self.called = list[str]()

    async def call(self, tool: Tool[Any, Any], input: BaseModel, bench: Bench) -> Any:
        self.called.append(tool.name)
        if tool.name == "embed_texts":
            return Embedded(vectors=[[1.0]], dimensions=1, model="words")
        if tool.name == "rerank" and not self._reranks:
            raise NotInstalled("There is no reranker here.")
        if isinstance(input, RerankInput):
            scores = [coverage(content(input.query), each) * 16 - 8 for each in input.passages]
            order = sorted(range(len(scores)), key=lambda index: -scores[index])
            ranking = [Ranked(index=index, score=scores[index]) for index in order]
            return Reranked(ranking=ranking, model="words")
        return await tool(input, bench)


@asynccontextmanager
async def temporal(
    settings: Settings,
    segments: Sequence[Segment],
    script: Sequence[dict[str, Any]] = (),
    *,
    reranks: bool = True,
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
    catalog = catalog.model_copy(update={"models": models})
    async with open_bench(settings, catalog=catalog) as bench:
        ready = replace(bench, parts={STORE.name: WordStore(segments)}, host=WordHost(reranks))
        async with open_runs(ready) as runs:
            yield runs
