"""Live speech against WhisperLive's own server: same weights, same messages, same machine, in turns.

The peer is installed apart, for its pins are not ours: `uv venv peer && uv pip install -p peer whisper-live`, then
`SUTRADHAR_WHISPER_LIVE=peer/bin/python`. Streams are added until text comes more than two seconds late.
"""

import asyncio
import json
import os
import socket
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from tests.bench.doors import Server, serve
from tests.bench.speech import recording
from tests.evals.words import word_errors
from tools.errors import EngineFailed, NotFound, NotInstalled
from tools.open import open_bench
from tools.settings import Settings
from tools.speech import RATE, Pcm
from tools.store import WeightStore

LATE = 2.0
_VARIABLE = "SUTRADHAR_WHISPER_LIVE"
_CHUNK = 0.1
_QUIET = 4.0
"""Seconds without a message after which a server that does not close has said everything."""
_SERVE = """
import sys
from whisper_live.server import TranscriptionServer
TranscriptionServer().run("127.0.0.1", port=int(sys.argv[1]), backend="faster_whisper",
    faster_whisper_custom_model_path=sys.argv[2], single_model=True, max_clients=64, cache_path=sys.argv[3])
"""


@dataclass
class Stream:
    """What one caller saw: seconds after the first word began, after each word ended, and the text."""

    first: float | None = None
    lags: list[float] = field(default_factory=list)
    text: str = ""
    refused: str = ""


@dataclass(frozen=True)
class Spoken:
    """A recording, its text, and when each of its words ends (by the model that hears it live, at leisure)."""

    audio: Pcm
    truth: str
    begins: float
    ends: list[float]


async def run(home: Path, data: Path | None, quick: bool = False) -> dict[str, Any]:
    """Figures of both servers by number of streams, and how many each kept up with."""
    python = os.environ.get(_VARIABLE)
    if not python or not await asyncio.to_thread(Path(python).exists):
        raise NotInstalled(
            "WhisperLive's server is not installed.",
            remedy=f"Install the package whisper-live in an environment of its own and set {_VARIABLE} to its Python.",
        )
    if data is None or not (data / "speech").is_dir():
        raise NotFound("The bench needs recordings.", remedy="Give --data a folder with speech/ljspeech.csv.")
    settings = Settings(home=home / "bench-whisper-live")
    weights, spoken = await _spoken(settings, data, 15 if quick else 0)
    some = spoken if quick else Spoken(spoken.audio[: 30 * RATE], "", spoken.begins, spoken.ends)
    figures: dict[str, Any] = {"recording_seconds": round(len(spoken.audio) / RATE, 1)}
    kept, late = {"peer": 0, "ours": 0}, dict[str, str]()
    async with _peer(python, weights) as peer, _ours(settings) as ours:
        servers = {"peer": peer, "ours": ours}
        for url in servers.values():
            await _together(url, some, 1)
        for streams in (1, 2) if quick else (1, 2, 3, 4, 6, 8, 12, 16):
            for name in [each for each in servers if each not in late]:
                said = spoken if streams == 1 else some
                found = await _together(servers[name], said, streams)
                told = figures[f"{name}_{streams}"] = _told(found, said)
                if told["refused"] or told["lag_p95"] > LATE:
                    late[name] = f"at {streams} streams: {told['refused'] or str(told['lag_p95']) + ' s late'}"
                else:
                    kept[name] = streams
    return figures | {"streams_in_time": kept, "stopped": late, "load": round(os.getloadavg()[0], 2)}


async def _spoken(settings: Settings, data: Path, seconds: int) -> tuple[Path, Spoken]:
    from faster_whisper import WhisperModel

    audio, truth = await recording(data / "speech", settings)
    audio = audio[: seconds * RATE] if seconds else audio
    async with open_bench(settings) as bench:
        files = await WeightStore(settings.cache).ensure(bench.catalog.row("whisper-base"))
    folder = files["model.bin"].parent

    def words() -> list[tuple[float, float]]:
        model = WhisperModel(str(folder), device="cpu", compute_type="int8")
        segments, _ = model.transcribe(audio, language="en", beam_size=5, word_timestamps=True)
        return [(word.start, word.end) for segment in segments for word in segment.words or ()]

    times = await asyncio.to_thread(words)
    return folder, Spoken(audio, "" if seconds else truth, times[0][0], [end for _, end in times])


