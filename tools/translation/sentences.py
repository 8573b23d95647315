"""A text in sentences that can be put together again with everything that stood between them."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from tools.writing.text import is_abbreviated

_END = re.compile(r"(?:[।॥۔؟。！？]+|[.?!…]+(?=[\"'”’)\]»]*(?:\s|$)))[\"'”’)\]»]*\s*|\s*\n\s*")
_LETTER = re.compile(r"[^\W\d_]")


@dataclass(frozen=True)
class Sentences:
    """`parts` alternate: what stands between sentences (white space, line breaks), then a sentence, and so on."""

    parts: tuple[str, ...]

    @property
    def texts(self) -> list[str]:
        """The sentences that have words; others, such as a line of dashes, stay as they are."""
        return [part for part in self.parts[1::2] if _LETTER.search(part)]

    def filled(self, translated: Sequence[str]) -> str:
        """The text with translations in place of `texts`."""
        rest = iter(translated)
        return "".join(next(rest) if n % 2 and _LETTER.search(part) else part for n, part in enumerate(self.parts))


def split(text: str) -> Sentences:
    """Sentences end with their mark, or with the line."""
    parts, start = [""], 0
    for end in _END.finditer(text):
        if _goes_on(text, start, end):
            continue
        _add(parts, text[start : end.end()])
        start = end.end()
    if start < len(text):
        _add(parts, text[start:])
    return Sentences(tuple(parts))


def _goes_on(text: str, start: int, end: re.Match[str]) -> bool:
    if "\n" in end[0] or not end[0].startswith("."):
        return False
    # «approx. five», «Dr. Rao»
    return text[end.end() : end.end() + 1].islower() or is_abbreviated(text[start : end.start() + 1])


def _add(parts: list[str], piece: str) -> None:
    sentence = piece.strip()
    if not sentence:
        parts[-1] += piece
        return
    before, _, after = piece.partition(sentence)
    parts[-1] += before
    parts += [sentence, after]
