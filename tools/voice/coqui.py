"""Coqui's models by coqui-tts (MPL-2.0): XTTS-v2, VITS, and Indic-TTS's FastPitch with HiFi-GAN.

Its checkpoints are pickles. All of them are read with `weights_only`, which torch enforces: tensors and plain values,
no code.
"""

import json
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from tools.catalog import Row
from tools.errors import EngineFailed, InvalidInput, NotInstalled
from tools.voice import Gender, Sound, SpeakOptions, Voice
from tools.voice.sentences import breaths
from tools.voice.torchaudio_stand_in import stand_in
from tools.voice.torched import drawing, importing, torch_device

_NEEDS = ("torch", "TTS")
_GENDERS: tuple[Gender, ...] = ("female", "male")
_PATHS = frozenset({"speakers_file", "d_vector_file", "language_ids_file", "stats_path", "tokenizer_file"})
_ENCODERS = frozenset({"speaker_encoder_model_path", "speaker_encoder_config_path"})
_XTTS_LETTERS = 150
"""Of Hindi; more than its text positions may come out cut."""


class Coqui:
    """A model of letters with the vocoder beside it: `fastpitch/…` and `hifigan/…`; or VITS alone, which has its own.

    The voices are the checkpoint's speakers; option `speakers` names them (`female male`), none for a single one.
    """

    needs: ClassVar[tuple[str, ...]] = _NEEDS
    emotions: ClassVar[frozenset[str]] = frozenset()
    bends_pitch: ClassVar[bool] = False
    bends_speed: ClassVar[bool] = True

    def __init__(self, row: Row, files: Mapping[str, Path], device: str) -> None:
        self._row, self._device = row, device
        with importing(row):
            stand_in()
            from TTS.utils.synthesizer import Synthesizer
        vocoder = files.get("hifigan/best_model.pth")
        with _checkpoint_failures(row), tempfile.TemporaryDirectory() as scratch:
            main = next(path for name, path in files.items() if name.endswith(".pth") and "speakers" not in name
                        and not name.startswith("hifigan/"))  # fmt: skip
            self._synthesizer: Any = Synthesizer(
                tts_checkpoint=main,
                tts_config_path=_here(main.parent, Path(scratch, "model.json")),
                vocoder_checkpoint=vocoder,
                vocoder_config=vocoder and _here(vocoder.parent, Path(scratch, "vocoder.json")),
                use_cuda=device.startswith("gpu"),
            )
        self._model: Any = self._synthesizer.tts_model
        self._length = float(self._model.length_scale)

    @staticmethod
    def voices(row: Row) -> list[Voice]:
        """The checkpoint's speakers for the row's language."""
        speakers = str(row.options.get("speakers", "")).split() or [""]
        return [
            Voice(
                id=f"{row.id}-{speaker}".removesuffix("-"),
                language=row.languages[0],
                gender=next((each for each in _GENDERS if each == speaker), "unknown"),
                kind="neural",
                name=speaker,
            )
            for speaker in speakers
        ]

    def speak(self, text: str, options: SpeakOptions) -> Iterator[Sound]:
        speaker = options.voice.name or None
        known = self._model.speaker_manager.speaker_names if self._model.speaker_manager else []
        if speaker and speaker not in known:
            raise InvalidInput(f"{self._row.title} has no speaker {speaker!r}.", param="voice")
        if not self._model.tokenizer.text_to_ids(text):
            raise EngineFailed(f"{self._row.title} knows none of the letters of {text[:40]!r}.")
        self._model.length_scale = self._length / options.speed
        with drawing(text, self._device):
            wave = self._synthesizer.tts(text, speaker_name=speaker, split_sentences=False)
        yield Sound(np.asarray(wave, dtype=np.float32), int(self._synthesizer.output_sample_rate))


class Xtts:
    """XTTS-v2 with the speakers that its publisher recorded; option `speakers` names those to be listed, with a comma.

    It could clone any voice from a recording. It does not here, because nothing yet keeps the consent of whose voice
    it is.
    """

    needs: ClassVar[tuple[str, ...]] = _NEEDS
    emotions: ClassVar[frozenset[str]] = frozenset()
    bends_pitch: ClassVar[bool] = False
    bends_speed: ClassVar[bool] = True

    def __init__(self, row: Row, files: Mapping[str, Path], device: str) -> None:
        self._row, self._device = row, device
        with importing(row):
            stand_in()
            from TTS.tts.configs.xtts_config import XttsConfig
            from TTS.tts.models.xtts import Xtts as Model
        with _checkpoint_failures(row):
            config = XttsConfig()
            config.load_json(str(files["config.json"]))
            self._model: Any = Model(config)
            self._model.load_checkpoint(config, checkpoint_dir=files["config.json"].parent, eval=True)
        self._model.to(torch_device(device))
        self._rate = int(config.audio.output_sample_rate)

    @staticmethod
    def voices(row: Row) -> list[Voice]:
        """Each speaker in each language of the row: XTTS lets all of them speak all languages."""
        listed = [each.strip().rpartition(":") for each in str(row.options.get("speakers", "")).split(",") if each]
        return [
            Voice(
                id=f"xtts-{language}-{name.lower().replace(' ', '-')}",
                language=language,
                gender="female" if gender == "f" else "male",
                kind="neural",
                title=name,
                name=name,
            )
            for language in row.languages
            for name, _, gender in listed
        ]

    def speak(self, text: str, options: SpeakOptions) -> Iterator[Sound]:
        speakers = self._model.speaker_manager.speakers if self._model.speaker_manager else {}
        if options.voice.name not in speakers:
            raise InvalidInput(f"{self._row.title} has no speaker {options.voice.name!r}.", param="voice")
        for piece in breaths(text, _XTTS_LETTERS):
            with drawing(piece, self._device):
                spoken = self._model.synthesize(
                    piece, speaker=options.voice.name, language=options.language, speed=options.speed
                )
            yield Sound(np.asarray(spoken["wav"], dtype=np.float32).reshape(-1), self._rate)


@contextmanager
def _checkpoint_failures(row: Row) -> Iterator[None]:
    """A checkpoint that would run code, or does not fit its configuration, is told as such."""
    from pickle import UnpicklingError

    try:
        yield
    except UnpicklingError as error:
        raise NotInstalled(
            f"A checkpoint of {row.title} holds more than tensors and is not loaded: {str(error).splitlines()[0]}",
            remedy="Fetch it from its publisher again.",
        ) from error
    except (RuntimeError, KeyError, FileNotFoundError, StopIteration) as error:
        first = (str(error) or type(error).__name__).strip().splitlines()[0]
        raise NotInstalled(
            f"The checkpoint of {row.title} does not fit its configuration: {first}.",
            remedy=f"Fetch it again: `sutradhar models fetch {row.id}`.",
        ) from error


def _here(folder: Path, to: Path) -> Path:
    """A copy of the configuration whose paths lead to this machine's files, not to those of whoever trained it."""
    told = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    to.write_text(json.dumps(_moved(told, folder)), encoding="utf-8")
    return to


def _moved(told: Any, folder: Path) -> Any:
    if isinstance(told, list):
        return [_moved(each, folder) for each in told]
    if not isinstance(told, dict):
        return told
    moved = {name: _moved(value, folder) for name, value in told.items()}
    for name in moved.keys() & (_PATHS | _ENCODERS):
        if isinstance(moved[name], str) and moved[name]:
            near = folder / Path(moved[name]).name
            # a speaker encoder was for training; a file that does not lie beside the model was left out with purpose
            moved[name] = str(near) if near.is_file() and name not in _ENCODERS else None
    return moved
