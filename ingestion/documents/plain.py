"""Plain text, subtitles and comma-separated tables."""

import csv
import html
import io
import re
import unicodedata
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from ingestion.documents.block import Block, Bounds
from ingestion.documents.table import table
from tools.errors import UnsupportedMedia

_BOMS = (
    (b"\xef\xbb\xbf", "utf-8-sig"),
    (b"\xff\xfe\x00\x00", "utf-32"),
    (b"\xff\xfe", "utf-16"),
    (b"\xfe\xff", "utf-16"),
)
_CUE = re.compile(r"(?:(\d+):)?(\d{1,2}):(\d{2})[.,](\d{1,3})\s*-->\s*(?:(\d+):)?(\d{1,2}):(\d{2})[.,](\d{1,3})")
_MARKUP = re.compile(r"<[^>\n]{0,200}>|\{\\[^}\n]{0,200}\}")
_ROWS = 500_000


def decode_text(data: bytes, *, whole: bool = True) -> str | None:
    """Bytes as text, or None when they are not text: by byte-order mark, as UTF-8, else as cp1252 or Latin-1.

    `whole` is false for a head of a file, whose last character may be cut in two.
    """
    for mark, encoding in _BOMS:
        if data.startswith(mark):
            return data.decode(encoding, errors="replace")
    if b"\x00" in data:
        return None
    for encoding in ("utf-8", "cp1252", "latin-1"):
        try:
            text = data.decode(encoding)
        except UnicodeDecodeError as error:
            if encoding == "utf-8" and not whole and error.start >= len(data) - 3:
                text = data[: error.start].decode()
            else:
                continue
        return text if _is_text(text) else None
    return None


def _is_text(text: str) -> bool:
    odd = sum(1 for c in text[:4096] if unicodedata.category(c) in {"Cc", "Cn"} and c not in "\t\n\r\f\v\x1b")
    return odd <= len(text[:4096]) // 200


def load_text(path: Path, name: str) -> str:
    """The whole file as text; raises `UnsupportedMedia` when it is not text."""
    text = decode_text(path.read_bytes())
    if text is None:
        raise UnsupportedMedia(f"{name!r} is not text.", remedy="Save it as UTF-8 text.")
    return text.replace("\r\n", "\n").replace("\r", "\n").replace("\f", "\n\n")


def read_text(path: Path, name: str, bounds: Bounds) -> Iterator[Block]:
    """Paragraphs, which empty lines part."""
    for paragraph in re.split(r"\n[ \t]*\n", load_text(path, name)):
        if text := " ".join(paragraph.split()):
            yield Block("text", text)


def read_csv(path: Path, name: str, bounds: Bounds) -> Iterator[Block]:
    """Rows grouped under their header."""
    text = load_text(path, name)
    try:
        dialect: type[csv.Dialect] | csv.Dialect = csv.Sniffer().sniff(text[:8192], delimiters=",;\t|")
    except csv.Error:
        dialect = csv.excel
    try:
        yield from table(islice(csv.reader(io.StringIO(text), dialect), _ROWS))
    except csv.Error as error:
        raise UnsupportedMedia(f"{name!r} is not a readable table: {error}.", remedy="Export it again.") from error


def read_subtitles(path: Path, name: str, bounds: Bounds) -> Iterator[Block]:
    """SubRip and WebVTT cues, in seconds."""
    for cue in re.split(r"\n[ \t]*\n", load_text(path, name)):
        times = _CUE.search(cue)
        if times is None:
            continue
        start, end = _seconds(times.group(1, 2, 3, 4)), _seconds(times.group(5, 6, 7, 8))
        body = cue[times.end() :].partition("\n")[2]
        text = " ".join(html.unescape(_MARKUP.sub("", body)).split())
        if text and end >= start:
            yield Block("caption", text, start=start, end=end)


def _seconds(parts: tuple[str | None, ...]) -> float:
    hours, minutes, seconds, fraction = parts
    return int(hours or 0) * 3600 + int(minutes or 0) * 60 + int(seconds or 0) + float(f"0.{fraction}")
