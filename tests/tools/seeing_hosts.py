"""A host whose bench sees with the rows of a test, over real HTTP and through the real store."""

import io
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from api.host import Host
from api.observe import Metrics
from knowledge.library import LIBRARY
from tests.api.conftest import Served, serve
from tests.api.fakes import open_fake_host
from tools.catalog import Catalog, Row, load_catalog
from tools.describing import TOOLS
from tools.open import open_bench
from tools.settings import Settings
from tools.toolbox import Toolbox


@asynccontextmanager
async def seeing_host(rows: list[Row], home: Path) -> AsyncIterator[Served]:
    """A host whose bench sees with these rows, and has the tools that describe."""
    real = load_catalog()
    catalog = Catalog(models=[*real.models, *rows], profiles=real.profiles)

    @asynccontextmanager
    async def opened(settings: Settings, metrics: Metrics) -> AsyncIterator[Host]:
        async with open_fake_host(settings, metrics) as host, open_bench(settings, catalog=catalog) as bare:
            bench = replace(bare, parts={**bare.parts, **host.bench.parts})
            yield replace(host, bench=bench, toolbox=Toolbox(TOOLS))

    serves = {"vision-language": [row.id for row in rows]}
    settings = Settings(home=home, cache=home / "cache", offline=True, serves=serves, _env_file=None)
    async with serve(settings, opened) as served:
        yield served


async def uploaded(served: Served, count: int) -> list[str]:
    """References to frames that the tenant owns."""
    bench = served.app.state.host.bench

    async def chunks() -> AsyncIterator[bytes]:
        yield b"a film"

    media = await bench.media.put(chunks(), name="film.mp4")
    await bench.part(LIBRARY).own("local", media.sha256, "film.mp4")
    refs = list[str]()
    for number in range(count):
        file = io.BytesIO()
        Image.fromarray(noise(number)).save(file, "PNG")
        refs.append(await bench.media.derive(media.sha256, f"frames/{number}.000.png", file.getvalue()))
    return refs


async def call(served: Served, tool: str, **arguments: Any) -> dict[str, Any]:
    async with served.client() as client:
        answer = await client.post(f"/api/v1/tools/{tool}", json=arguments, timeout=120)
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


def noise(seed: int, width: int = 60, height: int = 40) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 255, (height, width, 3)).astype(np.uint8)
