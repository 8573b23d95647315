"""Two hours of 1080p watched to their end: memory of every process, a kill in the middle, and what is decoded.

The watching runs in a process of its own with senses that have no weights, so that decoding, memory and resuming are
what is measured; `quick` takes ten minutes and the embedded models.
"""

import asyncio
import contextlib
import json
import os
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import psutil

from tests.bench.lecture import lecture
from tools.catalog import load_catalog
from tools.settings import Settings
from tools.store import WeightStore

BLIND = {
    "text-reading": ["blind-reader"],
    "object-detection": ["blind-detector"],
    "face-landmarks": ["blind-to-faces"],
    "speech-to-text": ["scripted-speech"],
    "voice-activity": ["loudness"],
}
_SEEING_SECONDS = 150.0
_GOP = 50
_KILL_AT = 0.5
"""Share of the undisturbed time after which the watching is killed."""


@dataclass
class Peak:
    """Most memory at one moment, in MB that no other process shares: the whole family, the watching process, which also
    holds the models that run in threads, and the largest of its children, which decode or hold a model."""

    whole: float = 0.0
    processes: dict[str, float] = field(default_factory=dict)

    def take(self, process: psutil.Process) -> None:
        sizes = list[tuple[str, float]]()
        for each in (process, *process.children(recursive=True)):
            # one that ends while it is looked at holds nothing any more
            with contextlib.suppress(psutil.Error):
                role = "watching" if each.pid == process.pid else "child"
                sizes.append((role, each.memory_full_info().uss / 2**20))
        self.whole = max(self.whole, sum(size for _, size in sizes))
        for role, size in sizes:
            self.processes[role] = round(max(self.processes.get(role, 0.0), size), 1)


@dataclass(frozen=True)
class Watched:
    """One run of the watching: what it told at its end, None when it was killed."""

    seconds: float
    told: dict[str, Any] | None
    peak: Peak


async def run(home: Path, data: Path | None, quick: bool) -> dict[str, Any]:
    """The bar is 1500 MB for the whole job, and the same timeline after a kill as without one."""
    minutes = 10 if quick else 120
    settings = Settings(home=home)
    files = await WeightStore(settings.cache, offline=settings.offline).ensure(load_catalog().row("sample-media"))
    photos = [files[name] for name in ("astronaut.png", "coffee.png", "chelsea.png")]
    sounds = [files["two_cities.wav"], *(sorted((data / "speech").glob("LJ*.flac")) if data else [])]
    with TemporaryDirectory(dir=home) as folder:
        began = time.perf_counter()
        film = Path(folder, "film.mp4")
        await asyncio.to_thread(lambda: lecture(film, photos, sounds, minutes=minutes, height=1080, gop=_GOP))
        made = time.perf_counter() - began
        figures: dict[str, Any] = {
            "minutes": minutes,
            "film_mb": round((await asyncio.to_thread(film.stat)).st_size / 2**20, 1),
            "made_seconds": round(made, 1),
            "decode_seconds_a_minute": round(await asyncio.to_thread(_decode_minute, film), 2),
        }
        figures["blind"] = await _trial(film, Path(folder, "blind"), blind=True)
        if quick:
            # hearing ten minutes takes long on a small machine; its memory is known after some of them
            embedded = await _watch(film, Path(folder, "embedded"), blind=False, kill_after=_SEEING_SECONDS)
            figures["embedded"] = _memory(embedded) | {"ended": embedded.told is not None}
    return figures | {"load": round(os.getloadavg()[0], 2)}


async def _trial(film: Path, folder: Path, *, blind: bool) -> dict[str, Any]:
    whole = await _watch(film, folder / "whole", blind=blind)
    killed = await _watch(film, folder / "killed", blind=blind, kill_after=_KILL_AT * whole.seconds)
    kept = await asyncio.to_thread(_kept, folder / "killed")
    resumed = await _watch(film, folder / "killed", blind=blind)
    again = await asyncio.to_thread(_kept, folder / "killed")
    assert whole.told is not None
    assert resumed.told is not None
    return {
        **_memory(whole),
        "killed_after": round(killed.seconds, 1),
        "killed_before_the_end": killed.told is None,
        "kept_at_the_kill": len(kept),
        "kept_and_done_again": sum(again.get(name) != at for name, at in kept.items() if _final(name)),
        "looks_again": {
            stage: resumed.told["calls"].get(stage, 0) / max(1, count) for stage, count in whole.told["calls"].items()
        },
        "resumed_seconds": round(resumed.seconds, 1),
        "resumed_peak_mb": round(resumed.peak.whole, 1),
        "same_result": resumed.told["digest"] == whole.told["digest"],
    }


