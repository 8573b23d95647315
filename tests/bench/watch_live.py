"""Four live pictures at two frames a second on the embedded tools: steady, bounded, and what is dropped is told.

The frames are those of a real clip, pushed on the sender's clock by four callers, each from another place of it; a
fifth caller then pushes far more than can be looked at. Late is from a frame's arrival to its observation.
"""

import asyncio
import io
import json
import os
import struct
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
from PIL import Image
from websockets.asyncio.client import connect

from tests.bench.doors import Server, serve
from tests.bench.streams import sizes_of
from tools.settings import Settings

STREAMS, RATE = 4, 2.0
_ALERTS = ["a person enters", "more than 3 people", "the text NASA appears", "it gets dark", "no motion for 10 seconds"]


@dataclass
class Caller:
    late: list[float] = field(default_factory=list)
    alerts: int = 0
    told_dropped: int = 0
    done: dict[str, Any] = field(default_factory=dict)


async def run(home: Path, data: Path | None, quick: bool = False) -> dict[str, Any]:
    """Seconds that frames were late in the first and the last third, and what was dropped, at 2 and at 20 fps."""
    seconds = 20 if quick else 120
    frames = await asyncio.to_thread(_frames, data)
    with tempfile.TemporaryDirectory() as folder:
        host = await asyncio.to_thread(Server, _serve, folder)
        try:
            url = host.url.replace("http", "ws", 1) + "/api/v1/video/stream-analysis"
            await _call(url, frames[:2], RATE, 2, 0)
            sizes = asyncio.create_task(sizes_of(psutil.Process(host.pid)))
            count = round(seconds * RATE)
            calls = [_call(url, frames, RATE, count, number * len(frames) // STREAMS) for number in range(STREAMS)]
            callers = await asyncio.gather(*calls)
            sizes.cancel()
            grown = await sizes
            flood = await _call(url, frames, 20.0, 200, 0)
        finally:
            await asyncio.to_thread(host.stop)
    third = [len(each.late) // 3 for each in callers]
    first = [late for each, n in zip(callers, third, strict=True) for late in each.late[:n]]
    last = [late for each, n in zip(callers, third, strict=True) for late in each.late[-n:]]
    return {
        "streams": STREAMS,
        "frames": sum(each.done["frames"] for each in callers),
        "looked_each": [each.done["looked"] for each in callers],
        "dropped_each": [each.done["dropped"] for each in callers],
        "dropped_told": all(each.told_dropped == each.done["dropped"] for each in (*callers, flood)),
        "alerts": sum(each.alerts for each in callers),
        "late_p50_first_third": round(float(np.median(first)), 2),
        "late_p50_last_third": round(float(np.median(last)), 2),
        "late_p95": round(float(np.percentile([late for each in callers for late in each.late], 95)), 2),
        "grown_mb": round((grown[-1] - grown[len(grown) // 3]) / 2**20, 1),
        "flood_20_fps": {name: flood.done[name] for name in ("frames", "looked", "dropped")},
        "flood_late_p95": round(float(np.percentile(flood.late, 95)), 2),
        "load": round(os.getloadavg()[0], 2),
    }


def _frames(data: Path | None) -> list[bytes]:
    """JPEGs of 640 pixels, two for each second of a real clip; without one, of noise that moves."""
    clip = data / "video" / "nasa_webb.mp4" if data else None
    if clip is None or not clip.exists():
        random = np.random.default_rng(5)
        return [_jpeg(Image.fromarray(random.integers(0, 255, (360, 640, 3), np.uint8))) for _ in range(16)]
    import av

    found, wanted = list[bytes](), 0.0
    with av.open(str(clip)) as container:
        for frame in container.decode(video=0):
            if (frame.time or 0.0) >= wanted:
                found.append(_jpeg(Image.fromarray(frame.to_ndarray(width=640, height=360, format="rgb24"))))
                wanted += 0.5
    return found


def _jpeg(image: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, "JPEG", quality=85)
    return file.getvalue()


async def _call(url: str, frames: list[bytes], rate: float, count: int, offset: int) -> Caller:
    caller = Caller()
    async with connect(url, max_size=None) as socket:
        await socket.send(json.dumps({"type": "start", "alerts": _ALERTS}))
        assert json.loads(await socket.recv())["type"] == "ready"
        began = time.monotonic()

        async def feed() -> None:
            for number in range(count):
                await asyncio.sleep(max(0.0, began + number / rate - time.monotonic()))
                data = frames[(number + offset) % len(frames)]
                await socket.send(struct.pack(">cd", b"F", number / rate) + data)
            await socket.send('{"type": "finish"}')

        feeding = asyncio.create_task(feed())
        async for text in socket:
            message = json.loads(text)
            match message["type"]:
                case "observation":
                    caller.late.append(message["late"])
                case "alert":
                    caller.alerts += 1
                case "dropped":
                    caller.told_dropped += message["frames"]
                case "done":
                    caller.done = message
        await feeding
    return caller


def _serve(ready: Connection, folder: str) -> None:
    os.environ["LANGGRAPH_STRICT_MSGPACK"] = "true"
    from api.app import create_app
    from api.host import Host
    from api.observe import Metrics
    from tests.api.fakes import open_fake_host
    from tools.open import open_bench

    @asynccontextmanager
    async def opener(settings: Settings, metrics: Metrics) -> AsyncIterator[Host]:
        async with open_fake_host(settings, metrics) as host, open_bench(settings) as bench:
            yield replace(host, bench=replace(bench, parts={**bench.parts, **host.bench.parts}))

    settings = Settings(home=Path(folder) / "home", offline=True, _env_file=None)
    serve(lambda port: create_app(settings, opener=opener, console=False), ready)
