"""What rules can tell of a text: its sentences, content words, numbers and names."""

import re
from collections.abc import Iterable
from difflib import SequenceMatcher

from graphs.temporal.stopwords import NUMBERS, STOPWORDS
from tools.writing.text import as_written, sentences, words

__all__ = ["alike", "content", "coverage", "marks", "names", "numbers", "sentences", "stem", "without_marks", "words"]

_MARK = re.compile(r"\[(\d+)\]")


def stem(word: str) -> str:
    """A word without the commonest English endings; other scripts stay as they are."""
    word = NUMBERS.get(word, re.sub(r"['’]s?$|['’]s$", "", word))
    if not word.isascii() or len(word) < 4 or word[0].isdigit():
        return word
    for ending, instead in (("ies", "y"), ("ing", ""), ("ed", ""), ("es", ""), ("s", ""), ("ly", "")):
        if word.endswith(ending) and len(word) - len(ending) >= 3 and not word.endswith("ss"):
            word = word.removesuffix(ending) + instead
            break
    return word.rstrip("e")


def content(text: str) -> list[str]:
    """Stems of the words that carry meaning, in order, each once."""
    return list(dict.fromkeys(stem(word) for word in words(text) if word not in STOPWORDS))


def numbers(text: str) -> set[str]:
    return {stem(word) for word in words(_MARK.sub(" ", text)) if stem(word)[0].isdigit()}


def names(text: str) -> set[str]:
    """Stems of words with a capital that do not begin a sentence."""
    found: set[str] = set()
    for sentence in sentences(text):
        plain = as_written(_MARK.sub(" ", sentence))
        found.update(stem(word.lower()) for word in plain[1:] if word[0].isupper() and word.lower() not in STOPWORDS)
    return found


def alike(one: str, other: str) -> bool:
    """The same word, as far as a recogniser's or reader's slip of a letter allows."""
    if one == other:
        return True
    if min(len(one), len(other)) < 5 or one[0].isdigit():
        return False
    if one.startswith(other) or other.startswith(one):
        return True
    return SequenceMatcher(None, one, other, autojunk=False).ratio() >= 0.84


def coverage(wanted: Iterable[str], text: str) -> float:
    """The share of these stems that a text has, 0..1; longer words weigh more. Nothing wanted is covered by nothing."""
    weights = {word: min(len(word), 8) for word in wanted}
    if not weights:
        return 0.0
    there = set(content(text))
    found = sum(weight for word, weight in weights.items() if word in there or any(alike(word, each) for each in there))
    return found / sum(weights.values())


def marks(text: str) -> list[int]:
    """The citation numbers in a text, in order, each once."""
    return list(dict.fromkeys(int(number) for number in _MARK.findall(text)))


def without_marks(text: str) -> str:
    return re.sub(r"\s+([.,;!?।])", r"\1", re.sub(r"\s{2,}", " ", _MARK.sub("", text))).strip()
