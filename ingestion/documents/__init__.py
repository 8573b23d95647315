"""Documents into memory: read in a limited child, cut into passages, remembered with page, heading and box."""

from ingestion.documents.segments import VERSION, document_segments
from ingestion.remembering import Writer, finish_source, remembered, start_source
from ingestion.stages import OnProgress, Progress, Report, Stages, count, in_base, once, unheard
from knowledge.segment import Segment
from tools.bench import Bench
from tools.media.store import Media


async def ingest_document(
    media: Media, bench: Bench, *, knowledge_base: str, name: str | None = None, progress: OnProgress = unheard
) -> Report:
    """Learn what a document says and shows.

    Raises `UnsupportedMedia` or `TooLarge` for a document that is refused, `NotInstalled` for a scan without OCR.
    """
    title = name or media.name
    before = await remembered(media.sha256, bench, knowledge_base, VERSION)
    if before is not None:
        return before
    stages = Stages(progress)
    await start_source(media, title, bench, knowledge_base)
    async with Writer(bench, stages) as writer:
        segments = await read_stage(media, bench, knowledge_base, stages)
        await writer.write(segments)
    report = Report(
        source=media.sha256,
        name=title,
        knowledge_base=knowledge_base,
        segments=count(writer.written),
        stages=stages.reports,
    )
    await finish_source(media, title, bench, report, VERSION)
    return report


async def read_stage(media: Media, bench: Bench, knowledge_base: str, stages: Stages) -> list[Segment]:
    """The document's segments; read once per content."""

    def tell(note: str) -> None:
        stages.progress(Progress(stage="read", note=note))

    async with stages.stage("read", needed=True):
        made = await once(
            bench, media.sha256, "read", VERSION, lambda: document_segments(media, bench, knowledge_base, tell)
        )
    return in_base(made, knowledge_base)
