"""Indic Parler-TTS (AI4Bharat, Apache-2.0) by parler-tts: 44.1 kHz, and a sentence of English that says how to speak.

It runs in an environment of its own: parler-tts pins a transformers of 2024. Everything heavy is imported there.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from tools.errors import InvalidInput, NotInstalled
from tools.voice import Emotion, Gender, Sound, SpeakOptions, Voice
from tools.voice.sentences import breaths
from tools.voice.torched import drawing, folder_of, loaded_whole, torch_device

if TYPE_CHECKING:
    from tools.catalog import Row

_LETTERS = 220
"""Letters of one pass, about 20 s; it was trained on 30 s at most."""
_DESCRIBER = "description/"
"""Folder of the tokenizer that reads descriptions, the text encoder's own."""
_TONES: dict[Emotion, str] = {"neutral": "neutral", "happy": "happy", "sad": "sad", "angry": "angry"}
_PACES = ((0.7, "very slow"), (0.9, "slow"), (1.15, "moderate"), (1.5, "fast"))
_PITCHES = ((0.9, "low-pitched"), (1.1, "moderate-pitched"))
_GENDERS: dict[str, Gender] = {"f": "female", "m": "male"}


class Parler:
    """Option `speakers` of the row lists speakers that the description may name: `hi:Divya:f hi:Rohit:m …`."""

    needs: ClassVar[tuple[str, ...]] = ("parler_tts",)
    emotions: ClassVar[frozenset[str]] = frozenset(_TONES)
    bends_pitch: ClassVar[bool] = True
    bends_speed: ClassVar[bool] = True
    batch: ClassVar[int] = 8
    gains_on_cpu: ClassVar[bool] = True

    def __init__(self, row: Row, files: Mapping[str, Path], device: str) -> None:
        try:
            import parler_tts
            from transformers import AutoTokenizer
        except ImportError as error:
            raise NotInstalled(
                f"{row.title} runs in an environment of its own, and this one lacks what it needs ({error}).",
                remedy=f"Its row names the packages: `sutradhar models show {row.id}`.",
            ) from error
        folder = folder_of(files)
        self._device = device
        self._letters: Any = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        self._describer: Any = AutoTokenizer.from_pretrained(folder / _DESCRIBER, local_files_only=True)
        self._model: Any
        self._model, told = parler_tts.ParlerTTSForConditionalGeneration.from_pretrained(
            folder, local_files_only=True, output_loading_info=True
        )
        loaded_whole(row, told)
        self._model.eval().to(torch_device(device))

    @staticmethod
    def voices(row: Row) -> list[Voice]:
        """The speakers that it was trained with by name, the recommended ones of each language first."""
        told = (each.split(":") for each in str(row.options.get("speakers", "")).split())
        return [
            Voice(
                id=f"parler-{language}-{name.lower()}", language=language, gender=_GENDERS[gender],
                kind="neural", title=f"Parler {name}", name=name,
            )
            for language, name, gender in told
        ]  # fmt: skip

    def speak(self, text: str, options: SpeakOptions) -> Iterator[Sound]:
        for piece in breaths(text, _LETTERS):
            yield from self._pass([piece], options)

    def speak_all(self, texts: list[str], options: SpeakOptions) -> list[Sound]:
        """The texts in order; their pieces go through in batches."""
        pieces = [(place, piece) for place, text in enumerate(texts) for piece in breaths(text, _LETTERS)]
        spoken = list[list[Sound]]([] for _ in texts)
        for start in range(0, len(pieces), self.batch):
            group = pieces[start : start + self.batch]
            for (place, _), sound in zip(group, self._pass([piece for _, piece in group], options), strict=True):
                spoken[place].append(sound)
        return [Sound(np.concatenate([each.samples for each in sounds]), sounds[0].rate) for sounds in spoken]

    def _pass(self, texts: list[str], options: SpeakOptions) -> list[Sound]:
        manner = self._describer([description(options)] * len(texts), return_tensors="pt").to(self._model.device)
        said = self._letters(texts, padding=True, return_tensors="pt").to(self._model.device)
        with drawing("\n".join(texts), self._device):
            made = self._model.generate(
                input_ids=manner.input_ids,
                attention_mask=manner.attention_mask,
                prompt_input_ids=said.input_ids,
                prompt_attention_mask=said.attention_mask,
                return_dict_in_generate=True,
            )
        waves = made.sequences.float().cpu().numpy()
        rate = int(self._model.config.sampling_rate)
        return [
            Sound(np.ascontiguousarray(wave.reshape(-1)[: int(length)]), rate)
            for wave, length in zip(waves, made.audios_length, strict=True)
        ]


def description(options: SpeakOptions) -> str:
    """How to speak, in the words that the model was trained on."""
    name = options.voice.name
    if not name:
        raise InvalidInput("Parler speaks as one of its speakers.", remedy="Name a voice of the list.", param="voice")
    pace = next((word for most, word in _PACES if options.speed < most), "very fast")
    pitch = next((word for most, word in _PITCHES if options.pitch < most), "high-pitched")
    return (
        f"{name} speaks in a {_TONES[options.emotion]} tone with a {pitch} voice at a {pace} pace. "
        "The recording is of very high quality, with the speaker's voice sounding clear and very close up."
    )
