"""Speech that a recogniser passed over: Whisper may end a window after its first sentence, and what follows is lost."""

import re
from collections.abc import Iterable

from tools.speech import Span

LEAST = 1.0
"""Seconds of speech without text from which it is listened to again; timestamps are off by half as much."""
_SLIVER = 0.25
"""Seconds that are the end of a word which was heard, or the beginning of one."""
_WORD = re.compile(r"\w+", re.UNICODE)


def missed(turns: Iterable[Span], since: float, until: float) -> Span | None:
    """The stretch between two texts in which somebody speaks for `LEAST` seconds or more."""
    inside = [Span(max(turn.start, since), min(turn.end, until)) for turn in turns]
    spoken = [span for span in inside if span.end - span.start > _SLIVER]
    if sum(span.end - span.start for span in spoken) < LEAST:
        return None
    return Span(spoken[0].start, spoken[-1].end)


def says_again(text: str, before: str) -> bool:
    """Whether a text only repeats how the one before it ended: timestamps often end before the words do."""
    words, said = _words(text), _words(before)
    return bool(words) and said[-len(words) :] == words


def _words(text: str) -> list[str]:
    return [word.casefold() for word in _WORD.findall(text)]
