"""A film of ten minutes with speech, watched within 60, 180 and 600 seconds for each hour, and without a budget until
there is a first timeline. Each time from nothing kept and no model loaded.

`over` is the time that was taken by the time that was given; the bar is a tenth more or less, or a refusal at once.
"""

import asyncio
import os
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, cast

from ingestion.timeline import Timeline
from ingestion.watch import watch
from tests.bench.lecture import lecture
from tools.catalog import load_catalog
from tools.errors import InvalidInput
from tools.open import open_bench
from tools.settings import Settings
from tools.store import WeightStore

BUDGETS = (60.0, 180.0, 600.0)


async def run(home: Path, data: Path | None, quick: bool) -> dict[str, Any]:
    """The speech is that of the sample media, and with `data` also what is read there. `quick` takes 4 minutes."""
    minutes = 4 if quick else 10
    settings = Settings(home=home)
    files = await WeightStore(settings.cache, offline=settings.offline).ensure(load_catalog().row("sample-media"))
    sounds = [files["two_cities.wav"], *(sorted((data / "speech").glob("LJ*.flac")) if data else [])]
    photos = [files[name] for name in ("astronaut.png", "coffee.png", "chelsea.png")]
    figures: dict[str, Any] = {"minutes": minutes}
    with TemporaryDirectory(dir=home) as folder:
        film = await asyncio.to_thread(lecture, Path(folder, "film.mp4"), photos, sounds, minutes=minutes)
        figures["first_timeline"] = await _first(film, Path(folder, "first"))
        for budget in BUDGETS:
            figures[f"{budget:.0f}"] = await _within(film, Path(folder, f"{budget:.0f}"), budget, minutes)
    return figures | {"load": round(os.getloadavg()[0], 2)}


async def _first(film: Path, home: Path) -> dict[str, Any]:
    """What there is to answer from first, and when; the bar is 10 s."""
    async with open_bench(Settings(home=home)) as bench:
        media = await bench.media.put(film, name=film.name)
        began = time.perf_counter()
        async with aclosing(cast("AsyncGenerator[Timeline, None]", watch(media, bench))) as timelines:
            timeline = await anext(timelines)
            return {"seconds": round(time.perf_counter() - began, 2), **_told(timeline)}


async def _within(film: Path, home: Path, budget: float, minutes: int) -> dict[str, Any]:
    given = budget * minutes / 60
    async with open_bench(Settings(home=home)) as bench:
        media = await bench.media.put(film, name=film.name)
        began, first, last = time.perf_counter(), 0.0, None
        try:
            async for timeline in watch(media, bench, budget=budget):
                first = first or time.perf_counter() - began
                last = timeline
        except InvalidInput as error:
            return {"given": given, "refused_after": round(time.perf_counter() - began, 2), "said": str(error)}
        took = time.perf_counter() - began
    assert last is not None
    return {
        "given": given,
        "took": round(took, 2),
        "over": round(took / given, 3),
        "first_timeline": round(first, 2),
        **_told(last),
    }


def _told(timeline: Timeline) -> dict[str, Any]:
    said = [each for each in timeline.segments if each.modality == "speech"]
    return {
        "words": sum(len(each.text.split()) for each in said),
        "speech_covered": next((round(each.covered, 3) for each in timeline.passes if each.name == "speech"), 0.0),
        "seen_covered": next((round(each.covered, 3) for each in timeline.passes if each.name != "speech"), 0.0),
        "shots": len(timeline.shots),
        "texts": len({each.text for each in timeline.segments if each.modality == "screen_text"}),
        "segments": len(timeline.segments),
        "missing": sorted({name for each in timeline.passes for name in each.missing}),
    }
