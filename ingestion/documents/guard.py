"""What a file is, by its bytes, and whether it may be opened. Nothing is unpacked or parsed before this."""

import re
import zipfile
from pathlib import Path, PurePosixPath
from typing import Literal

from ingestion.documents.block import Bounds
from tools.errors import TooLarge, UnsupportedMedia

Format = Literal["pdf", "docx", "pptx", "xlsx", "html", "markdown", "text", "subtitles", "csv", "image"]

_HEAD = 64 * 1024
_ENTRIES = 20_000
_SMALL = 1 << 20
_IMAGES = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF87a", b"GIF89a", b"BM", b"II*\x00", b"MM\x00*")
_OFFICE: dict[str, Format] = {
    "word/document.xml": "docx",
    "ppt/presentation.xml": "pptx",
    "xl/workbook.xml": "xlsx",
}
_TEXTS: dict[str, Format] = {".md": "markdown", ".markdown": "markdown", ".csv": "csv", ".tsv": "csv"}
_NOT_TEXT = {
    *(".mp4", ".m4v", ".mov", ".avi", ".mkv", ".webm", ".mp3", ".aac", ".m4a", ".wav", ".flac", ".ogg", ".opus"),
    *(".pdf", ".docx", ".pptx", ".xlsx", ".png", ".jpg", ".jpeg", ".webp", ".gif", ".bmp", ".tif", ".tiff"),
}
_SRT = re.compile(r"^\s*\d+\s*\n\s*\d+:\d\d:\d\d[,.]\d+ --> ")
_HTML = re.compile(r"^\s*(<!--.*?-->\s*)*<(!doctype html|html|head|body)\b", re.IGNORECASE | re.DOTALL)
_XML = re.compile(
    r"^\s*<\?xml\b[^>]*>\s*(<!--.*?-->\s*)*(<!DOCTYPE[^>\[]*\[|<!DOCTYPE svg|<svg\b)|^\s*<svg\b", re.DOTALL
)


def find_format(path: Path, name: str) -> Format | None:
    """The document format of a file, or None when it is not a document.

    `name` only tells kinds of plain text apart (Markdown, CSV), which are equally harmless. Raises `UnsupportedMedia`
    for a document that is recognised and refused.
    """
    with path.open("rb") as file:
        head = file.read(_HEAD)
    if head.lstrip()[:5] == b"%PDF-" or b"%PDF-" in head[:1024]:
        return "pdf"
    if head.startswith(_IMAGES) or (head[:4] == b"RIFF" and head[8:12] == b"WEBP"):
        return "image"
    if head.startswith(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"):
        raise UnsupportedMedia(
            f"{name!r} is an encrypted or an old binary Office file.",
            remedy="Remove its password, or save it as .docx, .pptx or .xlsx.",
        )
    if head.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return _office(path, name)
    return _text(head, name)


def _office(path: Path, name: str) -> Format:
    try:
        with zipfile.ZipFile(path) as archive:
            names = set(archive.namelist())
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        raise UnsupportedMedia(f"{name!r} is a broken archive: {error}.", remedy="Save or upload it again.") from error
    for part, format in _OFFICE.items():
        if part in names:
            return format
    raise UnsupportedMedia(
        f"{name!r} is an archive, but not a Word, PowerPoint or Excel document.",
        remedy="Unpack it and ingest the files.",
    )


def _text(head: bytes, name: str) -> Format | None:
    from ingestion.documents.plain import decode_text

    text = decode_text(head, whole=len(head) < _HEAD)
    if text is None:
        return None
    suffix = PurePosixPath(name).suffix.lower()
    if suffix in _NOT_TEXT:
        raise UnsupportedMedia(
            f"{name!r} is plain text, not what its name says.", remedy="Upload the file itself, or rename it to .txt."
        )
    if _XML.search(text):
        raise UnsupportedMedia(
            f"{name!r} is an SVG, or XML that declares entities, and is not opened.",
            remedy="Export it as PDF, PNG or plain text.",
        )
    if text.lstrip("\ufeff").startswith("WEBVTT") or _SRT.search(text.lstrip("\ufeff").replace("\r\n", "\n")):
        return "subtitles"
    if _HTML.search(text) or (suffix in {".html", ".htm", ".xhtml"}):
        return "html"
    return _TEXTS.get(suffix, "text")


def check_archive(path: Path, name: str, bounds: Bounds) -> None:
    """Refuse an office document that would unpack to too much, is encrypted, or declares XML entities.

    The sizes come from the directory and bind: `zipfile` never reads past a declared size.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            _check_sizes(archive.infolist(), name, bounds)
            for entry in archive.infolist():
                if entry.filename.endswith((".xml", ".rels", ".vml")):
                    _check_entities(archive, entry, name)
    except (zipfile.BadZipFile, EOFError, OSError, ValueError, NotImplementedError) as error:
        raise UnsupportedMedia(f"{name!r} is a broken archive: {error}.", remedy="Save or upload it again.") from error


def _check_sizes(entries: list[zipfile.ZipInfo], name: str, bounds: Bounds) -> None:
    total = sum(entry.file_size for entry in entries)
    worst = max((e.file_size / max(e.compress_size, 1) for e in entries if e.file_size > _SMALL), default=0.0)
    if any(entry.flag_bits & 1 for entry in entries):
        raise UnsupportedMedia(f"{name!r} is encrypted.", remedy="Remove its password and upload it again.")
    if len(entries) > _ENTRIES:
        raise TooLarge(f"{name!r} holds {len(entries):,} files; {_ENTRIES:,} are allowed.", remedy="Split it.")
    if total > bounds.archive_bytes:
        raise TooLarge(
            f"{name!r} would unpack to {total:,} bytes; {bounds.archive_bytes:,} are allowed.",
            remedy="Split it, or raise SUTRADHAR_LIMITS__ARCHIVE_BYTES.",
        )
    if worst > bounds.archive_ratio:
        raise TooLarge(
            f"{name!r} is compressed {worst:,.0f} times; {bounds.archive_ratio:g} is the limit.",
            remedy="Save it again, or raise SUTRADHAR_LIMITS__ARCHIVE_RATIO.",
        )


def _check_entities(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, name: str) -> None:
    # office documents have no document type; without one there are no entities, in whatever parser comes later
    tail = b""
    with archive.open(entry) as part:
        while chunk := part.read(1 << 20):
            # the zero bytes of UTF-16 are dropped so that the encoding cannot hide it
            seen = (tail + chunk).replace(b"\x00", b"")
            if b"<!DOCTYPE" in seen or b"<!ENTITY" in seen:
                raise UnsupportedMedia(
                    f"{name!r} declares XML entities in {entry.filename!r}, which office documents never do.",
                    remedy="Save it again with an office program.",
                )
            tail = chunk[-32:]
