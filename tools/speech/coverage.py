"""Speech that a recogniser passed over: Whisper may end a window after its first sentence, and what follows is lost."""

import re
import statistics
import unicodedata
from collections.abc import Iterable

from tools.speech import Span

LEAST = 1.0
"""Seconds of speech without text from which it is listened to again; timestamps are off by half as much."""
_SLIVER = 0.25
"""Seconds that are the end of a word which was heard, or the beginning of one."""
_HEAD = 2.0
"""Seconds of a turn that a text before it may seem to cover: a text without an end is given its window's."""
_SLOW = 0.6
"""Share of the speaker's usual pace under which words are missing from a text."""
_KNOWN = 4
"""Texts after which a speaker's pace is known."""
_DIGIT = 4
"""Letters that a digit is read as, about."""
_WORD = re.compile(r"\w+", re.UNICODE)


def missed(turns: Iterable[Span], since: float, until: float) -> Span | None:
    """The stretch between two texts in which somebody speaks for `LEAST` seconds or more.

    It begins with the turn that it is a part of, where that began shortly before: half a turn is not understood.
    """
    turns = list(turns)
    spoken = inside(turns, since, until)
    if sum(span.end - span.start for span in spoken) < LEAST:
        return None
    first = next(turn.start for turn in turns if turn.end > spoken[0].start)
    return Span(first if spoken[0].start - first <= _HEAD else spoken[0].start, spoken[-1].end)


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

    def unheard(self, text: str, turns: Iterable[Span], since: float, until: float) -> Span | None:
        """The last turn of a text that is much too short for all of its turns."""
        spoken = inside(turns, since, until)
        seconds = sum(span.end - span.start for span in spoken)
        slow = self.is_slow(text, seconds)
        if not slow:
            self.learn(text, seconds)
        return spoken[-1] if slow and len(spoken) > 1 and spoken[-1].end - spoken[-1].start >= LEAST else None


def said_again(text: str, before: str) -> int:
    """How many words a text begins with that the one before it ended with: timestamps often end before the words do."""
    words, said = [_plain(word) for word in text.split()], [_plain(word) for word in before.split()]
    return next((count for count in range(min(len(words), len(said)), 0, -1) if words[:count] == said[-count:]), 0)


def inside(turns: Iterable[Span], since: float, until: float) -> list[Span]:
    """The parts of the turns between two times."""
    parts = [Span(max(turn.start, since), min(turn.end, until)) for turn in turns]
    return [span for span in parts if span.end - span.start > _SLIVER]


def letters(text: str) -> int:
    """How long a text is when it is said, in letters."""
    # the vowel signs of Indian scripts are marks, not letters
    kinds = [unicodedata.category(letter) for letter in text]
    return sum(_DIGIT if kind == "Nd" else kind[0] in "LM" for kind in kinds)


def _plain(word: str) -> str:
    return "".join(_WORD.findall(word)).casefold()
