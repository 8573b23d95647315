"""Speech that a recogniser passed over: Whisper may end a window after its first sentence, and what follows is lost."""

import statistics
import unicodedata
from collections.abc import Iterable

from tools.speech import Span

LEAST = 1.0
"""Seconds of speech without text from which it is listened to again; timestamps are off by half as much."""
_SLIVER = 0.25
"""Seconds that are the end of a word which was heard, or the beginning of one."""
_SLOW = 0.6
"""Share of the speaker's usual pace under which words are missing from a text."""
_KNOWN = 4
"""Texts after which a speaker's pace is known."""
_DIGIT = 4
"""Letters that a digit is read as, about."""


class Pace:
    """How fast is spoken, to tell a text that is too short for the speech that its times span."""

    def __init__(self) -> None:
        self._paces: list[float] = []

    def learn(self, text: str, seconds: float) -> None:
        """So much was said in so many seconds of speech."""
        if seconds and text:
            self._paces.append(letters(text) / seconds)

    def is_slow(self, text: str, seconds: float) -> bool:
        """Whether so little is said in so many seconds that words must be missing."""
        known = len(self._paces) >= _KNOWN and seconds > 0
        return known and letters(text) / seconds < _SLOW * statistics.median(self._paces)


def inside(turns: Iterable[Span], since: float, until: float) -> list[Span]:
    """The parts of the turns between two times."""
    parts = [Span(max(turn.start, since), min(turn.end, until)) for turn in turns]
    return [span for span in parts if span.end - span.start > _SLIVER]


def letters(text: str) -> int:
    """How long a text is when it is said, in letters."""
    # the vowel signs of Indian scripts are marks, not letters
    kinds = [unicodedata.category(letter) for letter in text]
    return sum(_DIGIT if kind == "Nd" else kind[0] in "LM" for kind in kinds)
