"""Whisper on short sounds. Its encoder is made to see only as much as there is, where every other pipeline pads to
30 s: five seconds cost a tenth. Sounds of different speakers share a pass.

Imported where it is needed: faster-whisper takes a second to import.
"""

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from faster_whisper import WhisperModel
from faster_whisper.tokenizer import Tokenizer
from faster_whisper.transcribe import get_suppressed_tokens, merge_punctuations
from numpy.typing import NDArray

from tools.speech import RATE, Heard, ListenOptions, Pcm, Word
from tools.speech.repeats import is_loop
from tools.speech.script import writings
from tools.speech.vocabulary import Vocabulary

_FRAMES = 100
"""Of the spectrogram in a second."""
_WHOLE = 3_000
_LEAST, _MARGIN, _AGAIN = 500, 300, 1_000
"""Frames of silence behind the speech: with one second of it Whisper falls into loops, with three it does not."""
_TOGETHER = 8
"""Sounds of a pass, at most."""
_TOKENS, _BYTES = 12, 40
"""Tokens in a second of speech at most; Whisper spells Indian scripts byte by byte."""
_SILENT, _UNSURE = 0.6, -1.0
_BEFORE, _AFTER = "\"'“¿([{-", "\"'.。,，!！?？:：”)]}、।॥۔"


@dataclass(frozen=True)
class Ear:
    """A model, and which of its tokens write which script."""

    model: WhisperModel
    vocabulary: Vocabulary

    @classmethod
    def of(cls, model: WhisperModel) -> "Ear":
        return cls(model, Vocabulary(model.hf_tokenizer))


def hear(ear: Ear, sounds: list[Pcm], options: list[ListenOptions]) -> list[Heard | None]:
    """What is said in each sound of at most 30 s."""
    untold = [sound for sound, each in zip(sounds, options, strict=True) if each.language is None]
    languages = iter(_languages(ear.model, untold))
    known = [each if each.language else replace(each, language=next(languages)) for each in options]
    found = dict[int, Heard | None]()
    alike: dict[tuple[Any, ...], list[int]] = {}
    for number, each in enumerate(known):
        alike.setdefault((each.language, each.task, each.beam, each.prompt, each.own_script), []).append(number)
    for numbers in alike.values():
        # those of a pass are encoded at the length of the longest: sounds of like length cost least together
        numbers.sort(key=lambda number: len(sounds[number]))
        for first in range(0, len(numbers), _TOGETHER):
            some = numbers[first : first + _TOGETHER]
            heard = _hear_alike(ear, [sounds[number] for number in some], known[some[0]])
            found.update(zip(some, heard, strict=True))
    return [found[number] for number in range(len(sounds))]


def language_of(model: WhisperModel, sound: Pcm) -> str:
    """The language of a sound of at most 30 s, ISO 639-1."""
    return _languages(model, [sound])[0]


def _languages(model: WhisperModel, sounds: list[Pcm]) -> list[str]:
    if not sounds:
        return []
    told = model.model.detect_language(_encoded(model, _features(model, sounds)))
    return [str(each[0][0]).strip("<|>") for each in told]


def _hear_alike(ear: Ear, sounds: list[Pcm], options: ListenOptions) -> list[Heard | None]:
    heard = _pass(ear, sounds, options, _features(ear.model, sounds))
    for number, each in enumerate(heard):
        if each is not None and is_loop(each.text):
            # a loop may come from the short window: once more with much silence behind the speech
            longer = min(_WHOLE, len(sounds[number]) * _FRAMES // RATE + _AGAIN)
            (whole,) = _pass(ear, [sounds[number]], options, _features(ear.model, [sounds[number]], longer))
            heard[number] = None if whole is None or is_loop(whole.text) else whole
    return heard


def _features(model: WhisperModel, sounds: list[Pcm], frames: int = 0) -> NDArray[np.float32]:
    """Spectrograms of the same length, silence at their ends."""
    longest = max(len(sound) for sound in sounds) * _FRAMES // RATE
    length = frames or min(_WHOLE, max(_LEAST, longest + _MARGIN))
    samples = length * RATE // _FRAMES
    padded = [np.pad(sound[:samples], (0, max(0, samples - len(sound)))) for sound in sounds]
    return np.stack([model.feature_extractor(sound, padding=0)[..., :length] for sound in padded])


def _encoded(model: WhisperModel, features: NDArray[np.float32]) -> Any:
    """On the CPU one by one: a batch outgrows its caches and takes a third longer. A GPU wants them together."""
    if model.model.device != "cpu" or len(features) == 1:
        return model.encode(features)
    from ctranslate2 import StorageView

    return StorageView.from_array(np.concatenate([np.asarray(model.encode(each[None])) for each in features]))


def _pass(ear: Ear, sounds: list[Pcm], options: ListenOptions, features: NDArray[np.float32]) -> list[Heard | None]:
    model = ear.model
    tokenizer = Tokenizer(model.hf_tokenizer, model.model.is_multilingual, options.task, options.language)
    before = tokenizer.encode(f" {options.prompt.strip()}") if options.prompt else []
    prompt = model.get_prompt(tokenizer, before, without_timestamps=True)
    seconds = max(len(sound) for sound in sounds) / RATE
    most = round(20 + seconds * (_BYTES if options.language in writings() else _TOKENS))
    encoded = _encoded(model, features)
    results = model.model.generate(
        encoded,
        [prompt] * len(sounds),
        beam_size=options.beam,
        max_length=min(model.max_length, len(prompt) + most),
        suppress_tokens=[*get_suppressed_tokens(tokenizer, [-1]), *_foreign(ear.vocabulary, options)],
        return_scores=True,
        return_no_speech_prob=True,
    )
    tokens = [[token for token in each.sequences_ids[0] if token < tokenizer.eot] for each in results]
    # an empty line cannot be aligned, and its words are not read
    lines = [each or tokenizer.encode(" .") for each in tokens]
    timed = model.find_alignment(tokenizer, lines, encoded, [len(sound) * _FRAMES // RATE for sound in sounds])
    return [
        _heard(tokenizer.decode(said), words, each, options, len(sound) / RATE) if said else None
        for said, words, each, sound in zip(tokens, timed, results, sounds, strict=True)
    ]


def _foreign(vocabulary: Vocabulary, options: ListenOptions) -> list[int]:
    """Tokens of scripts that no speech in an Indian language is written in; words of English may be among it."""
    writing = writings().get(options.language or "")
    if writing is None or options.task == "translate":
        return []
    return vocabulary.foreign(writing.scripts if options.own_script else [*writing.scripts, "Latn"])


def _heard(text: str, timed: list[dict[str, Any]], result: Any, options: ListenOptions, length: float) -> Heard | None:
    sure = result.scores[0]
    if not text.strip() or (result.no_speech_prob > _SILENT and sure < _UNSURE):
        return None
    merge_punctuations(timed, _BEFORE, _AFTER)
    words = [
        Word(
            round(min(float(each["start"]), length), 3),
            round(min(float(each["end"]), length), 3),
            each["word"].strip(),
            round(float(each["probability"]), 4),
        )
        for each in timed
        if each["word"].strip()
    ]
    language = "en" if options.task == "translate" else str(options.language)
    start, end = (words[0].start, words[-1].end) if words else (0.0, length)
    return Heard(start, end, text.strip(), language, round(math.exp(min(0.0, sure)), 4), words)
