"""Any file into memory: its first bytes decide whether it is watched, listened to or read."""

import asyncio
from pathlib import Path

from ingestion.remembering import fail_source
from ingestion.stages import OnProgress, Report, unheard
from ingestion.video import ingest_video
from tools.bench import Bench
from tools.errors import InvalidInput, NotFound, SutradharError
from tools.media.container import admits, head_of
from tools.media.store import Media


async def ingest(
    source: Path | Media,
    bench: Bench,
    *,
    knowledge_base: str = "default",
    name: str | None = None,
    progress: OnProgress = unheard,
) -> Report:
    """Learn a video, a sound recording or a document, from a path or from the media store.

    Raises `UnsupportedMedia` for what is none of these and `TooLarge` beyond the limits.
    """
    media = source if isinstance(source, Media) else await _put(source, bench, name)
    head = await asyncio.to_thread(head_of, await bench.media.local(media.sha256))
    title = name or media.name
    # documents bring parsers of their own, which a video does not need
    from ingestion.documents import ingest_document

    work = ingest_video if admits(head) else ingest_document
    try:
        return await work(media, bench, knowledge_base=knowledge_base, name=title, progress=progress)
    except SutradharError as error:
        await fail_source(media, title, bench, knowledge_base, error)
        raise


async def _put(path: Path, bench: Bench, name: str | None) -> Media:
    if not await asyncio.to_thread(path.exists):
        raise NotFound(f"There is no file {str(path)!r}.", param="path")
    if not await asyncio.to_thread(path.is_file):
        raise InvalidInput(f"{str(path)!r} is not a file.", remedy="Give a file, or its folder's files one by one.")
    return await bench.media.put(path, name=name or path.name)
