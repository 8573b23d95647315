"""The pieces of a long text that are embedded besides the whole of it."""

import re

from knowledge.segment import Segment

_SENTENCE_END = re.compile(r"(?<=[.!?।॥…])[\"'”’)\]]*\s+|\n{2,}")
_SENTENCES = 2
_LONGEST_WORDS = 80
_MOST = 32


def readable(segment: Segment) -> str:
    """What is searched of a segment: its text under its heading."""
    heading = (segment.heading or "").strip()
    return f"{heading}\n{segment.text}" if heading and not segment.text.startswith(heading) else segment.text


def windows(text: str) -> list[str]:
    """Two sentences each, side by side; empty for a text that is one window itself."""
    sentences = [part for whole in _SENTENCE_END.split(text) if whole.strip() for part in _cut(whole)]
    if len(sentences) <= _SENTENCES:
        return []
    # a very long text has longer windows, not more of them
    step = max(_SENTENCES, -(-len(sentences) // _MOST))
    starts = list(range(0, len(sentences), step))
    if len(sentences) % step == 1:
        starts[-1] -= 1
    return [" ".join(sentences[start : start + step]) for start in starts]


def _cut(sentence: str) -> list[str]:
    """A sentence without an end, such as a table's rows, in stretches."""
    words = sentence.split()
    return [" ".join(words[first : first + _LONGEST_WORDS]) for first in range(0, len(words), _LONGEST_WORDS)]
