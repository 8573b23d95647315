"""A host whose bench speaks with the rows of a test, over real HTTP and through the real store."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from api.host import Host
from api.observe import Metrics
from tests.api.conftest import Served, serve
from tests.api.fakes import open_fake_host
from tools.catalog import Catalog, File, Row, load_catalog
from tools.open import open_bench
from tools.settings import Settings

SECOND = Row(
    id="second", title="Second", capability="text-to-speech", engine="tools.voice.scripted:ScriptedVoice",
    licence="Apache-2.0", commercial=True, languages=["en", "hi", "ta"], rate=24_000,
)  # fmt: skip
"""Who steps in when an engine fails."""


def from_folder(id: str, engine: str, folder: Path, names: list[str], **fields: Any) -> Row:
    """A row whose files lie in a folder."""
    told = {"title": id.title(), "licence": "CC-BY-NC-4.0", "commercial": False, "isolation": "thread", **fields}
    files = [File(name=name, sources=[f"file:{folder / name}"]) for name in names]
    return Row(id=id, capability="text-to-speech", engine=engine, files=files, **told)


@asynccontextmanager
async def speaking_host(rows: list[Row], home: Path, **fields: Any) -> AsyncIterator[Served]:
    """The rows in their order, and `second` after them."""
    real = load_catalog()
    catalog = Catalog(models=[*real.models, *rows, SECOND], profiles=real.profiles)
    serves = {"text-to-speech": [*(row.id for row in rows), "second"]}

    @asynccontextmanager
    async def opened(settings: Settings, metrics: Metrics) -> AsyncIterator[Host]:
        async with open_fake_host(settings, metrics) as host, open_bench(settings, catalog=catalog) as bench:
            yield replace(host, bench=replace(bench, parts=host.bench.parts))

    settings = Settings(home=home, cache=home / "cache", offline=True, serves=serves, _env_file=None, **fields)
    async with serve(settings, opened) as served:
        yield served
