"""Whether a sentence is another one shortened: whole clauses left out, nothing put in, nothing turned round.

Words alone cannot tell: «they took wood blocks» has only words of «they took impressions from wood blocks».
"""

import re
from collections.abc import Sequence
from difflib import SequenceMatcher

from tools.writing.text import as_written

_PUNCTUATION = re.compile(r"[,;:()–—]")
_FREE = frozenset({"the", "a", "an"})
"""Words that a shorter sentence may have of its own."""

_BEGINS_CLAUSE = frozenset({
    "after", "although", "as", "at", "because", "before", "between", "by", "during", "for", "from", "in", "into", "on",
    "over", "since", "so", "that", "though", "through", "under", "when", "where", "which", "while", "who", "whose",
    "with",
})  # fmt: skip
"""Words with which the rest of a sentence may be left out."""

_LEADS = frozenset({"and", "but", "so", "then", "well", "now", "okay", "for", "although", "because", "or", "yes", "oh"})
"""Words that may be left out at the beginning, because they only lead on from the sentence before."""

_RESTRICTS = frozenset({
    "almost", "barely", "cannot", "could", "except", "fewer", "hardly", "if", "less", "may", "might", "nearly",
    "neither", "never", "no", "nobody", "none", "nor", "not", "nothing", "only", "perhaps", "rarely", "seldom",
    "supposedly", "unless", "unlike", "until", "whether", "without", "would",
})  # fmt: skip
"""Words without which the rest of a sentence would say something else."""


def shortens(shorter: str, longer: str) -> bool:
    """Whether `shorter` is `longer` without some of its clauses."""
    old, new = _words(longer), _words(shorter)
    if len(new) < 3:
        return False
    breaks = _breaks(longer, len(old))
    for tag, first, last, start, end in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if tag == "equal":
            continue
        if not {*new[start:end]} <= _FREE or not _may_go(old, first, last, breaks):
            return False
    return True


def _may_go(old: Sequence[str], first: int, last: int, breaks: set[int]) -> bool:
    """Whether these words may be left out: an article, a lead, a clause between commas, or the rest of the sentence."""
    gone = old[first:last]
    if {*gone} <= _FREE:
        return True
    if _restricted(gone):
        return False
    if first == 0 and {*gone} <= _LEADS:
        return True
    # «it does not carry fuel for ten years» does not say that it carries none
    trails = last == len(old) and gone[0] in _BEGINS_CLAUSE and not _restricted(old[:first])
    return (first in breaks or trails) and last in breaks


def _restricted(words: Sequence[str]) -> bool:
    return bool({*words} & _RESTRICTS) or any(word.endswith(("n't", "n’t")) for word in words)


def _words(text: str) -> list[str]:
    return [word.lower() for word in as_written(text)]


def _breaks(text: str, count: int) -> set[int]:
    """The numbers of the words before which a clause may begin: the first, those after punctuation, and the end."""
    found, at = {0, count}, 0
    for number, word in enumerate(as_written(text)):
        where = text.index(word, at)
        if _PUNCTUATION.search(text[at:where]):
            found.add(number)
        at = where + len(word)
    return found
