"""A document's blocks as segments: passages with their place, and what is to be seen on its pictures."""

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path

from ingestion.documents.block import Block, Bounds, union
from ingestion.documents.chunks import LONG, count_words, passages
from ingestion.documents.reader import Reader
from knowledge.segment import Made, Modality, Segment, segment_id
from tools.bench import Bench
from tools.errors import EngineFailed, NotInstalled, UnsupportedMedia
from tools.isolation import Limits
from tools.isolation.process import spawn
from tools.looking import DetectInput, FaceInput, ReadInput, SeenText, find_faces, find_objects, read_text
from tools.media.store import Media

VERSION = "1"
_SURE = 0.5
_MODALITIES: dict[str, Modality] = {"text": "page", "table": "table", "caption": "caption", "picture": "image"}


@dataclass(frozen=True)
class _Read:
    """A block, who read it, and the picture it was read from."""

    block: Block
    model: str = "reader"
    image: str | None = None


async def document_segments(
    media: Media, bench: Bench, knowledge_base: str, progress: Callable[[str], None]
) -> list[Segment]:
    """Every passage, table, caption and picture of a document, in reading order; `progress` hears the pages go by.

    Raises `UnsupportedMedia` or `TooLarge` for what cannot be opened, and `NotInstalled` for a scan without OCR.
    """
    read = list[_Read]()
    async with aclosing(_blocks(media, bench)) as blocks:
        async for block in blocks:
            progress(f"page {block.page}" if block.page else f"{len(read) + 1} parts")
            read += await _look(block, media, bench) if block.kind == "picture" else [_Read(block)]
    if not read:
        raise UnsupportedMedia(f"There is nothing to read in {media.name!r}.", remedy="Is it the right file?")
    return _segments(read, media.sha256, knowledge_base)


async def _blocks(media: Media, bench: Bench) -> AsyncGenerator[Block, None]:
    limits = bench.settings.limits
    bounds = Bounds(limits.pages, limits.image_pixels, limits.archive_ratio, limits.archive_bytes)
    options = {"path": await bench.media.local(media.sha256), "name": media.name, "bounds": bounds}
    walls = Limits(memory=limits.child_memory, cpu_seconds=limits.child_seconds, network=False)
    try:
        async with (
            asyncio.timeout(limits.child_seconds),
            spawn("ingestion.documents.reader:Reader", options=options, limits=walls) as child,
        ):
            async for block in child.stream(Reader.read):
                yield block
    except TimeoutError as error:
        raise UnsupportedMedia(
            f"{media.name!r} could not be read within {limits.child_seconds:g} s.", remedy="Split it."
        ) from error
    except EngineFailed as error:
        # a parser that dies of a file will die of it again: the file is refused, not retried
        raise UnsupportedMedia(
            f"{media.name!r} could not be read: its reader ended ({error.message.splitlines()[0][:200]}).",
            remedy="Save it again in a newer program, or split it.",
        ) from error


async def _look(block: Block, media: Media, bench: Bench) -> list[_Read]:
    ref = await bench.media.derive(media.sha256, f"pages/{block.page or 1}.jpg", block.image or b"")
    seen = await bench.call(read_text, ReadInput(images=[ref]))
    lines = [line for line in seen.images[0].lines if line.confidence >= _SURE and line.text.strip()]
    bare = replace(block, image=None)
    if block.page is not None:
        return [_Read(part, seen.model, ref) for part in paragraphs(lines, bare)]
    text = " ".join(line.text for line in lines)
    things = await _things(ref, bench)
    said = [*things, f"Text: {text}" if text else ""]
    described = ". ".join(each for each in said if each) or f"Image {Path(media.name).stem}"
    if count_words(text) <= LONG:
        return [_Read(replace(bare, text=described), seen.model, ref)]
    summary = replace(bare, text=". ".join(things) or f"Image {Path(media.name).stem} with text")
    return [_Read(each, seen.model, ref) for each in (summary, *paragraphs(lines, bare))]


async def _things(ref: str, bench: Bench) -> list[str]:
    said = list[str]()
    try:
        objects = (await bench.call(find_objects, DetectInput(images=[ref]))).images[0].objects
        counted = Counter(each.label for each in objects if each.confidence >= _SURE)
        names = ", ".join(f"{count} x {label}" if count > 1 else label for label, count in counted.items())
        said += [f"Objects: {names}"] if names else []
        faces = (await bench.call(find_faces, FaceInput(images=[ref]))).images[0].faces
        said += [f"Faces: {len(faces)}"] if faces else []
    except NotInstalled:
        # a profile without a detector still reads the text on the picture
        pass
    return said


def paragraphs(lines: list[SeenText], page: Block) -> list[Block]:
    """Lines that stand close together, as text blocks with their place on the page."""
    groups = list[list[SeenText]]()
    for line in lines:
        above = groups[-1][-1].box if groups else None
        if above is not None and line.box[1] - above[3] <= 0.8 * max(above[3] - above[1], 1e-3):
            groups[-1].append(line)
        else:
            groups.append([line])
    return [
        replace(page, kind="text", text=" ".join(each.text for each in group), box=union([each.box for each in group]))
        for group in groups
    ]


def _segments(read: list[_Read], sha: str, knowledge_base: str) -> list[Segment]:
    segments, count = list[Segment](), Counter[int | None]()
    # neighbours that were read the same way go together: a passage never mixes print and OCR
    for (model, image), run in groupby(read, key=lambda each: (each.model, each.image)):
        made = Made(model=model, version=VERSION)
        for block in passages(each.block for each in run):
            count[block.page] += 1
            modality = _MODALITIES[block.kind]
            where = f"page {block.page or 1}/{count[block.page]}"
            if block.kind == "caption":
                where = f"{block.start:.3f}-{block.end:.3f}"
            segment = Segment(
                id=segment_id(sha, modality, where, block.text),
                knowledge_base=knowledge_base,
                source=sha,
                modality=modality,
                text=block.text,
                start=block.start,
                end=block.end,
                page=block.page,
                heading=block.heading,
                box=block.box,
                image=image,
                made=made,
            )
            segments.append(segment)
    return segments
