"""Numbers, lengths of time and time codes, as English and Hindi write and say them."""

import re
import unicodedata

from knowledge.moments.reading import inner

_ENGLISH = [
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
    "twenty",
]
_TENS = {"thirty": 30, "forty": 40, "fifty": 50, "sixty": 60, "seventy": 70, "eighty": 80, "ninety": 90}
_HINDI = [
    "शून्य",
    "एक",
    "दो",
    "तीन",
    "चार",
    "पांच",
    "छह",
    "सात",
    "आठ",
    "नौ",
    "दस",
    "ग्यारह",
    "बारह",
    "तेरह",
    "चौदह",
    "पंद्रह",
    "सोलह",
    "सत्रह",
    "अठारह",
    "उन्नीस",
    "बीस",
    "इक्कीस",
    "बाईस",
    "तेईस",
    "चौबीस",
    "पच्चीस",
    "छब्बीस",
    "सत्ताईस",
    "अट्ठाईस",
    "उनतीस",
    "तीस",
]
_HINDI_MORE = {"छः": 6, "छ": 6, "पैंतीस": 35, "चालीस": 40, "पैंतालीस": 45, "पचास": 50, "साठ": 60, "नब्बे": 90, "सौ": 100}
_ROMAN = {
    "ek": 1, "do": 2, "teen": 3, "tin": 3, "char": 4, "chaar": 4, "paanch": 5, "panch": 5, "chhah": 6, "chhe": 6,
    "che": 6, "saat": 7, "sat": 7, "aath": 8, "nau": 9, "das": 10, "dus": 10, "gyarah": 11, "barah": 12, "pandrah": 15,
    "bees": 20, "bis": 20, "pachees": 25, "tees": 30, "tis": 30, "chalis": 40, "chaalis": 40, "pachas": 50,
    "pachaas": 50, "saath": 60, "sau": 100,
}  # fmt: skip
_PARTS = {
    "half": 0.5,
    "आधा": 0.5,
    "आधे": 0.5,
    "आधी": 0.5,
    "aadha": 0.5,
    "aadhe": 0.5,
    "adhe": 0.5,
    "डेढ": 1.5,
    "ढाई": 2.5,
}
_PARTS |= {"dedh": 1.5, "dhai": 2.5, "dhaai": 2.5, "couple": 2, "few": 3, "कुछ": 3, "kuch": 3, "kuchh": 3}
_ADDED = {
    "साढे": 0.5,
    "sadhe": 0.5,
    "saadhe": 0.5,
    "सवा": 0.25,
    "sava": 0.25,
    "sawa": 0.25,
    "पौने": -0.25,
    "paune": -0.25,
}

WORDS: dict[str, float] = {
    unicodedata.normalize("NFC", word): float(value)
    for table in (
        dict(zip(_ENGLISH, range(21), strict=True)),
        _TENS,
        dict(zip(_HINDI, range(31), strict=True)),
        _HINDI_MORE,
        _ROMAN,
        _PARTS,
    )
    for word, value in table.items()
}


def _any(words: list[str]) -> str:
    return "|".join(sorted((re.escape(word) for word in words), key=len, reverse=True))


_TENS_AND_ONES = rf"(?:twenty|{_any(list(_TENS))})[- ](?:{_any(_ENGLISH[1:10])})"
_HUNDREDS = rf"(?:an?|one|two|three) hundred(?: and (?:{_TENS_AND_ONES}|{_any([*_ENGLISH, *_TENS])}))?"
NUMBER = (
    rf"(?:\d{{1,6}}(?:\.\d{{1,3}})?|{_HUNDREDS}|{_TENS_AND_ONES}|(?:(?:{_any(list(_ADDED))}) )?(?:{_any(list(WORDS))}))"
)
"""Matches a number, in digits or in words."""

