"""Indian scripts as IndicTrans2 reads and writes them: all that Unicode lays out alike stands in Devanagari.

The spellings, exceptions included, are those of the Indic NLP Library that the models were trained with
(https://github.com/anoopkunchukuttan/indic_nlp_library).
"""

import re
import string
import unicodedata
from functools import cache

_BLOCKS = {
    "Deva": 0x0900,
    "Beng": 0x0980,
    "Guru": 0x0A00,
    "Gujr": 0x0A80,
    "Orya": 0x0B00,
    "Taml": 0x0B80,
    "Telu": 0x0C00,
    "Knda": 0x0C80,
    "Mlym": 0x0D00,
}
_ALIKE = 0x70
"""Signs at the head of each block that stand at the same place in all of them; what follows is a script's own."""
_DANDAS = (0x64, 0x65)

_NUKTA = 0x3C
_COMPOSED = {
    "Deva": {0x29: 0x28, 0x31: 0x30, 0x34: 0x33, 0x58: 0x15, 0x59: 0x16, 0x5A: 0x17, 0x5B: 0x1C, 0x5C: 0x21, 0x5D: 0x22,
             0x5E: 0x2B, 0x5F: 0x2F},
    "Guru": {0x33: 0x32, 0x36: 0x38, 0x59: 0x16, 0x5A: 0x17, 0x5B: 0x1C, 0x5E: 0x2B},
    "Orya": {0x5C: 0x21, 0x5D: 0x22},
    "Beng": {0x5C: 0x21, 0x5D: 0x22, 0x5F: 0x2F},
}  # fmt: skip
"""Letters that are written as another letter and a nukta, by their places in the block."""

_SPELLINGS = {
    "Deva": {"ॲ": "ए", "|": "।"},
    "Beng": {"|": "।", "৷": "।", "\u09c7\u09be": "\u09cb", "\u09c7\u09d7": "\u09cc"},
    "Guru": {
        "\u0a05\u0a3e": "\u0a06", "\u0a72\u0a3f": "\u0a07", "\u0a72\u0a40": "\u0a08", "\u0a73\u0a41": "\u0a09",
        "\u0a73\u0a42": "\u0a0a", "\u0a72\u0a47": "\u0a0f", "\u0a05\u0a48": "\u0a10", "\u0a73\u0a4b": "\u0a13",
        "\u0a05\u0a4c": "\u0a14", "|": "।",
    },
    "Gujr": {},
    "Orya": {
        "\u0b05\u0b3e": "\u0b06", "\u0b0f\u0b57": "\u0b10", "\u0b13\u0b57": "\u0b14", "\u0b7c": "।", "\u0b35": "\u0b2c",
        "\u0b47\u0b56": "\u0b58", "\u0b47\u0b3e": "\u0b4b", "\u0b47\u0b57": "\u0b4c",
    },
    "Taml": {"\u0b92\u0bd7": "\u0b94", "\u0bc6\u0bbe": "\u0bca", "\u0bc7\u0bbe": "\u0bcb", "\u0bc6\u0bd7": "\u0bcc"},
    "Telu": {"\u0c46\u0c56": "\u0c48"},
    "Knda": {
        "\u0cbf\u0cd5": "\u0cc0", "\u0cc6\u0cd5": "\u0cc7", "\u0cc6\u0cd6": "\u0cc8", "\u0cc6\u0cc2": "\u0cca",
        "\u0cca\u0cd5": "\u0ccb",
    },
    "Mlym": {"\u0d46\u0d3e": "\u0d4a", "\u0d47\u0d3e": "\u0d4b", "\u0d46\u0d57": "\u0d4c", "\u0d57": "\u0d4c"},
}  # fmt: skip
"""Vowels in two parts, other writings of the danda, and the like."""

_CHILLUS = {"\u0d23": "\u0d7a", "\u0d28": "\u0d7b", "\u0d30": "\u0d7c", "\u0d32": "\u0d7d", "\u0d33": "\u0d7e",
            "\u0d15": "\u0d7f"}  # fmt: skip
_UNSEEN = str.maketrans(dict.fromkeys("\ufeff\ufffe\u2060\u00ad\u200c\u200d") | dict.fromkeys("\u200b\u00a0", " "))

_URDU = str.maketrans("كهىي٠١٢٣٤٥٦٧٨٩", "کہیی۰۱۲۳۴۵۶۷۸۹") | dict.fromkeys(range(0x064B, 0x0653)) | {0x0670: None}
_FORMS = re.compile("[\ufb50-\ufdff\ufe70-\ufefc]")

