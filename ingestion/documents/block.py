"""What a document reader gives: one block of content, where it stands, in reading order."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from tools.errors import TooLarge

Box = tuple[float, float, float, float]
"""Left, top, right, bottom as fractions of the page, 0..1; as in `tools.vision`, which the child need not import."""

Kind = Literal["text", "table", "caption", "picture"]


@dataclass(frozen=True)
class Bounds:
    """What a document may cost; the settings' limits as a plain class, so that the child need not import them."""

    pages: int = 2_000
    image_pixels: int = 64_000_000
    archive_ratio: float = 100.0
    archive_bytes: int = 512 * 1024**2


@dataclass(frozen=True)
class Block:
    """`heading` is the path of headings above it, `A > B`; `page` counts from 1; `box` is fractions of the page.

    A `caption` has `start` and `end` in seconds. A `picture` has no text yet but `image`, a bounded JPEG to look at.
    """

    kind: Kind
    text: str
    page: int | None = None
    heading: str | None = None
    box: Box | None = None
    start: float | None = None
    end: float | None = None
    image: bytes | None = None


class Headings:
    """The path of open headings; `open(level, title)` closes those of the same or a deeper level."""

    def __init__(self) -> None:
        self._open: list[tuple[float, str]] = []
        self._bare: list[str] = []

    def open(self, level: float, title: str) -> None:
        self._open = [each for each in self._open if each[0] < level]
        self._open.append((level, " ".join(title.split())[:200]))
        self._bare.append(self._open[-1][1])

    def or_bare(self, blocks: Iterator[Block], page: int | None = None) -> Iterator[Block]:
        """The blocks; when there are none, the headings themselves, for a page or document that has nothing else."""
        self._bare, empty = [], True
        for block in blocks:
            empty = False
            yield block
        if empty and self._bare:
            yield Block("text", "\n".join(self._bare), page=page, heading=self.path)

    @property
    def path(self) -> str | None:
        return " > ".join(title for _, title in self._open) or None


def bounded(pages: int, limit: int, what: str) -> int:
    """The number of pages, if it is within the limit."""
    if pages > limit:
        raise TooLarge(
            f"The document has {pages:,} {what}; {limit:,} are allowed.",
            remedy="Split it, or raise SUTRADHAR_LIMITS__PAGES.",
        )
    return pages


def union(boxes: list[Box]) -> Box | None:
    """The smallest box around all of them."""
    if not boxes:
        return None
    left, top, right, bottom = zip(*boxes, strict=True)
    return min(left), min(top), max(right), max(bottom)
