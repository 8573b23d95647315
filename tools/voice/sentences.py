"""Where sentences end, in Latin, Indian, Arabic and Han scripts; long ones are cut where a reader would breathe."""

import re
from collections.abc import Iterator

_CLOSING = "[\"'”’)\\]]*"
_END = re.compile(rf"(?:[!?।॥؟۔…。！？]|[.](?={_CLOSING}(?:\s|$|[.!?])))+{_CLOSING}\s*|\n+")
_BREATH = re.compile(r"(?<=[,;:،—])\s+|(?<=[，、；：])")
_INITIAL = re.compile(r"(?:^|[\s.])[^\W\d_]\.$")
_LONGEST = 280
_SHORTEST = 2


def sentences(text: str) -> Iterator[str]:
    """The sentences with their punctuation, none of them longer than a breath or two."""
    held = ""
    for part in _parts(text):
        held = f"{held} {part}".strip() if part else held
        # an initial, as in «R. K. Narayan», ends nothing
        if len(held) > _SHORTEST and not _INITIAL.search(held):
            yield from breaths(held)
            held = ""
    if held:
        yield from breaths(held)


def _parts(text: str) -> Iterator[str]:
    start = 0
    for end in _END.finditer(text):
        yield text[start : end.end()].strip()
        start = end.end()
    yield text[start:].strip()


def breaths(sentence: str, longest: int = _LONGEST) -> Iterator[str]:
    """A sentence in parts of at most so many letters, cut after commas where there are any, else between words."""
    held = ""
    for part in _BREATH.split(sentence) if len(sentence) > longest else [sentence]:
        if held and len(held) + len(part) >= longest:
            yield from _words(held, longest)
            held = ""
        held = f"{held} {part}".strip()
    yield from _words(held, longest)


def _words(sentence: str, longest: int) -> Iterator[str]:
    while len(sentence) > longest:
        cut = sentence.rfind(" ", 1, longest)
        cut = cut if cut > 0 else longest
        yield sentence[:cut].strip()
        sentence = sentence[cut:].strip()
    if sentence:
        yield sentence
