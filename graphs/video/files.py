"""The files that come of a video: storyboard, chapters, subtitles, the timeline, the report."""

import asyncio
import io
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from graphs.artefacts import keep
from graphs.events import Artefact
from graphs.video.sayings import heard
from graphs.video.state import Chapter, Scene
from ingestion.timeline import Timeline
from knowledge.segment import moment
from tools.bench import Bench
from tools.errors import NotFound, SutradharError
from tools.publish import MEDIA_TYPES, Published, render
from tools.speech.subtitles import Cue, readable, srt, vtt

if TYPE_CHECKING:
    from PIL import Image

_PICTURES = 24
_COLUMNS = 4
_WIDTH, _HEIGHT, _LABEL, _GAP = 320, 180, 26, 8


def cues_of(timeline: Timeline) -> list[Cue]:
    """What is said, in cues of a readable length; a long segment is cut between its words, evenly over its time."""
    found = list[Cue]()
    for each in heard(timeline):
        start = each.start or 0.0
        end = max(each.end or start, start + 0.5)
        text = " ".join(each.text.split())
        found += readable(Cue(start, end, text), _spread(start, end, text))
    return found


def _spread(start: float, end: float, text: str) -> list[Cue]:
    """Words with times by their letters, where the recogniser told none."""
    words, at = text.split(), 0
    found = list[Cue]()
    for word in words:
        first = start + (end - start) * at / max(len(text), 1)
        at += len(word) + 1
        found.append(Cue(first, start + (end - start) * min(at / max(len(text), 1), 1.0), word))
    return found


async def subtitles(bench: Bench, timeline: Timeline, name: str) -> list[Artefact]:
    cues = cues_of(timeline)
    if not cues:
        return []
    return [
        await keep(bench, f"{name}.vtt", "text/vtt", vtt(cues).encode()),
        await keep(bench, f"{name}.srt", "application/x-subrip", srt(cues).encode()),
    ]


async def chapter_marks(bench: Bench, chapters: Sequence[Chapter], name: str) -> Artefact:
    """WebVTT chapters, as players show them."""
    marks = vtt([Cue(each.start, each.end, each.title) for each in chapters])
    return await keep(bench, f"{name}-chapters.vtt", "text/vtt", marks.encode())


async def timeline_file(bench: Bench, timeline: Timeline, name: str) -> Artefact:
    return await keep(bench, f"{name}-timeline.json", "application/json", timeline.model_dump_json(indent=1).encode())


async def report(bench: Bench, markdown: str, title: str, language: str, name: str) -> tuple[list[Artefact], list[str]]:
    """The text as Markdown, HTML and PDF, and why one of them could not be made."""
    made, missed = [await keep(bench, f"{name}.md", "text/markdown", markdown.encode())], list[str]()
    kinds: tuple[Published, ...] = ("html", "pdf")
    for kind in kinds:
        try:
            data = await render(markdown, kind, title, language)
            made.append(await keep(bench, f"{name}.{kind}", MEDIA_TYPES[kind], data))
        except SutradharError as error:
            missed.append(f"There is no {kind.upper()}: {error.message}")
    return made, missed


async def storyboard(bench: Bench, scenes: Sequence[Scene], name: str) -> Artefact | None:
    """One picture of the scenes with their times; of many scenes every so-manyth."""
    shown = [each for each in scenes if each.image]
    step = max(len(shown) / _PICTURES, 1.0)
    chosen = [shown[int(at * step)] for at in range(min(len(shown), _PICTURES))]
    pictures = list[tuple[str, bytes]]()
    for each in chosen:
        try:
            data = await bench.media.read(each.image or "")
        except NotFound:
            continue
        pictures.append((f"{each.number}   {moment(each.start)} - {moment(each.end)}", data))
    if not pictures:
        return None
    drawn = await asyncio.to_thread(_grid, pictures)
    return await keep(bench, f"{name}-storyboard.jpg", "image/jpeg", drawn)


def _grid(pictures: Sequence[tuple[str, bytes]]) -> bytes:
    from PIL import Image, ImageDraw, ImageFont

    columns = min(_COLUMNS, len(pictures))
    rows = math.ceil(len(pictures) / columns)
    size = (columns * (_WIDTH + _GAP) + _GAP, rows * (_HEIGHT + _LABEL + _GAP) + _GAP)
    board = Image.new("RGB", size, "white")
    draw, font = ImageDraw.Draw(board), ImageFont.load_default(16)
    for at, (label, data) in enumerate(pictures):
        left = _GAP + at % columns * (_WIDTH + _GAP)
        top = _GAP + at // columns * (_HEIGHT + _LABEL + _GAP)
        picture = _fitted(data)
        draw.rectangle((left, top, left + _WIDTH - 1, top + _HEIGHT - 1), fill="#1b1b1b")
        board.paste(picture, (left + (_WIDTH - picture.width) // 2, top + (_HEIGHT - picture.height) // 2))
        draw.text((left + 2, top + _HEIGHT + 3), label, fill="#1b1b1b", font=font)
    out = io.BytesIO()
    board.save(out, "JPEG", quality=85)
    return out.getvalue()


def _fitted(data: bytes) -> "Image.Image":
    from PIL import Image

    picture: Image.Image = Image.open(io.BytesIO(data)).convert("RGB")
    picture.thumbnail((_WIDTH, _HEIGHT))
    return picture