def _memory(watched: Watched) -> dict[str, Any]:
    told = watched.told or {}
    return {
        "seconds": round(watched.seconds, 1),
        "peak_mb": round(watched.peak.whole, 1),
        "peak_by_process_mb": watched.peak.processes,
        **{name: told[name] for name in ("pictures", "shots", "segments", "complete", "media_seconds") if name in told},
    }


def _final(name: str) -> bool:
    """A part of speech and the frames are kept once; looks and the timeline are kept anew as they grow."""
    return name.startswith(("speech-", "frames-", "glance-"))


def _kept(home: Path) -> dict[str, int]:
    """What the stages have kept, with when it was written."""
    return {path.name: path.stat().st_mtime_ns for path in home.rglob("stages/*.json")}


def _decode_minute(film: Path) -> float:
    """Seconds in which every frame of one minute is decoded and dropped."""
    import av

    began = time.perf_counter()
    with av.open(str(film)) as container:
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        for packet in container.demux(stream):
            if packet.pts is None or packet.pts * packet.time_base >= 60:
                break
            packet.decode()
        # a decoder that still holds frames must not be closed: its threads would wait for this one
        stream.codec_context.decode(None)
    return time.perf_counter() - began


async def _watch(film: Path, home: Path, *, blind: bool, kill_after: float | None = None) -> Watched:
    """Watch in a process of its own, killed so many seconds after it began."""
    await asyncio.to_thread(home.mkdir, parents=True, exist_ok=True)
    command = [sys.executable, "-m", "tests.bench.long", str(home), str(film), "blind" if blind else "seeing"]
    path = os.pathsep.join(each for each in sys.path if each)
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, env={**os.environ, "PYTHONPATH": path}, start_new_session=True
    )
    assert process.stdout is not None
    peak, told = Peak(), dict[str, Any]()
    began = time.perf_counter()
    reading = asyncio.create_task(process.stdout.read())
    try:
        family = psutil.Process(process.pid)
        while process.returncode is None and not reading.done():
            await asyncio.to_thread(peak.take, family)
            if kill_after is not None and time.perf_counter() - began >= kill_after:
                process.kill()
                break
            await asyncio.sleep(0.25)
        seconds = time.perf_counter() - began
        answer = (await reading).decode()
        await process.wait()
    finally:
        if process.returncode is None:
            process.kill()
    told = json.loads(answer.splitlines()[-1]) if answer.strip() else {}
    if not told and kill_after is None:
        raise RuntimeError(f"the watching ended with code {process.returncode}")
    return Watched(seconds, told or None, peak)


async def _work(home: Path, film: Path, *, blind: bool) -> None:
    import hashlib

    from ingestion.watch import watch
    from tools.events import ToolEvent
    from tools.open import open_bench

    settings = Settings(home=home, serves=BLIND if blind else {}, _env_file=None)
    calls: Counter[str] = Counter()
    async with open_bench(settings) as bench:
        media = await bench.media.put(film, name=film.name)

        def count(event: object) -> None:
            if isinstance(event, ToolEvent) and event.state == "started":
                calls[event.tool] += 1

        timeline = None
        async for each in watch(media, bench.listening(count)):
            timeline = each
    assert timeline is not None
    text = timeline.model_copy(update={"passes": [], "version": ""}).model_dump_json()
    told = {
        "pictures": len({each.image for each in timeline.shots}),
        "shots": len(timeline.shots),
        "segments": len(timeline.segments),
        "complete": timeline.complete,
        "media_seconds": timeline.duration,
        "calls": calls,
        "digest": hashlib.sha256(text.encode()).hexdigest(),
    }
    print(json.dumps(told), flush=True)


if __name__ == "__main__":
    asyncio.run(_work(Path(sys.argv[1]), Path(sys.argv[2]), blind=sys.argv[3] == "blind"))
