"""How hard a text is to read, by the formula of its language, or by its lengths where there is none."""

import re
from collections.abc import Sequence
from functools import cache
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from tools.writing.text import sentences, words

EASE: dict[str, tuple[str, float, float, float]] = {
    "en": ("Flesch 1948", 206.835, 1.015, 84.6),
    "de": ("Amstad 1978", 180.0, 1.0, 58.5),
    "es": ("Fernández Huerta 1959", 206.84, 1.02, 60.0),
    "fr": ("Kandel & Moles 1958", 207.0, 1.015, 73.6),
    "it": ("Franchina & Vacca 1986", 217.0, 1.3, 60.0),
    "nl": ("Douma 1960", 206.835, 0.93, 77.0),
    "pt": ("Martins 1996", 248.835, 1.015, 84.6),
    "ru": ("Oborneva 2006", 206.835, 1.3, 60.1),
}
"""Reading ease by language: base - a x words per sentence - b x syllables per word."""

AKSHARA = frozenset({"as", "bn", "brx", "doi", "gu", "hi", "kn", "kok", "mai", "ml", "mr", "ne", "or", "pa", "sa"}) | {
    "ta",
    "te",
}

_WORDS_A_MINUTE = {"en": 238, "de": 179, "es": 218, "fr": 195, "it": 188, "nl": 202, "pt": 181, "ru": 184}
"""English: Brysbaert 2019; the others: Trauzettel-Klosinski & Dietz 2012."""
_OTHERS_A_MINUTE = 180

# a consonant whose virama joins it to the next one is part of that one's akshara
_JOINED = re.compile(r"[\u094d\u09cd\u0a4d\u0acd\u0b4d\u0bcd\u0c4d\u0ccd\u0d4d](?:\u200d)?(?=\w)")
_LETTER = re.compile(
    r"[\u0904-\u0939\u0958-\u0961\u0985-\u09b9\u09dc-\u09e1\u0a05-\u0a39\u0a59-\u0a5e\u0a85-\u0ab9\u0ae0\u0ae1"
    r"\u0b05-\u0b39\u0b5c-\u0b61\u0b85-\u0bb9\u0c05-\u0c39\u0c58-\u0c61\u0c85-\u0cb9\u0cde-\u0ce1\u0d05-\u0d3a"
    r"\u0d60\u0d61\u0d7a-\u0d7f]"
)


class Readability(BaseModel):
    """`ease` is 0..100 and more, higher is easier; `grade` are years of school (Kincaid 1975, English only).

    `lix` (Björnsson 1968) is words per sentence and the percentage of words above six letters. `note` says what the
    figures are worth for this language.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    language: str
    words_per_sentence: float
    syllables_per_word: float | None = Field(description="In Indian scripts: aksharas per word.")
    ease: float | None
    grade: float | None
    lix: float | None
    formula: str
    note: str = ""


def readability(text: str, language: str) -> Readability:
    """Of plain prose; an empty text has no figures but zeros."""
    base, found = language.partition("-")[0], words(text)
    lengths = len(found) / max(len(sentences_of(text)), 1)
    per_word = _per_word(found, base)
    name, zero, by_sentence, by_word = EASE.get(base, ("", 0.0, 0.0, 0.0))
    ease = zero - by_sentence * lengths - by_word * per_word if name and found and per_word is not None else None
    grade = 0.39 * lengths + 11.8 * per_word - 15.59 if base == "en" and found and per_word is not None else None
    lix = None if base in AKSHARA or not found else lengths + 100 * sum(len(word) > 6 for word in found) / len(found)
    return Readability(
        language=language,
        words_per_sentence=round(lengths, 2),
        syllables_per_word=None if per_word is None else round(per_word, 3),
        ease=None if ease is None else round(ease, 1),
        grade=None if grade is None else round(grade, 1),
        lix=None if lix is None else round(lix, 1),
        formula=name or ("lengths of sentences and words" if base in AKSHARA else "LIX"),
        note=_note(base, per_word),
    )


def reading_minutes(count: int, language: str) -> float:
    return round(count / _WORDS_A_MINUTE.get(language.partition("-")[0], _OTHERS_A_MINUTE), 2)


def sentences_of(text: str) -> list[str]:
    """Sentences; the end of a line ends one too, as in headings and lists."""
    return [each for line in text.splitlines() for each in sentences(line)]


def _per_word(found: Sequence[str], language: str) -> float | None:
    """Syllables per word by hyphenation, in Indian scripts aksharas; None where neither is known."""
    if not found:
        return None
    if language in AKSHARA:
        return sum(aksharas(word) for word in found) / len(found)
    hyphens = _hyphens(language)
    return None if hyphens is None else sum(len(hyphens.positions(word)) + 1 for word in found) / len(found)


def aksharas(word: str) -> int:
    """Written syllables: letters, those joined by a virama counted once."""
    return max(len(_LETTER.findall(word)) - len(_JOINED.findall(word)), 1)


@cache
def _hyphens(language: str) -> Any:
    import pyphen

    known = pyphen.language_fallback(language)
    return None if known is None else pyphen.Pyphen(lang=known, left=1, right=1)


def _note(language: str, per_word: float | None) -> str:
    if language in AKSHARA:
        return "No formula for this language is established; its sentences and words (in aksharas) are measured."
    if language in EASE:
        return "Syllables are told by hyphenation, which finds a few too little."
    return "LIX needs no syllables." if per_word is None else "No formula of its own; LIX fits any alphabet."