def _told(found: list[Stream], spoken: Spoken) -> dict[str, Any]:
    lags = [lag for each in found for lag in each.lags] or [float("inf")]
    firsts = [each.first for each in found if each.first is not None] or [float("inf")]
    told = {
        "first_partial": round(float(np.median(firsts)), 2),
        "lag_p50": round(float(np.median(lags)), 2),
        "lag_p95": round(float(np.percentile(lags, 95)), 2),
        "refused": next((each.refused for each in found if each.refused), ""),
    }
    if spoken.truth:
        told["wer"] = round(float(np.mean([word_errors(spoken.truth, each.text) for each in found])), 4)
    return told


async def _together(url: str, spoken: Spoken, count: int) -> list[Stream]:
    return list(await asyncio.gather(*[_stream(url, spoken, number / count) for number in range(count)]))


async def _stream(url: str, spoken: Spoken, wait: float) -> Stream:
    found = Stream()
    async with connect(url, max_size=None) as socket:
        start = {"uid": f"bench-{wait}", "language": "en", "task": "transcribe", "model": "base", "use_vad": True}
        await socket.send(json.dumps(start | {"send_last_n_segments": 10, "max_clients": 64}))
        ready = json.loads(await asyncio.wait_for(socket.recv(), 60))
        if ready.get("message") != "SERVER_READY":
            found.refused = str(ready)[:200]
            return found
        await asyncio.sleep(wait)
        began = time.monotonic()
        feeding = asyncio.create_task(_feed(socket, spoken.audio, began))
        await _read(socket, spoken, found, began, feeding)
        await feeding
    return found


async def _feed(socket: ClientConnection, audio: Pcm, began: float) -> None:
    size = round(_CHUNK * RATE)
    with suppress(ConnectionClosed):
        for first in range(0, len(audio), size):
            await asyncio.sleep(max(0.0, began + (first + size) / RATE - time.monotonic()))
            await socket.send(audio[first : first + size].astype("<f4").tobytes())
        await socket.send(b"END_OF_AUDIO")


async def _read(
    socket: ClientConnection, spoken: Spoken, found: Stream, began: float, feeding: "asyncio.Task[None]"
) -> None:
    """Until the server closes or falls silent: what is finished, by its start, and what is still open behind it."""
    finished, shown = dict[float, str](), 0
    while True:
        try:
            message = json.loads(await asyncio.wait_for(socket.recv(), _QUIET))
        except TimeoutError:
            if feeding.done():
                return
            continue
        except ConnectionClosed:
            return
        now, segments = time.monotonic() - began, message.get("segments", [])
        finished |= {float(each["start"]): each["text"] for each in segments if each.get("completed")}
        still = [each["text"] for each in segments if not each.get("completed")][-1:]
        text = " ".join([finished[start] for start in sorted(finished)] + still)
        words = text.split()
        if words and found.first is None:
            found.first = now - spoken.begins
        found.lags += [now - end for end in spoken.ends[shown : len(words)]]
        shown, found.text = max(shown, len(words)), text or found.text


@asynccontextmanager
async def _peer(python: str, weights: Path) -> AsyncIterator[str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = int(free.getsockname()[1])
    threads = {"OMP_NUM_THREADS": str(os.cpu_count() or 1), "OMP_WAIT_POLICY": "PASSIVE"}
    with tempfile.TemporaryDirectory() as cache:
        process = await asyncio.create_subprocess_exec(
            python, "-c", _SERVE, str(port), str(weights), cache, env=os.environ | threads | {"HF_HUB_OFFLINE": "1"}
        )
        try:
            url = f"ws://127.0.0.1:{port}"
            for _ in range(240):
                with suppress(OSError):
                    async with connect(url):
                        break
                await asyncio.sleep(0.5)
            else:
                raise EngineFailed("WhisperLive's server did not start within two minutes.")
            yield url
        finally:
            process.kill()
            await process.wait()


def _serve_ours(ready: Connection, home: str) -> None:
    os.environ["LANGGRAPH_STRICT_MSGPACK"] = "true"
    from api.app import create_app

    serve(lambda port: create_app(Settings(home=Path(home)), console=False), ready)


@asynccontextmanager
async def _ours(settings: Settings) -> AsyncIterator[str]:
    host = await asyncio.to_thread(Server, _serve_ours, str(settings.home))
    try:
        yield host.url.replace("http", "ws", 1) + "/api/v1/stt/stream"
    finally:
        await asyncio.to_thread(host.stop)
