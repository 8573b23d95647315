"""Whisper by faster-whisper (CTranslate2), over the windows that a voice activity detector found.

Neither faster-whisper's own detector runs here nor its pipelines: one seeks through 30 s by the times that the model
writes and passes over sentences, the other loses words where it cuts.
"""

import os
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from tools.catalog import Row
from tools.errors import InvalidInput
from tools.speech import RATE, Heard, ListenOptions, Pcm
from tools.speech.windows import windows


class Whisper:
    """Options of the row: `compute_type` (int8), `cpu_threads` (CPU threads, default all).

    A row of one language is a Whisper that was tuned to it and is never asked which it is.
    """

    def __init__(self, row: Row, files: Mapping[str, Path], device: str) -> None:
        from faster_whisper import WhisperModel

        from tools.speech.quick import Ear

        kind, _, index = device.partition(":")
        self._only = row.languages[0] if len(row.languages) == 1 else None
        self._model = WhisperModel(
            str(files["model.bin"].parent),
            device="cuda" if kind == "gpu" else "cpu",
            device_index=int(index or 0),
            compute_type=str(row.options.get("compute_type", "int8" if kind == "cpu" else "int8_float16")),
            cpu_threads=int(row.options.get("cpu_threads", os.cpu_count() or 1)),
            local_files_only=True,
        )
        self._ear = Ear.of(self._model)

    def transcribe(self, audio: Pcm, options: ListenOptions) -> Iterator[Heard]:
        """Speech as timed text, in order of time, each stretch as soon as it is known."""
        from tools.speech.batched import Batched
        from tools.speech.quick import language_of

        options = replace(options, language=self._known(options.language))
        first = next(iter(windows(audio, options.windows)), None)
        if first is not None and options.language is None:
            # told by the first window and then kept: speakers rarely change it, a detector often
            sound = audio[int(first.start * RATE) : int(first.end * RATE)]
            options = replace(options, language=language_of(self._model, sound))
        yield from Batched(self.hear, options.batch).listen(audio, options)

    def hear(self, sounds: list[Pcm], options: list[ListenOptions]) -> list[Heard | None]:
        """Short sounds of different speakers in one pass, with timed words; None where nothing is said."""
        from tools.speech.quick import hear

        known = [replace(each, language=self._known(each.language)) for each in options]
        return hear(self._ear, sounds, known)

    def _known(self, language: str | None) -> str | None:
        language = language or self._only
        if language is not None and language not in self._model.supported_languages:
            raise InvalidInput(
                f"This Whisper does not know the language {language!r}.",
                remedy="Give an ISO 639-1 code such as en or hi, or none to have it detected.",
                param="language",
            )
        return language
