"""A text made ready to be spoken: signs and numbers in words, sentences, and who reads which script."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from tools.voice.sentences import sentences
from tools.voice.text.scripts import spans
from tools.voice.text.spell import spell


@dataclass(frozen=True)
class Span:
    """A stretch of one sentence in one language."""

    text: str
    language: str


@dataclass(frozen=True)
class Prepared:
    """Sentences as spans; `unread` are the scripts (ISO 15924) that nobody here reads and that were left out."""

    sentences: list[list[Span]]
    unread: list[str]


def prepare(text: str, language: str) -> Prepared:
    """What is to be spoken of a text in `language`; no sentence where there is nothing but signs and emoji."""
    prepared, unread = list[list[Span]](), set[str]()
    spelled = "".join(spell(part, _language_of(part, language)) + gap for part, gap in _parts(text))
    for sentence in sentences(spelled):
        found, left_out = spans(sentence, language)
        unread |= left_out
        if found:
            prepared.append([Span(words, spoken) for words, spoken in found])
    return Prepared(prepared, sorted(unread))


_PART = re.compile(r"(?P<text>.+?)(?P<gap>(?<=[.!?।॥؟۔…。！？])\s+|\n+|$)", re.DOTALL)


def _parts(text: str) -> Iterator[tuple[str, str]]:
    """Pieces that may be sentences (or end after an abbreviation), and the gap after each."""
    for found in _PART.finditer(text):
        yield found["text"], "\n" if "\n" in found["gap"] else " "


def _language_of(part: str, language: str) -> str:
    """Whose numbers a piece has: the text's own, unless nothing in the piece is in its script."""
    readers = [reader for _, reader in spans(part, language)[0]]
    return language if language in readers or not readers else readers[0]
