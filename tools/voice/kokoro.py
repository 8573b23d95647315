"""Kokoro 82M (hexgrad, Apache-2.0) on ONNX Runtime: phonemes and a style in, speech at 24 kHz out."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import ClassVar

import numpy as np

from tools.catalog import Row
from tools.errors import InvalidInput
from tools.onnx_session import open_session
from tools.voice import Gender, Pcm, Sound, SpeakOptions, Voice

RATE = 24_000
_MOST = 508
"""Tokens of one pass, without the pads at both ends; a voice has a style for each length up to 510."""
_GENDERS: dict[str, Gender] = {"f": "female", "m": "male"}
_LANGUAGES = {"a": "en", "b": "en", "h": "hi", "e": "es", "f": "fr", "i": "it", "p": "pt"}
_ACCENTS = {"a": "American", "b": "British"}
_SYMBOLS = {
    **dict(zip(';:,.!?—…"()“” ', (*range(1, 7), *range(9, 17)), strict=True)),
    **dict(zip("\u0303ʣʥʦʨᵝꭧAIOQSTWYᵊ", (*range(17, 26), 31, 33, 35, 36, 39, 41, 42), strict=True)),
    **dict(zip("abcdef", range(43, 49), strict=True)),
    **dict(zip("hijklmnopqrstuvwxyz", range(50, 69), strict=True)),
    **dict(zip("ɑɐɒæβɔɕçɖðʤəɚɛɜɟɡ", (*range(69, 73), *range(75, 79), *range(80, 84), 85, 86, 87, 90, 92), strict=True)),
    **dict(zip("ɥɨɪʝɯɰŋɳɲɴøɸθœ", (99, *range(101, 104), *range(110, 117), *range(118, 121)), strict=True)),
    **dict(zip("ɹɾɻʁɽʂʃʈʧ", (123, 125, 126, *range(128, 134)), strict=True)),
    **dict(zip("ʊʋʌɣɤχʎʒʔ", (135, 136, 138, 139, 140, 142, 143, 147, 148), strict=True)),
    **dict(zip("ˈˌːʰʲ↓→↗↘ᵻ", (156, 157, 158, 162, 164, 169, 171, 172, 173, 177), strict=True)),
}  # fmt: skip
"""The model's vocabulary, as in the `config.json` of Kokoro-82M."""

# What the model was trained on differs from eSpeak's IPA; after hexgrad/misaki's espeak.py (MIT)
_EVERYWHERE = {
    "a^ɪ": "I",
    "a^ʊ": "W",
    "d^ʒ": "ʤ",
    "e^ɪ": "A",
    "o^ʊ": "O",
    "t^ʃ": "ʧ",
    "ɔ^ɪ": "Y",
    "t^s": "ʦ",
    "d^z": "ʣ",
}
_ENGLISH = {
    "ʔˌn\u0329": "tᵊn", "ʔn\u0329": "tᵊn", "ʔn": "tᵊn", "ʔ": "t", "ə^l": "ᵊl", "ʲo": "jo", "ʲə": "jə", "ʲ": "",
    "ɾ": "T", "r": "ɹ", "x": "k", "ç": "k", "ɐ": "ə", "ɬ": "l", "\u0303": "",
}  # fmt: skip
_AMERICAN = {"ɜːɹ": "ɜɹ", "ɜː": "ɜɹ", "ɚ": "əɹ", "ɪə": "iə", "ː": ""}
_BRITISH = {"e^ə": "ɛː", "iə": "ɪə", "ə^ʊ": "Q", "ɚ": "ə"}


class Kokoro:
    """The row's files are the model and one file of styles for each voice."""

    needs: ClassVar[tuple[str, ...]] = ()
    emotions: ClassVar[frozenset[str]] = frozenset()
    bends_pitch: ClassVar[bool] = False
    bends_speed: ClassVar[bool] = True

    def __init__(self, row: Row, files: Mapping[str, Path], device: str) -> None:
        (weights,) = [path for name, path in files.items() if name.endswith(".onnx")]
        self._session = open_session(weights, device, threads=int(row.options.get("onnx_threads", 0)))
        self._files = files
        self._styles: dict[str, Pcm] = {}

    @staticmethod
    def voices(row: Row) -> list[Voice]:
        """The voices whose files the row has, in its order."""
        return [_voice(Path(file.name).stem) for file in row.files if file.name.startswith("voices/")]

    def speak(self, text: str, options: SpeakOptions) -> Iterator[Sound]:
        style = self._style(options.voice.id)
        tokens = [_SYMBOLS[each] for each in as_trained(options.phonemes, options) if each in _SYMBOLS]
        for part in pieces(tokens):
            pads = np.array([[0, *part, 0]], dtype=np.int64)
            (sound, *_) = self._session.run(
                None,
                {
                    "tokens": pads,
                    "style": style[min(len(part), len(style) - 1)].reshape(1, -1),
                    "speed": np.array([options.speed], dtype=np.float32),
                },
            )
            yield Sound(np.asarray(sound, dtype=np.float32).reshape(-1), RATE)

    def _style(self, voice: str) -> Pcm:
        """Styles by the number of tokens, shape `[510, 256]`."""
        if voice not in self._styles:
            if (name := f"voices/{voice}.bin") not in self._files:
                raise InvalidInput(f"Kokoro has no voice {voice!r}.", param="voice")
            self._styles[voice] = np.fromfile(self._files[name], dtype=np.float32).reshape(-1, 256)
        return self._styles[voice]


def _voice(id: str) -> Voice:
    language, name = _LANGUAGES[id[0]], id.partition("_")[2].title()
    accent = f", {_ACCENTS[id[0]]}" if id[0] in _ACCENTS else ""
    return Voice(id=id, language=language, gender=_GENDERS[id[1]], kind="neural", title=f"{name}{accent}")


def as_trained(phonemes: str, options: SpeakOptions) -> str:
    """eSpeak's IPA in the letters that the model was trained on."""
    tables = [_EVERYWHERE]
    if options.language == "en":
        british = options.voice.id.startswith("b")
        tables = [_BRITISH if british else _AMERICAN, _EVERYWHERE, _ENGLISH]
    for table in tables:
        for theirs in sorted(table, key=len, reverse=True):
            phonemes = phonemes.replace(theirs, table[theirs])
    phonemes = re.sub("(\\S)\u0329", "ᵊ\\1", phonemes).replace("\u0329", "")
    return phonemes.replace("^", "").replace("-", "").replace("g", "ɡ")


def pieces(tokens: list[int]) -> Iterator[list[int]]:
    """Parts that fit into one pass, cut after punctuation where there is any, else between words."""
    while len(tokens) > _MOST:
        window = tokens[:_MOST]
        stops = [place for place, each in enumerate(window) if each <= 10 and place > _MOST // 4]
        gaps = [place for place, each in enumerate(window) if each == _SYMBOLS[" "]]
        cut = (stops or gaps or [_MOST - 1])[-1] + 1
        yield tokens[:cut]
        tokens = tokens[cut:]
    if tokens:
        yield tokens