ORDINALS: dict[str, int] = {
    "first": 1, "second": 2, "third": 3, "fourth": 4, "fifth": 5, "sixth": 6, "seventh": 7, "eighth": 8, "ninth": 9,
    "tenth": 10, "पहली": 1, "पहला": 1, "पहले": 1, "दूसरी": 2, "दूसरा": 2, "दूसरे": 2, "तीसरी": 3, "तीसरा": 3, "तीसरे": 3,
    "चौथी": 4, "चौथे": 4, "पांचवीं": 5, "पांचवें": 5, "छठे": 6, "सातवें": 7, "आठवें": 8, "नौवें": 9, "दसवें": 10,
    "pehli": 1, "pahli": 1, "pehle": 1, "pahle": 1, "dusri": 2, "doosri": 2, "dusre": 2, "doosre": 2, "teesri": 3,
    "tisri": 3, "teesre": 3, "tisre": 3, "chauthe": 4, "panchve": 5, "paanchve": 5,
}  # fmt: skip
ORDINAL = rf"(?:\d{{1,3}}(?:st|nd|rd|th|वें|वीं|वे|ve|ven)|{_any(list(ORDINALS))})"

_LETTER_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0}
_UNITS: dict[float, str] = {
    1.0: r"seconds?|secs?|सेकंड(?:ों)?|सेकेंड(?:ों)?|सेकण्ड(?:ों)?|सेकेण्ड(?:ों)?|सेकन्ड(?:ों)?|sekand|sekend",
    60.0: r"minutes?|mins?|मिनट(?:ों)?|मिनिट(?:ों)?|minat|minit",
    3600.0: r"hours?|hrs?|घंटा|घंटे|घंटों|घण्टे|घण्टा|ghanta|ghante|ghanton",
}
UNIT = "(?:" + "|".join(_UNITS.values()) + ")"
_QUANTITY = rf"(?:half an?|(?:an? )?(?:couple|few)(?: of)?|{NUMBER}(?: and a half)?|an?)"
_LENGTH = rf"(?:{_QUANTITY}[- ]?{UNIT}(?: and a half)?|(?<!the\s)\d{{1,5}}(?:\.\d{{1,3}})?[smh])"
LENGTH = rf"(?:{_LENGTH}(?:,? ?(?:and |और |aur )?{_LENGTH}){{0,2}})"
"""Matches a length of time: «two and a half minutes», `1m23s`, «डेढ़ घंटे»."""
CODE = r"(?:\d{1,2}:[0-5]\d:[0-5]\d(?:\.\d{1,3})?|\d{1,3}:[0-5]\d(?:\.\d{1,3})?)"
"""Matches a time code: `1:23`, `01:02:03.5`."""

_PIECES = inner(_LENGTH)
_PIECE = inner(rf"(?P<quantity>.*?)[- ]?(?P<unit>{UNIT}|(?<=\d)[smh])(?P<half> and a half)?")
_HALF_A = inner("half an?")
_SOME = inner("(?:an? )?(?P<word>couple|few)(?: of)?")


def number(text: str) -> float:
    """The value of what `NUMBER` matched."""
    value = 0.0
    for word in re.split(r"[\s-]+", text.lower()):
        if word in _ADDED:
            value += _ADDED[word]
        elif word == "hundred":
            value = max(value, 1.0) * 100
        elif word in WORDS:
            value += WORDS[word]
        elif re.fullmatch(r"[\d.]+", word):
            value += float(word)
        elif word in {"a", "an"} and value == 0:
            value = 1.0
    return value


def ordinal(text: str) -> int:
    """The value of what `ORDINAL` matched."""
    digits = re.match(r"\d+", text)
    return int(digits[0]) if digits else ORDINALS[text.lower()]


def length(text: str) -> float:
    """Seconds of what `LENGTH` matched."""
    return sum(_piece(piece) for piece in _PIECES.findall(text))


def _piece(text: str) -> float:
    match = _PIECE.fullmatch(text)
    if match is None:
        return 0.0
    quantity = match["quantity"].strip().lower()
    if _HALF_A.fullmatch(quantity):
        value = 0.5
    elif some := _SOME.fullmatch(quantity):
        value = WORDS[some["word"]]
    else:
        value = number(quantity.removesuffix("and a half").strip()) if quantity else 1.0
    if match["half"] or quantity.endswith("and a half"):
        value += 0.5
    return value * unit(match["unit"])


def unit(text: str) -> float:
    """Seconds of one unit."""
    if text.lower() in _LETTER_UNITS:
        return _LETTER_UNITS[text.lower()]
    return next(seconds for seconds, names in _UNITS.items() if re.fullmatch(names, text, re.IGNORECASE))


def code(text: str) -> float:
    """Seconds of what `CODE` matched."""
    seconds = 0.0
    for piece in text.split(":"):
        seconds = seconds * 60 + float(piece)
    return seconds
