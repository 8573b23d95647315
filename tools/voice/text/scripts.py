"""Who reads which script: the text's own language for its own script, and for each other script its largest reader."""

from tools.languages import script_of

SCRIPT = {
    **dict.fromkeys(("hi", "mr", "ne", "kok", "sa"), "Deva"),
    **dict.fromkeys(("bn", "as"), "Beng"),
    **dict.fromkeys(("en", "es", "fr", "it", "pt"), "Latn"),
    "pa": "Guru", "gu": "Gujr", "or": "Orya", "ta": "Taml", "te": "Telu", "kn": "Knda", "ml": "Mlym", "ur": "Arab",
    "sd": "Arab", "zh": "Hani", "ja": "Hira",
}  # fmt: skip
"""The script of each language that is spoken here."""

_READER = {
    "Deva": "hi", "Beng": "bn", "Guru": "pa", "Gujr": "gu", "Orya": "or", "Taml": "ta", "Telu": "te", "Knda": "kn",
    "Mlym": "ml", "Arab": "ur", "Latn": "en",
}  # fmt: skip


def spans(sentence: str, language: str) -> tuple[list[tuple[str, str]], set[str]]:
    """Stretches of (text, language) in order, and the scripts that nobody reads, whose letters are left out.

    Punctuation, digits and spaces stay with what they follow.
    """
    found, unread, lead = list[tuple[str, str]](), set[str](), ""
    for letter in sentence:
        script = script_of(letter)
        own = script == SCRIPT.get(language) or (language == "ja" and script == "Hani")
        reader = language if own else _READER.get(script or "")
        if script is None and not letter.isalpha():
            # a sign; it waits for the first letter where it comes before all
            if found:
                found[-1] = (found[-1][0] + letter, found[-1][1])
            else:
                lead += letter
        elif reader is None:
            unread.add(script or "Zyyy")
        elif found and found[-1][1] == reader:
            found[-1] = (found[-1][0] + letter, reader)
        else:
            found.append((lead + letter, reader))
            lead = ""
    if not found and any(each.isdigit() for each in lead):
        found = [(lead, language)]
    return [(text.strip(), reader) for text, reader in found], unread


def devanagari_as_kannada(text: str) -> str:
    """The same letters in Kannada, whose block of Unicode has them at the same places.

    Kannada, like Sanskrit and unlike Hindi, speaks the vowel at the end of each consonant.
    """
    text = text.replace("ॐ", "ओम्").replace("ऽ", "")
    return "".join(_moved(letter) for letter in text)


def _moved(letter: str) -> str:
    place = ord(letter) - 0x0900
    return chr(0x0C80 + place) if place in _SHARED else letter


_SHARED = frozenset(
    {0x02, 0x03, *range(0x05, 0x0D), 0x0F, 0x10, 0x13, 0x14, *range(0x15, 0x29), *range(0x2A, 0x31)}
    | {0x32, 0x33, *range(0x35, 0x3A), *range(0x3E, 0x45), 0x47, 0x48, 0x4B, 0x4C, 0x4D, 0x60, 0x61}
)
"""Signs of Sanskrit that both blocks have, by their place. Kannada's e and o at 07 and 0B are the long ones, too."""
