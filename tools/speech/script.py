"""In which script a text is written, and in which it ought to be: Whisper writes Hindi in Urdu or Latin letters, and
romanises most Odia and Malayalam, without a word of warning."""

import tomllib
from collections import Counter
from functools import cache
from importlib.resources import files
from typing import Literal

from pydantic import BaseModel, ConfigDict

from tools.errors import NotInstalled
from tools.languages import script_of
from tools.speech.coverage import letters

MAIN, LEAST = 0.5, 0.3
"""Share of letters in the language's own script under which a text is written in a wrong one; and where languages are
mixed. English words that a speaker mixes in are often left in Latin letters, and rightly so."""

_ENOUGH = 0.5
"""Share of the letters heard before under which a text in the right script is not what was said."""

Script = Literal["Latn", "Deva", "Beng", "Guru", "Gujr", "Orya", "Taml", "Telu", "Knda", "Mlym"]

_SCHEMES = {
    "Latn": "iso",
    "Deva": "devanagari",
    "Beng": "bengali",
    "Guru": "gurmukhi",
    "Gujr": "gujarati",
    "Orya": "oriya",
    "Taml": "tamil",
    "Telu": "telugu",
    "Knda": "kannada",
    "Mlym": "malayalam",
}
_DEVANAGARI_BY_TAMIL = {code: code - 0x0B80 + 0x0900 for code in range(0x0B80, 0x0C00)}


class Writing(BaseModel):
    """How a language is written; `tools/speech/scripts.toml` says what the fields mean."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    scripts: list[str]
    prompt: str
    stop: str = "."
    aliases: list[str] = []


@cache
def writings() -> dict[str, Writing]:
    """By ISO 639 code; a language that is not here is not judged."""
    read = tomllib.loads(files("tools.speech").joinpath("scripts.toml").read_text(encoding="utf-8"))
    found = {code: Writing.model_validate(row) for code, row in read.items()}
    return found | {alias: row for row in found.values() for alias in row.aliases}


def prompt_for(language: str | None) -> str | None:
    """A sentence that shows a recogniser the language's script; None where it needs no showing."""
    writing = writings().get(language or "")
    return writing.prompt if writing else None


def fidelity(text: str, language: str) -> float | None:
    """Share of the letters that are in a script of the language, 0..1; None without letters or for other languages."""
    writing = writings().get(language)
    counts = Counter(script for character in text if (script := script_of(character)))
    if writing is None or not counts:
        return None
    return round(sum(counts[script] for script in writing.scripts) / counts.total(), 3)


def is_faithful(text: str, language: str, least: float = MAIN) -> bool:
    share = fidelity(text, language)
    return share is None or share >= least


def mends(text: str, before: str, language: str, least: float = MAIN) -> bool:
    """Whether a text heard again is in the right script and about as long: letters that a recogniser may not write make
    it leave out words."""
    return letters(text) >= _ENOUGH * letters(before) and is_faithful(text, language, least)


def main_script(text: str) -> str | None:
    """The script of most letters."""
    scripts = Counter(script for character in text if (script := script_of(character)))
    return scripts.most_common(1)[0][0] if scripts else None


def transliterate(text: str, to: Script) -> str:
    """The text letter by letter in another script, Latin by ISO 15919. What is not in an Indian script stays.

    Raises `NotInstalled` for scripts that leave out vowels, such as Urdu's: their letters do not tell the sound.
    """
    script = main_script(text)
    if script is None or script in (to, "Latn"):
        return text
    if script not in _SCHEMES:
        raise NotInstalled(
            f"Nothing here transliterates from the script {script!r}.", remedy="Ask for mode 'transcribe'."
        )
    from indic_transliteration import sanscript

    if script == "Taml":
        # the library reads a Tamil letter, which stands for four sounds, as its last one; the plain one is ISO's
        text, script = text.translate(_DEVANAGARI_BY_TAMIL), "Deva"
    written = sanscript.transliterate(text, _SCHEMES[script], _SCHEMES[to])
    return str(written).replace("।", ".") if to == "Latn" else str(written)
