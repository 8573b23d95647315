"""Which tokens of a byte-level vocabulary write letters of which script, to keep a recogniser to its language's own.

Such a vocabulary (GPT-2's, Whisper's) spells rare scripts in pieces of UTF-8: a token may begin or end within a letter.
"""

import unicodedata
from collections.abc import Iterable
from functools import cache
from itertools import product

from tokenizers import Tokenizer

from tools.languages import script_of

_PRINTED = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]


class Vocabulary:
    """Of a tokenizer; the tokens that were added to its bytes' are in no script. What was found for a set of scripts is
    remembered."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._foreign: dict[frozenset[str], list[int]] = {}

    def foreign(self, scripts: Iterable[str]) -> list[int]:
        """Tokens that write a letter of another script than these (ISO 15924), or begin one. Digits, punctuation and
        bytes that may go on a letter are in no script."""
        wanted = frozenset(scripts)
        if wanted not in self._foreign:
            added = self._tokenizer.get_added_tokens_decoder()
            tokens = self._tokenizer.get_vocab(with_added_tokens=False).items()
            self._foreign[wanted] = sorted(
                number for token, number in tokens if number not in added and not _fits(token, wanted)
            )
        return self._foreign[wanted]


def _fits(token: str, scripts: frozenset[str]) -> bool:
    if not _bytes().keys() >= set(token):
        return True
    written = bytes(_bytes()[letter] for letter in token)
    text = written.lstrip(bytes(range(0x80, 0xC0)))
    try:
        whole, rest = text.decode(), b""
    except UnicodeDecodeError as error:
        whole, rest = text[: error.start].decode(), text[error.start :]
    return all(_script(letter) in (None, *scripts) for letter in whole) and (not rest or _begins(rest, scripts))


@cache
def _bytes() -> dict[str, int]:
    """The byte for each letter that a vocabulary writes it as; GPT-2's encoder gives those that do not print others."""
    others = [byte for byte in range(0x100) if byte not in _PRINTED]
    return {chr(byte): byte for byte in _PRINTED} | {chr(0x100 + at): byte for at, byte in enumerate(others)}


@cache
def _begins(head: bytes, scripts: frozenset[str]) -> bool:
    """Whether a letter of these scripts begins so, or a mark: the danda is among the letters of Devanagari."""
    length = 2 if head[0] < 0xE0 else 3 if head[0] < 0xF0 else 4
    if length == 4 or len(head) >= length:
        return False  # emoji and scripts that nobody is heard in; what is no text
    tails = product(range(0x80, 0xC0), repeat=length - len(head))
    begun = {(head + bytes(tail)).decode(errors="ignore") for tail in tails} - {""}
    return any(_script(letter) in scripts or unicodedata.category(letter)[0] == "P" for letter in begun)


@cache
def _script(letter: str) -> str | None:
    return script_of(letter)
