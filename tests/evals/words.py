"""Word errors as a listener counts them: «the 15th century» is what was said as «the fifteenth century»."""

import re

import jiwer
from num2words import num2words

_NUMBER = re.compile(r"(?<![\d.])(?P<number>\d{1,3}(?:,\d{3})+|\d+)(?P<ordinal>st|nd|rd|th)?(?![\d.]*\d)")
_YEARS = range(1_100, 2_000)
_WORDS = jiwer.Compose(
    [
        jiwer.SubstituteRegexes({r"[—-]": " "}),
        jiwer.ToLowerCase(),
        jiwer.RemovePunctuation(),  # type: ignore[no-untyped-call]
        jiwer.RemoveMultipleSpaces(),
        jiwer.Strip(),
        jiwer.ReduceToListOfListOfWords(),
    ]
)


def word_errors(truth: str, text: str) -> float:
    """Share of the English words that are wrong, missing or too many; above 1 where more is heard than was said."""
    truth, text = (_NUMBER.sub(_spelt, " ".join(each.split())) for each in (truth, text))
    return float(jiwer.wer(truth, text, reference_transform=_WORDS, hypothesis_transform=_WORDS))


def _spelt(found: re.Match[str]) -> str:
    number = int(found["number"].replace(",", ""))
    year = number in _YEARS and "," not in found["number"]
    return str(num2words(number, to="ordinal" if found["ordinal"] else "year" if year else "cardinal"))
