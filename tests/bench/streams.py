"""Thirty live streams at once for five minutes on a scripted engine: drift, leaks and fairness.

Each turn lasts 3.7 s and each stream hears the same, so that what differs is ours. Lag is from the end of a turn's
speech, on the sender's clock, to its final text.
"""

import asyncio
import json
import os
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from websockets.asyncio.client import connect

from tests.bench.doors import Server, serve
from tools.settings import Settings
from tools.speech import RATE

STREAMS = 30
_SPEECH, _SILENCE = 3.7, 1.3
_CHUNK = 0.1


@dataclass
class Caller:
    """How late the final text of each turn came, in seconds, and how long a sound was taken up."""

    lags: list[float] = field(default_factory=list)
    partials: int = 0
    seconds: float = 0.0


async def run(home: Path, data: Path | None, quick: bool = False) -> dict[str, Any]:
    """Milliseconds of lag in the first and the last third, megabytes the host grew by, and the slowest caller."""
    turns = 6 if quick else 60
    with tempfile.TemporaryDirectory() as folder:
        host = await asyncio.to_thread(Server, _serve, folder)
        try:
            url = host.url.replace("http", "ws", 1) + "/api/v1/stt/stream"
            process = psutil.Process(host.pid)
            await _call(url, 1, 0.0)
            sizes = asyncio.create_task(sizes_of(process))
            callers = await asyncio.gather(*[_call(url, turns, n * 5.0 / STREAMS) for n in range(STREAMS)])
            sizes.cancel()
            grown = await sizes
        finally:
            await asyncio.to_thread(host.stop)
    third = turns // 3
    first = [lag for each in callers for lag in each.lags[:third]]
    last = [lag for each in callers for lag in each.lags[-third:]]
    means = [float(np.mean(each.lags)) for each in callers]
    return {
        "streams": STREAMS,
        "seconds": round(float(np.median([each.seconds for each in callers])), 1),
        "finals_wanted": STREAMS * turns,
        "finals": sum(len(each.lags) for each in callers),
        "partials": sum(each.partials for each in callers),
        "lag_ms_p95_first_third": round(1_000 * float(np.percentile(first, 95))),
        "lag_ms_p95_last_third": round(1_000 * float(np.percentile(last, 95))),
        "slowest_caller_by_median": round(max(means) / float(np.median(means)), 2),
        "grown_mb": round((grown[-1] - grown[len(grown) // 3]) / 2**20, 1),
        "load": round(os.getloadavg()[0], 2),
    }


async def sizes_of(process: psutil.Process) -> list[int]:
    """Resident bytes of the host and its children, once a second until cancelled."""
    sizes = list[int]()
    try:
        while True:
            family = [process, *process.children(recursive=True)]
            sizes.append(sum(each.memory_info().rss for each in family))
            await asyncio.sleep(1.0)
    except asyncio.CancelledError:
        return sizes


async def _call(url: str, turns: int, wait: float) -> Caller:
    caller = Caller()
    await asyncio.sleep(wait)
    async with connect(url) as socket:
        await socket.send(json.dumps({"type": "start", "language": "en"}))
        while json.loads(await socket.recv())["type"] != "ready":
            pass
        began = time.monotonic()

        async def feed() -> None:
            turn = np.concatenate([_noise(_SPEECH), np.zeros(round(_SILENCE * RATE), np.float32)])
            sound, size = (turn * 32_767).astype("<i2"), round(_CHUNK * RATE)
            for first in range(0, turns * len(sound), size):
                await asyncio.sleep(max(0.0, began + (first + size) / RATE - time.monotonic()))
                await socket.send(sound[first % len(sound) :][:size].tobytes())
            await socket.send('{"type": "finish"}')

        feeding = asyncio.create_task(feed())
        async for text in socket:
            message, now = json.loads(text), time.monotonic() - began
            if message["type"] == "final":
                caller.lags.append(now - len(caller.lags) * (_SPEECH + _SILENCE) - _SPEECH)
            caller.partials += message["type"] == "partial"
            if message["type"] == "done":
                caller.seconds = message["seconds"]
        await feeding
    return caller


def _noise(seconds: float) -> Any:
    return np.random.default_rng(3).normal(0, 0.3, round(seconds * RATE)).clip(-1, 1).astype(np.float32)


def _serve(ready: Connection, folder: str) -> None:
    os.environ["LANGGRAPH_STRICT_MSGPACK"] = "true"
    from api.app import create_app
    from api.host import Host
    from api.observe import Metrics
    from tests.api.fakes import open_fake_host
    from tests.tools.test_live import EARS, catalog
    from tools.open import open_bench

    @asynccontextmanager
    async def opener(settings: Settings, metrics: Metrics) -> AsyncIterator[Host]:
        heard, slow = settings.model_copy(update={"serves": EARS}), catalog(pass_seconds=0.02, sound_seconds=0.002)
        async with open_fake_host(settings, metrics) as host, open_bench(heard, catalog=slow) as bench:
            yield replace(host, bench=replace(bench, parts=host.bench.parts))

    settings = Settings(home=Path(folder) / "home", offline=True, _env_file=None)
    serve(lambda port: create_app(settings, opener=opener, console=False), ready)
