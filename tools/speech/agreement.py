"""LocalAgreement-2 (Liu et al. 2020; Machácek et al. 2023): words that two hearings in a row agree on are stable."""

import re
from dataclasses import dataclass, field
from difflib import SequenceMatcher

from tools.speech import Word

_UNSPACED = {"zh", "ja", "th", "lo", "my", "yue"}
_PUNCTUATION = re.compile(r"[^\w\u0900-\u0dff]+", re.UNICODE)


@dataclass
class Agreement:
    """What is agreed upon in one turn of a speaker; it only grows."""

    stable: list[Word] = field(default_factory=list)
    rest: list[Word] = field(default_factory=list)
    """The words beyond the stable ones, as they were heard last."""

    def hear(self, words: list[Word]) -> list[Word]:
        """The words beyond the stable ones, after another hearing of the same turn."""
        rest = self._beyond(words)
        agreed = _alike(_plain(self.rest), _plain(rest))
        self.stable += rest[:agreed]
        self.rest = rest[agreed:]
        return self.rest

    def conclude(self, words: list[Word]) -> list[Word]:
        """All words of the turn after its last hearing; what was stable stays."""
        if _plain(words[: len(self.stable)]) == _plain(self.stable):
            return words
        return self.stable + self._beyond(words)

    def _beyond(self, words: list[Word]) -> list[Word]:
        """The words of a hearing that come after the stable ones, even where it heard those differently."""
        count = len(self.stable)
        if _plain(words[:count]) == _plain(self.stable):
            return words[count:]
        blocks = SequenceMatcher(None, _plain(self.stable), _plain(words), autojunk=False).get_matching_blocks()
        ours, theirs, size = next((each for each in reversed(blocks) if each.size), (0, 0, 0))
        return words[max(theirs + size + count - ours - size, 0) :]


def joined(words: list[Word], language: str) -> str:
    return ("" if language in _UNSPACED else " ").join(word.text for word in words)


def _alike(left: list[str], right: list[str]) -> int:
    """How many first words are the same."""
    pairs = enumerate(zip(left, right, strict=False))
    return next((number for number, (one, other) in pairs if one != other), min(len(left), len(right)))


def _plain(words: list[Word]) -> list[str]:
    return [_PUNCTUATION.sub("", word.text).casefold() for word in words]
