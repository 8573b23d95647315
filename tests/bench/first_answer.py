"""A film of ten minutes is uploaded to a real host and asked about at once: seconds until there is an answer.

The host is `sutradhar up` with its Prefect server and flow runner, as it ships. Nothing is loaded when the first film
comes; then it is forgotten, and comes again.
"""

import asyncio
import json
import os
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import aiohttp

from api.discovery import Address, find
from tests.bench.lecture import lecture
from tools.catalog import load_catalog
from tools.errors import EngineFailed
from tools.settings import Settings
from tools.store import WeightStore

QUESTIONS = (
    "What is shown in the video?",
    "What is written on the slides?",
    "What does the film look like?",
    "What is it about?",
)
"""Another one each time: a model that has read the same prompt before answers sooner."""
_SETTLE_SECONDS = 20.0
"""After which a host that has just been started has imported what it needs."""
_START_SECONDS = 120.0


async def run(home: Path, data: Path | None, quick: bool) -> dict[str, Any]:
    """Seconds from the upload on; the bar is 10 s. `quick` takes 3 minutes of film, and once each."""
    settings = Settings(home=home)
    files = await WeightStore(settings.cache, offline=settings.offline).ensure(load_catalog().row("sample-media"))
    sounds = [files["two_cities.wav"], *(sorted((data / "speech").glob("LJ*.flac")) if data else [])]
    photos = [files[name] for name in ("astronaut.png", "coffee.png", "chelsea.png")]
    with TemporaryDirectory(dir=home) as folder:
        film = Path(folder, "film.mp4")
        await asyncio.to_thread(lambda: lecture(film, photos, sounds, minutes=3 if quick else 10))
        async with _host(Path(folder, "home")) as url, aiohttp.ClientSession(url) as client:
            await asyncio.sleep(_SETTLE_SECONDS)
            cold = await _trial(client, film, QUESTIONS[0])
            warm = [await _trial(client, film, each) for each in QUESTIONS[1 : 2 if quick else None]]
    load = {"load": round(os.getloadavg()[0], 2)}
    return {"cold": cold, "warm": {name: [each.get(name) for each in warm] for name in cold}} | load


async def _trial(client: aiohttp.ClientSession, film: Path, question: str) -> dict[str, float]:
    """Upload, ask, forget. `moments` are shown first, `token` begins what the model writes."""
    began, told = time.perf_counter(), dict[str, float]()
    form = aiohttp.FormData()
    form.add_field("file", await asyncio.to_thread(film.read_bytes), filename=film.name)
    async with client.post("/api/v1/knowledge/ingest", data=form) as taken:
        (source,) = (await taken.json())["submitted"]
    async for event in _asked(client, question):
        kind = str(event["type"])
        if (kind == "evidence" and event["moments"]) or kind == "token" or (kind == "answer" and event["citations"]):
            name = {"evidence": "moments"}.get(kind, kind)
            told.setdefault(name, round(time.perf_counter() - began, 2))
    async with client.delete(f"/api/v1/knowledge/sources/{source['source']}") as forgotten:
        forgotten.raise_for_status()
    return told


async def _asked(client: aiohttp.ClientSession, question: str) -> AsyncIterator[dict[str, Any]]:
    async with client.post("/api/v1/chat", json={"question": question}) as answer:
        answer.raise_for_status()
        async for line in answer.content:
            if line.startswith(b"data:"):
                yield json.loads(line[5:])


def _begun(home: Path) -> Address:
    deadline = time.monotonic() + _START_SECONDS
    while (address := find(home)) is None:
        if time.monotonic() > deadline:
            raise EngineFailed(f"`sutradhar up` did not answer within {_START_SECONDS:g} s.")
        time.sleep(0.2)
    return address


@asynccontextmanager
async def _host(home: Path) -> AsyncIterator[str]:
    """`sutradhar up` on a free port for as long as the block lasts; yields its address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    own = {"SUTRADHAR_HOME": str(home), "SUTRADHAR_SERVER__PORT": port, "SUTRADHAR_PREFECT__PORT": "0"}
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "api.cli",
        "up",
        env={**os.environ, **own},
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        address = await asyncio.to_thread(_begun, home)
        yield address.url
    finally:
        process.send_signal(signal.SIGTERM)
        await process.wait()
