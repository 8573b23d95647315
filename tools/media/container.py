"""Which container a file is, by its first bytes and never by its name; opened with that one demuxer and no other.

FFmpeg's own probing also recognises playlists and concat scripts, which name other files: a text file called `.mp4`
then reads its neighbour. A forced demuxer cannot.
"""

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tools.errors import TooLarge, UnsupportedMedia

if TYPE_CHECKING:
    from av.container import InputContainer


@dataclass(frozen=True)
class Bounds:
    """What a medium may be, checked before decoding; a plain class, so that the child need not import our settings."""

    size: int = 8 * 1024**3
    pixels: int = 3840 * 2160
    seconds: float = 7_200.0
    frame_rate: float = 240.0
    streams: int = 16


READABLE = "MP4, MOV, MKV, WebM, AVI, MP3, AAC, WAV, FLAC or Ogg"
HEAD = 4096
_STILL = {b"avif", b"avis", b"heic", b"heix", b"hevc", b"mif1", b"msf1"}
_BEYOND = 1.0002
"""Share of its limit that a medium may last: of two hours the last picture or sound ends a moment late."""
_ATOMS = {b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot"}


def sniff(head: bytes, name: str = "The file") -> str:
    """The FFmpeg demuxer for a file that begins with these bytes; raises `UnsupportedMedia` for anything else."""
    demuxer = _demuxer(head)
    if demuxer:
        return demuxer
    raise UnsupportedMedia(f"{name} is not a video or sound that we open: {_guess(head)}.", remedy=f"Send {READABLE}.")


def admits(head: bytes) -> bool:
    """Whether a file that begins with these bytes is a video or sound that we open."""
    return _demuxer(head) is not None


def _demuxer(head: bytes) -> str | None:
    if head[4:8] in _ATOMS:
        return None if head[4:8] == b"ftyp" and head[8:12] in _STILL else "mp4"
    if head[:4] == b"\x1aE\xdf\xa3":
        return "matroska"
    if head[:4] in {b"RIFF", b"RF64"}:
        return {b"AVI ": "avi", b"WAVE": "wav"}.get(head[8:12])
    if head[:4] in {b"fLaC", b"OggS"}:
        return {b"fLaC": "flac", b"OggS": "ogg"}[head[:4]]
    if head[:3] == b"ID3":
        return _after_id3(head)
    return _elementary(head)


def _after_id3(head: bytes) -> str:
    """An ID3 tag stands before MP3 nearly always, before ADTS or FLAC now and then."""
    if len(head) < 10:
        return "mp3"
    size = sum((byte & 0x7F) << shift for byte, shift in zip(head[6:10], (21, 14, 7, 0), strict=True))
    rest = head[10 + size :]
    if rest[:4] == b"fLaC":
        return "flac"
    return _elementary(rest) or "mp3"


def _elementary(head: bytes) -> str | None:
    """MP3 and ADTS have no header of their own, only frame syncs; a UTF-16 byte order mark looks like one."""
    if len(head) < 4 or head[0] != 0xFF or head[1] & 0xE0 != 0xE0:
        return None
    word = struct.unpack(">I", head[:4])[0]
    version, layer, rate = word >> 19 & 3, word >> 17 & 3, word >> 10 & 3
    if layer == 0 and head[1] & 0xF0 == 0xF0:
        return "aac" if (word >> 10 & 15) < 13 else None
    bitrate = word >> 12 & 15
    return "mp3" if layer in {1, 2} and version != 1 and rate != 3 and bitrate not in {0, 15} else None


def _guess(head: bytes) -> str:
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n")
    known = {
        b"ffconcat": "a concat script, which names other files",
        b"#EXTM3U": "a playlist, which names other files",
        b"%PDF": "a PDF document",
        b"PK\x03\x04": "an archive or office document",
        b"\x89PNG": "a still image",
        b"\xff\xd8\xff": "a still image",
        b"<": "markup",
    }
    if not head:
        return "it is empty"
    if head[4:8] == b"ftyp":
        return "it is a still image"
    found = next((what for magic, what in known.items() if text.startswith(magic)), None)
    return f"it is {found}" if found else f"it begins with {head[:8]!r}"


def quiet() -> None:
    """Keep FFmpeg's chatter about damaged streams away; what matters is raised. Process-wide: for decoding children.

    PyAV's own listener wants the interpreter lock, which whoever closes a threaded decoder holds while it waits for the
    very threads that have something to say: the process then stands still for good.
    """
    import av

    av.logging.restore_default_callback()
    av.logging.set_libav_level(av.logging.FATAL)


def head_of(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(HEAD)


def open_safely(path: Path, bounds: Bounds) -> "InputContainer":
    """The medium opened with its own demuxer, after every limit was checked and before any frame is decoded.

    Raises `UnsupportedMedia` or `TooLarge`.
    """
    import av

    size = path.stat().st_size
    if size > bounds.size:
        raise TooLarge(f"The file has {size:,} bytes; the limit is {bounds.size:,}.", remedy="Split it.")
    demuxer = sniff(head_of(path))
    options = {"max_pixels": str(bounds.pixels), "max_streams": str(bounds.streams * 4)}
    try:
        container = av.open(str(path), mode="r", format=demuxer, options=options, metadata_errors="replace")
    except (av.error.FFmpegError, ValueError) as error:
        raise UnsupportedMedia(_why(error, demuxer), remedy="Check that the upload is whole, or convert it.") from error
    try:
        _check(container, bounds)
    except BaseException:
        container.close()
        raise
    return container


def _why(error: Exception, demuxer: str) -> str:
    if "Invalid data" in str(error) and demuxer == "mp4":
        return "The file begins like MP4 but has no readable index (moov): it is cut off or damaged."
    reason = getattr(error, "strerror", None) or type(error).__name__
    return f"The file begins like {demuxer} but cannot be opened: {reason}."


def _check(container: "InputContainer", bounds: Bounds) -> None:
    tracks = len(container.streams.video) + len(container.streams.audio)
    if tracks == 0:
        raise UnsupportedMedia("The file holds neither a picture nor a sound track.", remedy=f"Send {READABLE}.")
    if tracks > bounds.streams:
        raise TooLarge(f"The file has {tracks} tracks; the limit is {bounds.streams}.", remedy="Keep the needed ones.")
    seconds = (container.duration or 0) / 1_000_000
    if seconds > bounds.seconds * _BEYOND:
        raise TooLarge(f"The medium lasts {seconds:.0f} s; the limit is {bounds.seconds:.0f} s.", remedy="Split it.")
    for stream in container.streams.video:
        context = stream.codec_context
        if context.width * context.height > bounds.pixels:
            raise TooLarge(
                f"The picture is {context.width}x{context.height}; the limit is {bounds.pixels:,} pixels.",
                remedy="Scale it down.",
            )
        rate = float(stream.average_rate or 0)
        if rate > bounds.frame_rate:
            raise TooLarge(f"The video has {rate:.0f} frames a second; the limit is {bounds.frame_rate:.0f}.")
