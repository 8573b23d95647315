"""One spelling for Indian-language text, whichever model wrote it: numerals, danda and nukta. No word changes."""

import re
import unicodedata

from tools.speech.script import writings

_STRAY = re.compile("[\u200b\u2060\ufeff]")
_EDGE = re.compile("(?<!\\S)[\u200c\u200d]+|[\u200c\u200d]+(?!\\S)")
_PIPES = re.compile(r"(?<=[\u0900-\u0dff])\s*(\|\|?|।।)(?=\s|$)")
_BEFORE = re.compile(r"\s+(?=[।॥۔])")
_NUKTAS = re.compile("([\u093c\u09bc\u0a3c\u0abc\u0b3c\u0cbc])\\1+")
_LATE_NUKTA = re.compile("([\u093e-\u094c])\u093c")
_LAST_STOP = re.compile(r"(?<=[^\W\d_a-zA-Z]|[\u0900-\u0dff])\.$")
# Arabic keyboards' letters for Urdu's own
_URDU = str.maketrans({"ي": "ی", "ى": "ی", "ك": "ک", "ہ": "ہ"})
_DIGITS = {
    ord(unicodedata.lookup(f"{script} DIGIT {name}")): str(value)
    for script in (
        *("DEVANAGARI", "BENGALI", "GURMUKHI", "GUJARATI", "ORIYA", "TAMIL", "TELUGU", "KANNADA", "MALAYALAM"),
        "EXTENDED ARABIC-INDIC",
    )
    for value, name in enumerate(("ZERO", "ONE", "TWO", "THREE", "FOUR", "FIVE", "SIX", "SEVEN", "EIGHT", "NINE"))
}


def normalised(text: str, language: str) -> str:
    """The text in one spelling; other languages' text comes back as it is.

    Digits become 0-9, the international form of Indian numerals; letters with a nukta are two code points in the
    order that Unicode's canonical form gives them; a sentence ends as the language's do.
    """
    writing = writings().get(language)
    if writing is None:
        return text
    text = unicodedata.normalize("NFC", _EDGE.sub("", _STRAY.sub("", text)))
    text = _NUKTAS.sub(r"\1", _LATE_NUKTA.sub("\u093c\\1", text)).translate(_DIGITS)
    text = _PIPES.sub(lambda found: "।" if found[1] == "|" else "॥", text)
    if language in ("ur", "sd"):
        text = text.translate(_URDU)
    if writing.stop != ".":
        text = _LAST_STOP.sub(writing.stop, text)
    return _BEFORE.sub("", text)
