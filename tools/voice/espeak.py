"""eSpeak NG (GPL-3.0-or-later): a formant synthesiser, and the letters-to-sounds rules of more than 100 languages.

The library is loaded by this file alone, and this file runs only as an engine of `process` isolation: eSpeak is a
program of its own, spoken to over a pipe, and never part of the host (docs/decisions/0006-espeak-apart.md).
"""

import ctypes
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from tools.catalog import Row
from tools.errors import EngineFailed, InvalidInput
from tools.voice import Gender, Sound, SpeakOptions, Voice

LANGUAGES = {
    "hi": "Hindi",
    "bn": "Bengali",
    "mr": "Marathi",
    "te": "Telugu",
    "ta": "Tamil",
    "gu": "Gujarati",
    "ur": "Urdu",
    "kn": "Kannada",
    "or": "Odia",
    "ml": "Malayalam",
    "pa": "Punjabi",
    "as": "Assamese",
    "ne": "Nepali",
    "sd": "Sindhi",
    "en": "English",
    "es": "Spanish",
    "fr": "French",
    "it": "Italian",
    "pt": "Portuguese",
}
_NAMES = {"en": "en-us", "fr": "fr-fr", "pt": "pt-br"}
_VARIANTS: tuple[tuple[str, Gender, str], ...] = (("", "male", ""), ("-female", "female", "+f2"))

_SYNCHRONOUS, _DONT_EXIT, _UTF8, _END_PAUSE = 2, 0x8000, 1, 0x1000
_RATE, _PITCH, _RANGE = 1, 3, 4
_WORDS_PER_MINUTE = 165
_IPA_TIED = 0x02 | 0x80 | ord("^") << 8
_PUNCTUATION = re.compile(r"([;:,.!?—…\"()“”।॥،؟۔]+)")
_POINTS = str.maketrans({"।": ".", "॥": ".", "۔": ".", "،": ",", "؟": "?"})
_SWITCH = re.compile(r"\([a-z^-]+\)")
_Callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p)


class Espeak:
    """Both of eSpeak's halves. The row's files are the library and its folder of data."""

    needs: ClassVar[tuple[str, ...]] = ()
    emotions: ClassVar[frozenset[str]] = frozenset()
    bends_pitch: ClassVar[bool] = True
    bends_speed: ClassVar[bool] = True

    def __init__(self, row: Row, files: Mapping[str, Path], device: str) -> None:
        library = files["libespeak-ng.so"]
        self._espeak: Any = ctypes.CDLL(str(library))
        # kept alive: the library calls back into it
        self._callback = _Callback(self._hear)
        self._heard: list[np.ndarray[Any, np.dtype[np.int16]]] = []
        self._espeak.espeak_TextToPhonemes.restype = ctypes.c_char_p
        self._rate: int = self._espeak.espeak_Initialize(_SYNCHRONOUS, 0, str(library.parent).encode(), _DONT_EXIT)
        if self._rate <= 0:
            raise EngineFailed("eSpeak NG does not accept its data.", remedy="Fetch it again.")
        self._espeak.espeak_SetSynthCallback(self._callback)

    @staticmethod
    def voices(row: Row) -> list[Voice]:
        """A man's and a woman's voice for each language; both are variants of one set of rules."""
        return [
            Voice(
                id=f"espeak-{language}{suffix}",
                language=language,
                gender=gender,
                kind="formant",
                title=f"eSpeak {title}",
                name=f"{_NAMES.get(language, language)}{variant}",
            )
            for language, title in LANGUAGES.items()
            if language in row.languages
            for suffix, gender, variant in _VARIANTS
        ]

    def speak(self, text: str, options: SpeakOptions) -> Iterator[Sound]:
        self._choose(options.voice.name)
        self._espeak.espeak_SetParameter(_RATE, round(_WORDS_PER_MINUTE * options.speed), 0)
        self._espeak.espeak_SetParameter(_PITCH, _bounded(50 * options.pitch**2), 0)
        self._espeak.espeak_SetParameter(_RANGE, _bounded(50 * options.pitch**3), 0)
        self._heard.clear()
        data = text.replace("\0", " ").encode() + b"\0"
        failed = self._espeak.espeak_Synth(data, len(data), 0, 1, 0, _UTF8 | _END_PAUSE, None, None)
        if failed:
            raise EngineFailed(f"eSpeak NG failed with {failed}.")
        if self._heard:
            yield Sound(np.concatenate(self._heard).astype(np.float32) / np.float32(32_768), self._rate)

    def phonemes(self, text: str, language: str) -> str:
        self._choose(_NAMES.get(language, language))
        # the library leaves punctuation out, and a neural voice takes its pauses from it
        return "".join(
            part.translate(_POINTS) + " " if _PUNCTUATION.fullmatch(part) else self._sounds(part)
            for part in _PUNCTUATION.split(text)
        ).strip()

    def _sounds(self, text: str) -> str:
        left = ctypes.c_char_p(text.replace("\0", " ").encode())
        heard = list[str]()
        while left.value:
            told = self._espeak.espeak_TextToPhonemes(ctypes.byref(left), _UTF8, _IPA_TIED)
            heard.append((told or b"").decode("utf-8", "replace").strip())
        return _SWITCH.sub("", " ".join(each for each in heard if each))

    def _choose(self, name: str) -> None:
        if self._espeak.espeak_SetVoiceByName(name.encode()):
            raise InvalidInput(f"eSpeak NG has no voice {name!r} here.", param="voice")

    def _hear(self, samples: Any, count: int, events: Any) -> int:
        if samples and count > 0:
            self._heard.append(np.ctypeslib.as_array(samples, (count,)).copy())
        return 0

    def close(self) -> None:
        self._espeak.espeak_Terminate()


def _bounded(value: float) -> int:
    return max(0, min(99, round(value)))
