"""VITS by transformers, as MMS-TTS publishes it: a small model for each language, letters in, speech at 16 kHz out."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from tools.catalog import Row
from tools.errors import EngineFailed, NotInstalled
from tools.voice import Gender, Sound, SpeakOptions, Voice
from tools.voice.torched import TRANSFORMERS, drawing, folder_of, importing, loaded_whole, torch_device


class Vits:
    """The row's files are one repository of the hub; option `gender` says whose voice it is, where that is known.

    VITS draws rhythm and breath by chance. A text that is said again alone draws the same; in a batch it depends on
    the whole batch.
    """

    needs: ClassVar[tuple[str, ...]] = TRANSFORMERS
    emotions: ClassVar[frozenset[str]] = frozenset()
    bends_pitch: ClassVar[bool] = False
    bends_speed: ClassVar[bool] = True
    batch: ClassVar[int] = 16
    gains_on_cpu: ClassVar[bool] = False

    def __init__(self, row: Row, files: Mapping[str, Path], device: str) -> None:
        with importing(row):
            from transformers import VitsModel, VitsTokenizer
        folder = folder_of(files)
        self._row, self._device = row, device
        self._tokenizer: Any = VitsTokenizer.from_pretrained(folder, local_files_only=True)
        _refuse_foreign_letters(row, self._tokenizer)
        self._model: Any
        self._model, told = VitsModel.from_pretrained(
            folder, local_files_only=True, use_safetensors=True, output_loading_info=True
        )
        loaded_whole(row, told)
        self._model.eval().to(torch_device(device))

    @staticmethod
    def voices(row: Row) -> list[Voice]:
        """The one voice of the row's language."""
        gender: Gender = "unknown"
        if (told := row.options.get("gender")) in {"female", "male"}:
            gender = "female" if told == "female" else "male"
        return [Voice(id=row.id, language=language, gender=gender, kind="neural") for language in row.languages[:1]]

    def speak(self, text: str, options: SpeakOptions) -> Iterator[Sound]:
        yield from self.speak_all([text], options)

    def speak_all(self, texts: list[str], options: SpeakOptions) -> list[Sound]:
        """The texts in one pass, in order."""
        for text in texts:
            if not self._tokenizer.prepare_for_tokenization(text)[0].strip():
                raise EngineFailed(f"{self._row.title} knows none of the letters of {text[:40]!r}.")
        inputs = self._tokenizer(texts, padding=True, return_tensors="pt").to(self._model.device)
        with drawing("\n".join(texts), self._device):
            spoken = self._model(**inputs, speaking_rate=options.speed)
        waves = spoken.waveform.float().cpu().numpy()
        lengths = [int(each) for each in spoken.sequence_lengths]
        rate = int(self._model.config.sampling_rate)
        return [Sound(np.ascontiguousarray(wave[:length]), rate) for wave, length in zip(waves, lengths, strict=True)]


def _refuse_foreign_letters(row: Row, tokenizer: Any) -> None:
    """The tokenizer would only warn and drop every letter that is not Latin."""
    if tokenizer.phonemize:
        raise NotInstalled(
            f"{row.title} reads phonemes of a GPL library that is not used here.",
            remedy="Use a checkpoint that reads letters, such as those of MMS-TTS.",
        )
    if tokenizer.is_uroman:
        from importlib.util import find_spec

        if find_spec("uroman") is None:
            raise NotInstalled(
                f"{row.title} reads its language in Latin letters, which uroman makes.",
                remedy="Install it: `pip install uroman`.",
            )
