"""The speech stage against raw faster-whisper, same recording, same settings; one by one and batched; interleaved."""

import asyncio
import csv
import os
import statistics
import time
import wave
from collections.abc import Awaitable, Callable
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tests.evals.words import word_errors
from tools.bench import Bench
from tools.catalog import Row
from tools.errors import NotFound
from tools.listening import TranscribeInput, transcribe
from tools.media.reader import read_pcm
from tools.open import open_bench
from tools.settings import Settings
from tools.speech import RATE
from tools.store import WeightStore

JFK = "And so my fellow Americans, ask not what your country can do for you, ask what you can do for your country."
PAUSE = 0.6
"""Seconds of silence between the clips."""

Job = Callable[[], Awaitable[str]]


async def run(home: Path, data: Path | None, quick: bool) -> dict[str, Any]:
    """Seconds are medians; a ratio is ours by raw, from the decoded file to the last text, models already loaded."""
    if data is None or not (data / "speech").is_dir():
        raise NotFound("The speech bench needs recordings.", remedy="Give --data a folder with speech/ljspeech.csv.")
    settings = Settings(home=home / "bench-speech")
    audio, truth = await recording(data / "speech", settings)
    repeats = 1 if quick else 3
    audio, truth = np.tile(audio, repeats), " ".join([truth] * repeats)
    async with open_bench(settings) as bench:
        path = settings.home / "recording.wav"
        await asyncio.to_thread(write, path, audio)
        media = (await bench.media.put(path, name=path.name)).sha256
        jobs = await _jobs(bench, path, media)
        async with bench.models.use("whisper-base"), bench.models.use("silero-vad"):
            seconds, texts = await _interleaved(jobs, 2 if quick else 3)
    return _figures(len(audio) / RATE, seconds, {name: word_errors(truth, text) for name, text in texts.items()})


async def _jobs(bench: Bench, path: Path, media: str) -> dict[str, Job]:
    row = bench.catalog.row("whisper-base")
    raw = await _raw(row, bench.settings)

    async def ours(batch: int) -> str:
        heard = await transcribe(TranscribeInput(media=media, language="en", batch=batch), bench)
        return " ".join(each.text for each in heard.segments)

    return {
        "raw": lambda: asyncio.to_thread(raw, path, 1),
        "ours": lambda: ours(1),
        "raw_batched": lambda: asyncio.to_thread(raw, path, 16),
        "ours_batched": lambda: ours(16),
    }


async def _raw(row: Row, settings: Settings) -> Callable[[Path, int], str]:
    """faster-whisper as its documentation shows it, with its own voice activity detector."""
    from faster_whisper import BatchedInferencePipeline, WhisperModel

    files = await WeightStore(settings.cache, offline=settings.offline).ensure(row)
    threads = os.cpu_count() or 1
    model = WhisperModel(str(files["model.bin"].parent), device="cpu", compute_type="int8", cpu_threads=threads)
    batched = BatchedInferencePipeline(model)

    def listen(path: Path, batch: int) -> str:
        options = {"language": "en", "beam_size": 1, "vad_filter": True, "condition_on_previous_text": False}
        if batch == 1:
            segments, _ = model.transcribe(str(path), **options)
        else:
            segments, _ = batched.transcribe(str(path), batch_size=batch, without_timestamps=False, **options)
        return " ".join(segment.text for segment in segments)

    return listen


async def _interleaved(jobs: dict[str, Job], rounds: int) -> tuple[dict[str, list[float]], dict[str, str]]:
    seconds: dict[str, list[float]] = {name: [] for name in jobs}
    texts: dict[str, str] = {}
    await jobs["raw"]()
    await jobs["ours"]()
    for number in range(rounds):
        # who goes first changes, so that a machine that slows down is not to one's disadvantage
        for name in jobs if number % 2 else reversed(jobs):
            began = time.perf_counter()
            texts[name] = await jobs[name]()
            seconds[name].append(time.perf_counter() - began)
    return seconds, texts


def _figures(length: float, seconds: dict[str, list[float]], errors: dict[str, float]) -> dict[str, Any]:
    median = {name: statistics.median(each) for name, each in seconds.items()}
    figures: dict[str, Any] = {"recording_seconds": round(length, 1), "load": round(os.getloadavg()[0], 2)}
    figures |= {f"{name}_seconds": round(value, 3) for name, value in median.items()}
    figures |= {f"{name}_real_time_factor": round(value / length, 4) for name, value in median.items()}
    figures |= {f"{name}_wer": round(value, 4) for name, value in errors.items()}
    return figures | {
        "ours_by_raw": round(median["ours"] / median["raw"], 3),
        "ours_by_raw_batched": round(median["ours_batched"] / median["raw_batched"], 3),
        "sequential_by_batched": round(median["ours"] / median["ours_batched"], 3),
    }


async def recording(folder: Path, settings: Settings) -> tuple[NDArray[np.float32], str]:
    """All clips one after the other, and what is said in them."""
    with (folder / "ljspeech.csv").open(encoding="utf-8", newline="") as file:
        said = {row[0]: row[-1] for row in islice(csv.reader(file, delimiter="|", quoting=csv.QUOTE_NONE), 100)}
    names = [*(f"{name}.flac" for name in said), "jfk.flac"]
    clips = [await read_pcm(folder / name, settings.limits) for name in names]
    pause = np.zeros(round(PAUSE * RATE), dtype=np.float32)
    return np.concatenate([part for clip in clips for part in (clip, pause)]), " ".join([*said.values(), JFK])


def write(path: Path, audio: NDArray[np.float32]) -> None:
    with wave.open(str(path), "wb") as writer:
        writer.setnchannels(1)
        writer.setsampwidth(2)
        writer.setframerate(RATE)
        writer.writeframes((np.clip(audio, -1, 1) * 32_767).astype("<i2").tobytes())
