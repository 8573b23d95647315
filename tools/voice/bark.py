"""Bark (Suno, MIT) by transformers: text to meaning to sound codes to speech at 24 kHz; it can laugh and sigh."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from tools.catalog import Row
from tools.errors import InvalidInput, NotInstalled
from tools.voice import Emotion, Gender, Sound, SpeakOptions, Voice
from tools.voice.sentences import breaths
from tools.voice.torched import TRANSFORMERS, drawing, folder_of, importing, loaded_whole, torch_device

_TOKENS = 256
"""Text tokens that it reads; what is longer it would leave out."""
_LETTERS = 170
"""Letters of about 13 s: after 15 s its context is full, and the speech breaks off."""
_ACTS: dict[Emotion, str] = {"happy": "[laughs] ", "sad": "[sighs] "}
_PRESET = re.compile(r"(?:.*/)?(?P<id>(?P<language>[a-z]{2})_speaker_(?P<n>\d))(?:_semantic_prompt\.npy|\.npz)")
_PROMPTS = {"semantic_prompt": 1, "coarse_prompt": 2, "fine_prompt": 2}
"""Dimensions of what a preset holds."""
_FEMALE = {
    "en": "9", "de": "38", "es": "89", "fr": "125", "hi": "01349", "it": "279", "ja": "0134578", "ko": "0", "pl": "469",
    "ru": "569", "tr": "459", "zh": "45679",
}  # fmt: skip
"""Presets that are women's voices, after the list that Suno published with them; the others are men's."""


class Bark:
    """The row's files are the repository of the hub with the presets it is to have, `speaker_embeddings/v2/en_…`.

    Options of the row: `min_eos_p` (0.2), the probability of an end at which it stops, so that it does not babble on;
    0 lets it draw its end, too.
    It draws by chance: a text that is said again alone draws the same; in a batch it depends on the whole batch.
    """

    needs: ClassVar[tuple[str, ...]] = TRANSFORMERS
    emotions: ClassVar[frozenset[str]] = frozenset(_ACTS)
    bends_pitch: ClassVar[bool] = False
    bends_speed: ClassVar[bool] = False
    batch: ClassVar[int] = 8
    gains_on_cpu: ClassVar[bool] = True

    def __init__(self, row: Row, files: Mapping[str, Path], device: str) -> None:
        with importing(row):
            from transformers import AutoTokenizer, BarkModel
        folder = folder_of(files)
        self._row, self._files, self._device = row, files, device
        self._tokenizer: Any = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        self._model: Any
        # its weights are published as a pickle: only tensors are read out of it
        self._model, told = BarkModel.from_pretrained(
            folder, local_files_only=True, weights_only=True, output_loading_info=True
        )
        loaded_whole(row, told)
        self._model.eval().to(torch_device(device))
        self._presets: dict[str, dict[str, Any]] = {}

    @staticmethod
    def voices(row: Row) -> list[Voice]:
        """The presets whose files the row has, in its order."""
        found = [match for file in row.files if (match := _PRESET.fullmatch(file.name))]
        return [_voice(match["id"], match["language"], match["n"]) for match in found]

    def speak(self, text: str, options: SpeakOptions) -> Iterator[Sound]:
        for piece in breaths(text, _LETTERS):
            yield from self._pass([_acted(piece, options)], options)

    def speak_all(self, texts: list[str], options: SpeakOptions) -> list[Sound]:
        """The texts in order; their pieces go through in batches."""
        pieces = [
            (place, _acted(piece, options)) for place, text in enumerate(texts) for piece in breaths(text, _LETTERS)
        ]
        spoken = list[list[Sound]]([] for _ in texts)
        for start in range(0, len(pieces), self.batch):
            group = pieces[start : start + self.batch]
            for (place, _), sound in zip(group, self._pass([piece for _, piece in group], options), strict=True):
                spoken[place].append(sound)
        return [Sound(np.concatenate([each.samples for each in sounds]), sounds[0].rate) for sounds in spoken]

    def _pass(self, texts: list[str], options: SpeakOptions) -> list[Sound]:
        inputs = self._tokenizer(
            texts,
            padding="max_length",
            max_length=_TOKENS,
            truncation=True,
            add_special_tokens=False,
            return_token_type_ids=False,
            return_tensors="pt",
        ).to(self._model.device)
        with drawing("\n".join(texts), self._device):
            waves, lengths = self._model.generate(
                **inputs,
                history_prompt=self._preset(options.voice.id),
                return_output_lengths=True,
                do_sample=True,
                semantic_temperature=0.7,
                coarse_temperature=0.7,
                fine_temperature=0.5,
                min_eos_p=float(self._row.options.get("min_eos_p", 0.2)) or None,
            )
        rate = int(self._model.generation_config.sample_rate)
        heard = waves.float().cpu().numpy()
        return [Sound(np.ascontiguousarray(wave[:length]), rate) for wave, length in zip(heard, lengths, strict=True)]

    def _preset(self, voice: str) -> dict[str, Any]:
        if voice not in self._presets:
            import torch

            parts = _read(self._row, self._files, voice.removeprefix("bark-"))
            self._presets[voice] = {
                name: torch.from_numpy(part.astype(np.int64)).to(self._model.device) for name, part in parts.items()
            }
        return self._presets[voice]


def _voice(id: str, language: str, n: str) -> Voice:
    gender: Gender = "female" if n in _FEMALE.get(language, "") else "male"
    return Voice(
        id=f"bark-{id}", language=language, gender=gender, kind="neural", title=f"Bark {language} {n}", name=id
    )


def _acted(text: str, options: SpeakOptions) -> str:
    return _ACTS.get(options.emotion, "") + text


def _read(row: Row, files: Mapping[str, Path], preset: str) -> dict[str, Any]:
    """What the voice said and how, as arrays of tokens; a file that would need a pickle is refused."""
    found = dict[str, Any]()
    for name, path in files.items():
        try:
            if name.endswith(f"{preset}.npz"):
                with np.load(path, allow_pickle=False) as parts:
                    found |= {each: parts[each] for each in _PROMPTS if each in parts}
            elif (part := name.rpartition(f"{preset}_")[2].removesuffix(".npy")) in _PROMPTS and preset in name:
                found[part] = np.load(path, allow_pickle=False)
        except (ValueError, OSError) as error:
            raise NotInstalled(f"The preset {preset!r} of {row.title} cannot be read: {error}.") from error
    if not found:
        raise InvalidInput(f"{row.title} has no voice {preset!r}.", param="voice")
    if wrong := [each for each, dimensions in _PROMPTS.items() if each not in found or found[each].ndim != dimensions]:
        raise NotInstalled(
            f"The preset {preset!r} of {row.title} lacks a good {wrong[0]}.",
            remedy=f"Fetch it again: `sutradhar models fetch {row.id}`.",
        )
    return found
