"""Word, PowerPoint and Excel. The archive has passed the guard: its size is bounded and it declares no entities."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

from ingestion.documents.block import Block, Bounds, Box, Headings, bounded
from ingestion.documents.table import table
from tools.errors import UnsupportedMedia

_LEVEL = re.compile(r"heading (\d)")
_COLUMNS = 256


def read_docx(path: Path, name: str, bounds: Bounds) -> Iterator[Block]:
    """Paragraphs and tables in the order of the body, under their headings."""
    import docx
    from docx.opc.exceptions import PackageNotFoundError

    try:
        document = docx.Document(str(path))
    except (PackageNotFoundError, KeyError, ValueError, BadZipFile) as error:
        raise _broken(name, error) from error
    headings = Headings()
    yield from headings.or_bare(_docx_blocks(document, headings))


def _docx_blocks(document: Any, headings: Headings) -> Iterator[Block]:
    from docx.table import Table

    for item in document.iter_inner_content():
        if isinstance(item, Table):
            yield from table(([cell.text for cell in row.cells] for row in item.rows), heading=headings.path)
        elif text := " ".join(item.text.split()):
            level = _level(item)
            if level is None:
                yield Block("text", text, heading=headings.path)
            else:
                headings.open(level, text)


def _level(paragraph: Any) -> int | None:
    style = ((paragraph.style and paragraph.style.name) or "").lower()
    found = _LEVEL.match(style)
    return int(found[1]) if found else 0 if style == "title" else None


def read_pptx(path: Path, name: str, bounds: Bounds) -> Iterator[Block]:
    """A slide is a page; its title is the heading; the notes stand after it."""
    import pptx
    from pptx.exc import PackageNotFoundError

    try:
        deck = pptx.Presentation(str(path))
    except (PackageNotFoundError, KeyError, ValueError, BadZipFile) as error:
        raise _broken(name, error) from error
    bounded(len(deck.slides), bounds.pages, "slides")
    size = (float(deck.slide_width or 1), float(deck.slide_height or 1))
    for number, slide in enumerate(deck.slides, 1):
        title = slide.shapes.title
        heading = " ".join(title.text_frame.text.split()) or None if title is not None else None
        title_id = None if title is None else title.shape_id
        blocks = [b for s in slide.shapes if s.shape_id != title_id for b in _shape(s, number, heading, size)]
        if slide.has_notes_slide and slide.notes_slide.notes_text_frame is not None:
            notes = " ".join(slide.notes_slide.notes_text_frame.text.split())
            blocks += [Block("text", f"Notes: {notes}", page=number, heading=heading)] if notes else []
        # a slide that is nothing but its title is still something that was shown
        yield from blocks or ([Block("text", heading, page=number)] if heading else [])


def _shape(shape: Any, page: int, heading: str | None, size: tuple[float, float]) -> Iterator[Block]:
    if shape.shape_type is not None and hasattr(shape, "shapes"):
        for inner in shape.shapes:
            yield from _shape(inner, page, heading, size)
    elif getattr(shape, "has_table", False):
        yield from table(([cell.text for cell in row.cells] for row in shape.table.rows), page=page, heading=heading)
    elif shape.has_text_frame and (text := " ".join(shape.text_frame.text.split())):
        yield Block("text", text, page=page, heading=heading, box=_box(shape, size))


def _box(shape: Any, size: tuple[float, float]) -> Box | None:
    if None in (shape.left, shape.top, shape.width, shape.height):
        return None
    left, top = shape.left / size[0], shape.top / size[1]
    edges = (left, top, left + shape.width / size[0], top + shape.height / size[1])
    a, b, c, d = (round(min(max(edge, 0.0), 1.0), 4) for edge in edges)
    return a, b, c, d


def read_xlsx(path: Path, name: str, bounds: Bounds) -> Iterator[Block]:
    """A sheet is a page and a heading; formulas are read as their last values."""
    import openpyxl
    from openpyxl.utils.exceptions import InvalidFileException

    try:
        with path.open("rb") as file:
            book = openpyxl.load_workbook(file, read_only=True, data_only=True, keep_links=False)
            bounded(len(book.worksheets), bounds.pages, "sheets")
            for number, sheet in enumerate(book.worksheets, 1):
                # the declared size may lie in both directions
                sheet.reset_dimensions()
                rows = sheet.iter_rows(max_col=_COLUMNS, values_only=True)
                yield from table(rows, page=number, heading=sheet.title)
    except (InvalidFileException, KeyError, ValueError, TypeError, BadZipFile) as error:
        raise _broken(name, error) from error


def _broken(name: str, error: Exception) -> UnsupportedMedia:
    return UnsupportedMedia(
        f"{name!r} is not a readable office document: {str(error)[:200]}.", remedy="Save it again and upload it."
    )
