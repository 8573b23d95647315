"""Loops that Whisper falls into over noise and music: «so so so so», the same sentence again and again."""

import re
import zlib

_TIMES = 4
"""A phrase said so often in a row is a loop."""
_DENSEST = 2.4
"""Above this compression ratio a text is a loop (Radford et al. 2022, section 4.5)."""
_PHRASE = 8
_WORD = re.compile(r"\w+", re.UNICODE)


def is_loop(text: str) -> bool:
    """Whether a text says one thing over and over."""
    data = text.encode()
    if len(data) > 40 and len(data) / len(zlib.compress(data)) > _DENSEST:
        return True
    words = [word.casefold() for word in _WORD.findall(text)]
    return any(_repeated(words, length) for length in range(1, _PHRASE + 1))


def _repeated(words: list[str], length: int) -> bool:
    span = length * _TIMES
    same = 0
    for left, right in zip(words, words[length:], strict=False):
        same = same + 1 if left == right else 0
        if same >= span - length:
            return True
    return False


class Echoes:
    """Remembers what was just heard, to tell a third telling of the same words from news."""

    def __init__(self) -> None:
        self._last: list[list[str]] = []

    def is_news(self, text: str) -> bool:
        """False for a text that only says again what the two before it said."""
        words = [word.casefold() for word in _WORD.findall(text)]
        echo = len(self._last) == 2 and all(words == before for before in self._last)
        self._last = [*self._last[-1:], words]
        return bool(words) and not echo
