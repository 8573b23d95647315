"""A home for the content agent that fits into a test: a scripted writer, a few memories, a library for its files."""

import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from graphs.catalog import Ask
from graphs.content.options import ContentResult
from graphs.events import AgentEvent, Answer
from graphs.runs import Runs, open_runs
from knowledge.library import LIBRARY, open_library
from knowledge.segment import Segment
from knowledge.store import Hit
from knowledge.tools import Found, SearchInput
from tests.graphs.conftest import heard
from tests.graphs.temporal_home import WordHost
from tools.bench import Bench
from tools.catalog import Catalog, load_catalog
from tools.chat.scripted import with_script
from tools.open import open_bench
from tools.settings import Settings
from tools.toolbox import Tool

ADJECTIVES = "bright calm early large quiet warm young broad gentle steady narrow golden simple distant careful modern"
NOUNS = "river market teacher garden engine village mirror harbour student valley forest bridge kitchen library train"
VERBS = (
    "meets carries follows changes teaches feeds crosses finds repairs measures paints welcomes studies covers warms"
)


def prose(count: int, seed: int = 0) -> str:
    """So many words in plain sentences that are all different."""
    adjectives, nouns, verbs = ADJECTIVES.split(), NOUNS.split(), VERBS.split()
    said, n = list[str](), seed * 101
    while len(said) * 9 < count:
        one, two, three = adjectives[n % 16], nouns[n * 7 % 15], verbs[n * 11 % 15]
        four, five, six = adjectives[(n * 5 + 3) % 16], nouns[(n * 13 + 4) % 15], adjectives[n // 16 % 16]
        said.append(f"The {one} {two} {three} a {four} {five} near {six} hills.")
        n += 1
    return " ".join(said)


class Memory(WordHost):
    """A memory that can also be read in order of time."""

    def __init__(self, segments: Sequence[Segment]) -> None:
        super().__init__(segments, reranks=False)
        self._kept = segments

    async def call(self, tool: Tool[Any, Any], input: BaseModel, bench: Bench) -> Any:
        if isinstance(input, SearchInput):
            ordered = sorted(self._kept, key=lambda each: each.start or 0.0)
            return Found(hits=[Hit(segment=each, score=0.0) for each in ordered])
        return await super().call(tool, input, bench)


@asynccontextmanager
async def writers(
    settings: Settings,
    script: Sequence[dict[str, Any]],
    segments: Sequence[Segment] = (),
    *,
    slots: int = 1,
    languages: Sequence[str] = (),
    resume: bool = True,
) -> AsyncIterator[Runs]:
    path = Path(settings.home.parent) / "script.json"
    path.write_text(json.dumps(list(script)), encoding="utf-8")
    catalog = with_script(load_catalog(), path)
    models = [
        each.model_copy(update={"languages": list(languages), "options": {**each.options, "slots": slots}})
        if each.id == "scripted"
        else each
        for each in catalog.models
    ]
    catalog = Catalog(models=models, profiles=catalog.profiles)
    async with (
        open_bench(settings, catalog=catalog) as bench,
        open_library(settings.home / "library.sqlite") as library,
    ):
        parts = {**bench.parts, LIBRARY.name: library}
        async with open_runs(replace(bench, host=Memory(segments), parts=parts), resume=resume) as runs:
            yield runs


async def piece(
    runs: Runs, topic: str, *, sources: Sequence[str] = (), material: str = "", budget: Any = None, **options: Any
) -> tuple[Answer, list[AgentEvent]]:
    """Ask for a piece and wait for its end."""
    ask = Ask(question=topic, options=options, sources=list(sources), material=material)
    run = await runs.start("content", ask, budget=budget)
    events = [event for _, event in await heard(runs, run, seconds=60)]
    (answer,) = [event for event in events if isinstance(event, Answer)]
    return answer, events


def result(answer: Answer) -> ContentResult:
    return ContentResult.model_validate(answer.result)