_MARKS = re.compile(rf"([{re.escape(string.punctuation)}।॥\uaaf0\uaaf1\uabeb-\uabef\u1c7e\u1c7f])")
_URDU_MARKS = re.compile(rf"([{re.escape(string.punctuation)}؉؊،؞؟٪٫٬٭۔])")
_NUMBERS = re.compile(r"(?:[0-9]+ [,.:/] )+[0-9]+")
_LEFT = re.compile(r" ([!%)\]},.:;>?।॥])")
_RIGHT = re.compile(r"([#$(\[{<@]) ")
_BOTH = re.compile(r" ([-/\\]) ")


def to_devanagari(text: str, script: str) -> str:
    """The text sign by sign; scripts that are not laid out like Devanagari, and signs of their own, stay."""
    return text if script not in _BLOCKS else text.translate(_table(script, "Deva")).replace(" ् ", "्")


def from_devanagari(text: str, script: str) -> str:
    """The inverse of `to_devanagari`, as far as the script has the signs."""
    if script not in _BLOCKS:
        return text
    written = text.translate(_table("Deva", script))
    # their table gives yya as ya with a dot, which nobody writes
    return written.replace("\u0b2f\u0b3c", "\u0b5f") if script == "Orya" else written


def normalise(text: str, script: str) -> str:
    """One spelling for what Unicode lets be written in several ways."""
    if script == "Arab":
        text = _FORMS.sub(lambda form: unicodedata.normalize("NFKC", form[0]), text)
        return text.translate(_URDU).replace("\u0627\u0653", "\u0622")
    if script == "Mlym":
        for letter, chillu in _CHILLUS.items():
            text = text.replace(f"{letter}\u0d4d\u200d", chillu)
    text = text.translate(_UNSEEN)
    if (start := _BLOCKS.get(script)) is None:
        return text
    text = text.translate({start + danda: chr(0x0900 + danda) for danda in _DANDAS})
    composed = _COMPOSED.get(script, {})
    text = text.translate({start + one: chr(start + letter) + chr(start + _NUKTA) for one, letter in composed.items()})
    for spelling, usual in _SPELLINGS[script].items():
        text = text.replace(spelling, usual)
    # typists put a colon for the visarga
    return re.sub(rf"([{chr(start)}-{chr(start + 0x7F)}]):", rf"\1{chr(start + 3)}", text)


def spaced(text: str, script: str) -> str:
    """Marks as words of their own, numbers and dates whole."""
    marks = _URDU_MARKS if script == "Arab" else _MARKS
    text = re.sub(" +", " ", marks.sub(r" \1 ", text.replace("\t", " "))).strip(" ")
    return text if script == "Arab" else _NUMBERS.sub(lambda number: number[0].replace(" ", ""), text)


def unspaced(text: str) -> str:
    """Marks where they are written: the inverse of `spaced`. Quotation marks open and close by turns."""
    text = _NUMBERS.sub(lambda number: number[0].replace(" ", ""), text)
    text = _RIGHT.sub(r"\1", _LEFT.sub(r"\1", _BOTH.sub(r"\1", text)))
    for quote in "'\"`":
        pieces = text.split(quote)
        for number in range(1, len(pieces)):
            # odd marks open, even ones close
            if number % 2:
                pieces[number] = pieces[number].removeprefix(" ")
            else:
                pieces[number - 1] = pieces[number - 1].removesuffix(" ")
        text = quote.join(pieces)
    return text


@cache
def _table(source: str, target: str) -> dict[int, str | None]:
    places = [place for place in range(_ALIKE) if place not in _DANDAS]
    return {_BLOCKS[source] + place: _sign(place, source, target) for place in places}


def _sign(place: int, source: str, target: str) -> str | None:
    sign = chr(_BLOCKS[target] + (_tamil(place) if target == "Taml" else place))
    if unicodedata.category(sign) != "Cn":
        return sign
    # a script without the nukta leaves it out; other signs that it lacks stay readable
    return None if place == _NUKTA else chr(_BLOCKS[source] + place)


def _tamil(place: int) -> int:
    """Tamil writes k for k, kh, g and gh, and so on; it has a j of its own, and one letter for both sh."""
    if 0x15 <= place <= 0x28 and place != 0x1C and (place - 0x15) % 5 not in {0, 4}:
        return place - (place - 0x15) % 5
    if place in {0x2B, 0x2C, 0x2D}:
        return 0x2A
    return 0x37 if place == 0x36 else place
