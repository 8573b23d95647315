"""Live speech at real time on the default model: first text, its lag, and how many streams it keeps up with.

Streams are added round by round until text comes more than two seconds after its words (95th percentile), or the desk
refuses. Lag is from the end of a word, on the sender's clock, to the first message that shows it.
"""

import asyncio
import os
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from tests.bench.speech import recording
from tests.evals.words import word_errors
from tools.bench import Bench
from tools.errors import Busy, NotFound
from tools.open import open_bench
from tools.settings import Settings
from tools.speech import RATE, ListenOptions, Pcm
from tools.speech.desk import Desk, choose
from tools.speech.live import Said

LATE = 2.0
_CHUNK = 0.1


@dataclass
class Round:
    """What some streams at once gave; seconds."""

    first: list[float] = field(default_factory=list)
    lags: list[float] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    refused: str = ""


async def run(home: Path, data: Path | None, quick: bool = False) -> dict[str, Any]:
    """Figures of one stream, of the most that were not late, and where it stopped."""
    if data is None or not (data / "speech").is_dir():
        raise NotFound("The streaming bench needs recordings.", remedy="Give --data a folder with speech/ljspeech.csv.")
    settings = Settings(home=home / "bench-streaming")
    audio, truth = await recording(data / "speech", settings)
    audio = audio[-round(12 * RATE) :] if quick else audio
    figures: dict[str, Any] = {"seconds": round(len(audio) / RATE, 1)}
    async with open_bench(settings) as bench:
        desk = Desk()
        kept, why = 0, "the bench went no further"
        for streams in (1, 2) if quick else (1, 2, 4, 6, 8, 12, 16, 24):
            found = await _streams(bench, desk, audio, streams)
            if found.refused:
                why = f"{streams} streams: {found.refused}"
                break
            lag = float(np.percentile(found.lags, 95)) if found.lags else 0.0
            figures[f"streams_{streams}"] = _told(found, lag, truth if not quick else None)
            if lag > LATE:
                why = f"{streams} streams: text came {lag:.1f} s late"
                break
            kept = streams
        line = next(iter(desk.lines.values()))
        cost = {"pass_seconds_per_sound": round(line.cost or 0.0, 3), "capacity_believed": line.capacity}
    return {**figures, **cost, "streams_in_time": kept, "stopped": why, "load": round(os.getloadavg()[0], 2)}


def _told(found: Round, lag: float, truth: str | None) -> dict[str, Any]:
    told: dict[str, Any] = {
        "first_partial_p50": round(float(np.median(found.first)), 2),
        "lag_p50": round(float(np.median(found.lags)), 2),
        "lag_p95": round(lag, 2),
    }
    if truth is not None:
        told["wer"] = round(sum(word_errors(truth, text) for text in found.texts) / len(found.texts), 4)
    return told


async def _streams(bench: Bench, desk: Desk, audio: Pcm, count: int) -> Round:
    found = Round()
    async with asyncio.TaskGroup() as group:
        for number in range(count):
            group.create_task(_admitted(bench, desk, audio, found, number / count))
    return found


async def _admitted(bench: Bench, desk: Desk, audio: Pcm, found: Round, wait: float) -> None:
    try:
        await _one(bench, desk, audio, found, wait)
    except Busy as error:
        found.refused = str(error)


async def _one(bench: Bench, desk: Desk, audio: Pcm, found: Round, wait: float) -> None:
    async with desk.seat(bench, choose(bench, None, "en"), ListenOptions(language="en")) as live:
        await asyncio.sleep(wait)
        began = time.monotonic()

        async def feed() -> None:
            size = round(_CHUNK * RATE)
            for first in range(0, len(audio), size):
                await asyncio.sleep(max(0.0, began + (first + size) / RATE - time.monotonic()))
                await live.feed(audio[first : first + size])
            await live.finish()

        feeding, said, reach = asyncio.create_task(feed()), list[str](), 0.0
        async for event in live.events():
            if not isinstance(event, Said):
                continue
            now = time.monotonic() - began
            if event.text and not reach:
                found.first.append(now - event.start)
            if event.text and event.end > reach:
                # words that are seen for the first time
                found.lags.append(now - event.end)
                reach = event.end
            if event.ended:
                said.append(event.text)
        await feeding
        found.texts.append(" ".join(said))
