"""PDF: paragraphs with their boxes and headings; a page without text becomes a picture to read."""

import ctypes
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ingestion.documents.block import Block, Bounds, Box, Headings, bounded, union
from ingestion.documents.picture import jpeg
from tools.errors import UnsupportedMedia

_SAMPLE_PAGES = 10
_HEADING_RATIO = 1.15
_HEADING_WORDS = 20
_CHARACTERS = 200_000
_RENDER_SIDE = 2_000
# what pdfium gives for a hyphen that ends a line, together with the line break
_HYPHEN = "\x02"


@dataclass(frozen=True)
class _Line:
    text: str
    size: float
    box: Box

    @property
    def height(self) -> float:
        return self.box[3] - self.box[1]


def read_pdf(path: Path, name: str, bounds: Bounds) -> Iterator[Block]:
    """Paragraphs page by page. Scripts, forms, links and attachments are never looked at."""
    import pypdfium2

    try:
        pdf = pypdfium2.PdfDocument(path)
    except pypdfium2.PdfiumError as error:
        if "password" in str(error).lower():
            raise UnsupportedMedia(f"{name!r} is encrypted.", remedy="Remove its password and try again.") from error
        raise UnsupportedMedia(f"{name!r} is a broken PDF: {error}.", remedy="Save or upload it again.") from error
    with pdf:
        pages = bounded(len(pdf), bounds.pages, "pages")
        sample = [line for n in range(min(pages, _SAMPLE_PAGES)) for line in _page_lines(pdf, n)]
        body, headings = _body_size(sample), Headings()
        for number in range(pages):
            lines = _page_lines(pdf, number)
            if lines:
                yield from headings.or_bare(_paragraphs(lines, number + 1, body, headings), number + 1)
            else:
                image = _render(pdf, number)
                if image is not None:
                    yield Block("picture", "", page=number + 1, heading=headings.path, image=image)


def _body_size(lines: list[_Line]) -> float:
    sizes = Counter[float]()
    for line in lines:
        sizes[round(line.size, 1)] += len(line.text)
    return sizes.most_common(1)[0][0] if sizes else 0.0


def _page_lines(pdf: Any, number: int) -> list[_Line]:
    import pypdfium2

    try:
        page = pdf[number]
        text = page.get_textpage()
    except pypdfium2.PdfiumError:
        return []
    try:
        return [line for start, end in _spans(text) if (line := _line(text, start, end, page.get_bbox()))]
    finally:
        text.close()
        page.close()


def _spans(text: Any) -> Iterator[tuple[int, int]]:
    from pypdfium2 import raw

    count, start = min(text.count_chars(), _CHARACTERS), 0
    for index in range(count):
        if raw.FPDFText_GetUnicode(text, index) in {10, ord(_HYPHEN)}:
            yield start, index + 1
            start = index + 1
    yield start, count


def _line(text: Any, start: int, end: int, page: tuple[float, float, float, float]) -> _Line | None:
    from pypdfium2 import raw

    codes, sizes, boxes = list[int](), Counter[float](), list[Box]()
    left, bottom, right, top = page
    width, height = max(right - left, 1e-6), max(top - bottom, 1e-6)
    edges = [ctypes.c_double() for _ in range(4)]
    for index in range(start, end):
        code = raw.FPDFText_GetUnicode(text, index)
        codes.append(code)
        if (code > 32 or code == ord(_HYPHEN)) and raw.FPDFText_GetCharBox(text, index, *edges):
            x0, x1, y0, y1 = (edge.value for edge in edges)
            boxes.append(((x0 - left) / width, (top - y1) / height, (x1 - left) / width, (top - y0) / height))
            sizes[round(raw.FPDFText_GetFontSize(text, index), 1)] += 1
    words = _decode(codes)
    around = union(boxes)
    if not words or around is None:
        return None
    a, b, c, d = (round(min(max(edge, 0.0), 1.0), 4) for edge in around)
    return _Line(words, sizes.most_common(1)[0][0], (a, b, c, d))


def _decode(codes: list[int]) -> str:
    # pdfium counts in UTF-16 units: a character beyond the first plane comes as two
    units = b"".join(code.to_bytes(2, "little") for code in codes if 0 < code < 0x10000)
    text = units.decode("utf-16-le", errors="replace")
    return re.sub(r"[^\S\x02]+", " ", re.sub(r"[\x00\x01\x03-\x08\x0e-\x1f]", "", text)).strip()


def _paragraphs(lines: list[_Line], page: int, body: float, headings: Headings) -> Iterator[Block]:
    open_lines: list[_Line] = []
    for line in lines:
        is_heading = body > 0 and line.size >= body * _HEADING_RATIO and len(line.text.split()) <= _HEADING_WORDS
        if open_lines and (is_heading or not _continues(open_lines[-1], line)):
            yield _paragraph(open_lines, page, headings)
            open_lines = []
        if is_heading:
            # a larger letter is a higher heading, whatever the sizes are
            headings.open(-line.size, line.text)
        else:
            open_lines.append(line)
    if open_lines:
        yield _paragraph(open_lines, page, headings)


def _continues(above: _Line, line: _Line) -> bool:
    gap = line.box[1] - above.box[3]
    same_size = abs(line.size - above.size) <= 0.1 * max(above.size, 1.0)
    return same_size and -0.5 * above.height <= gap <= 0.9 * max(above.height, line.height)


def _paragraph(lines: list[_Line], page: int, headings: Headings) -> Block:
    text = ""
    for line in lines:
        text = text[:-1] + line.text if text.endswith(_HYPHEN) else f"{text} {line.text}"
    text = text.replace(_HYPHEN, "-").strip()
    return Block("text", text, page=page, heading=headings.path, box=union([line.box for line in lines]))


def _render(pdf: Any, number: int) -> bytes | None:
    import pypdfium2

    try:
        page = pdf[number]
        width, height = page.get_size()
        scale = min(_RENDER_SIDE / max(width, height, 1.0), 4.0)
        return jpeg(page.render(scale=scale).to_pil())
    except pypdfium2.PdfiumError:
        return None
