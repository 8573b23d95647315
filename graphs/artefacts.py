"""Files that agents make: kept like any medium, owned by the tenant that asked."""

from collections.abc import AsyncIterator

from graphs.events import Artefact
from knowledge.library import LIBRARY
from tools.bench import Bench


async def keep(bench: Bench, name: str, media_type: str, data: bytes) -> Artefact:
    """Keep a file; the same bytes twice are one file, so a step that runs again makes no second one."""
    media = await bench.media.put(_once(data), name=name)
    await bench.part(LIBRARY).own(bench.tenant, media.sha256, name)
    return Artefact(name=name, media=media.sha256, media_type=media_type, size=media.size)


async def _once(data: bytes) -> AsyncIterator[bytes]:
    yield data
