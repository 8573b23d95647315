"""IndicConformer by ONNX Runtime: one encoder for 22 languages of India; CTC or a transducer over one's own tokens.

The graphs, their names and the masks are those of ai4bharat/indic-conformer-600m-multilingual (its model_onnx.py, MIT);
its TorchScript preprocessor is replaced by `nemo_mel`.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tools.catalog import Row
from tools.errors import InvalidInput
from tools.onnx_session import open_session
from tools.speech import RATE, Heard, ListenOptions, Pcm, Word
from tools.speech.nemo_mel import BINS, HOP, features
from tools.speech.transducer import Token, Transducer
from tools.speech.windows import windows

_LONGEST = 15.0
"""Seconds heard at once: in longer stretches it loses words."""
_SHORTEST = RATE // 5
_PAUSE = 0.8
"""Seconds of silence that end a stretch of text."""
_SPACE = "\u2581"
_NAMES = {"gom": "kok"}
"""What ISO 639-3 calls Goan Konkani, its vocabulary calls Konkani."""


class IndicConformer:
    """Options of the row: `threads` (CPU threads, default all); `decoder`, `ctc` (all sounds of a pass at once) or
    `rnnt` (its publisher's more exact one, token by token)."""

    def __init__(self, row: Row, files: Mapping[str, Path], device: str) -> None:
        threads = int(row.options.get("threads", 0))
        self._title = row.title
        self._encoder = open_session(files["encoder.onnx"], device, threads)
        kind = row.options.get("decoder", "ctc")
        if kind not in ("ctc", "rnnt"):
            raise InvalidInput(f"{row.id!r} wants the decoder {kind!r}.", remedy="Choose `ctc` or `rnnt`.")
        self._decoder = open_session(files["ctc_decoder.onnx"], device, threads)
        self._transducer = Transducer(files, threads) if kind == "rnnt" else None
        self._vocabulary: dict[str, list[str]] = json.loads(files["vocab.json"].read_text(encoding="utf-8"))
        masks: dict[str, list[bool]] = json.loads(files["language_masks.json"].read_text(encoding="utf-8"))
        # the last of a language's columns is the blank that all of them share
        self._columns = {language: np.flatnonzero(mask) for language, mask in masks.items()}

    def transcribe(self, audio: Pcm, options: ListenOptions) -> Iterator[Heard]:
        """Speech as timed text, in order of time, each stretch as soon as it is known."""
        self._known(options)
        spans = windows(audio, options.windows, longest=_LONGEST)
        for first in range(0, len(spans), options.batch):
            batch = spans[first : first + options.batch]
            sounds = [audio[int(span.start * RATE) : int(span.end * RATE) + 1] for span in batch]
            for span, words in zip(batch, self._words(sounds, [options] * len(batch)), strict=True):
                for said in _stretches(words):
                    yield _heard(said, span.start, options, words=options.words)

    def hear(self, sounds: list[Pcm], options: list[ListenOptions]) -> list[Heard | None]:
        """Short sounds of different speakers in one pass, whatever their languages; None where nothing is said."""
        for each in options:
            self._known(each)
        pieces = [
            (number, span) for number, sound in enumerate(sounds) for span in windows(sound, None, longest=_LONGEST)
        ]
        cut = [sounds[number][int(span.start * RATE) : int(span.end * RATE)] for number, span in pieces]
        said: list[list[Word]] = [[] for _ in sounds]
        for (number, span), words in zip(pieces, self._words(cut, [options[n] for n, _ in pieces]), strict=True):
            said[number] += [_moved(word, span.start) for word in words]
        return [
            _heard(words, 0.0, each, words=True) if words else None for words, each in zip(said, options, strict=True)
        ]

    def _known(self, options: ListenOptions) -> str:
        if options.task != "transcribe":
            raise InvalidInput(f"{self._title} does not translate.", remedy="Choose a Whisper.", param="model")
        language = _NAMES.get(options.language or "", options.language or "")
        if language not in self._columns:
            raise InvalidInput(
                f"{self._title} does not know the language {options.language!r}."
                if options.language
                else f"{self._title} cannot tell which language is spoken.",
                remedy=f"Name one of: {', '.join(sorted(self._columns))}.",
                param="language",
            )
        return language

    def _words(self, sounds: list[Pcm], options: list[ListenOptions]) -> Iterator[list[Word]]:
        """The timed words of each sound, in one pass of the encoder."""
        if not sounds:
            return
        spectra = [features(np.pad(sound, (0, max(0, _SHORTEST - len(sound))))) for sound in sounds]
        lengths = np.array([each.shape[1] for each in spectra], dtype=np.int64)
        signal = np.zeros((len(spectra), BINS, int(lengths.max())), dtype=np.float32)
        for number, each in enumerate(spectra):
            signal[number, :, : each.shape[1]] = each
        encoded, frames = self._encoder.run(["outputs", "encoded_lengths"], {"audio_signal": signal, "length": lengths})
        step = HOP * max(1, round(signal.shape[2] / encoded.shape[2])) / RATE
        languages = [self._known(asked) for asked in options]
        for number, tokens in enumerate(self._tokens(encoded, frames, languages)):
            yield _spelt(tokens, self._vocabulary[languages[number]], step, len(sounds[number]) / RATE)

    def _tokens(
        self, encoded: NDArray[np.float32], frames: NDArray[np.int64], languages: list[str]
    ) -> Iterator[list[Token]]:
        """`encoded` is `[sounds, features, frames]`."""
        if self._transducer is not None:
            for number, language in enumerate(languages):
                yield self._transducer.tokens(encoded[number, :, : int(frames[number])], language)
            return
        (logits,) = self._decoder.run(["logprobs"], {"encoder_output": encoded})
        for number, language in enumerate(languages):
            yield _collapsed(logits[number, : int(frames[number])][:, self._columns[language]])


def _collapsed(logits: NDArray[np.float32]) -> list[Token]:
    """The best token of each frame, repeats joined and blanks dropped (greedy CTC). `logits` is `[frames, tokens]`."""
    shifted = logits - logits.max(axis=1, keepdims=True)
    sure = 1.0 / np.exp(shifted).sum(axis=1)
    best, blank = logits.argmax(axis=1), logits.shape[1] - 1
    edges = np.flatnonzero(np.diff(best)) + 1
    starts = [0, *edges.tolist()]
    return [
        Token(int(best[first]), first, last, float(sure[first:last].mean()))
        for first, last in zip(starts, [*starts[1:], len(best)], strict=True)
        if first < last and best[first] != blank
    ]


def _spelt(tokens: list[Token], vocabulary: list[str], step: float, length: float) -> list[Word]:
    """Tokens as words; a token that begins with a low line begins a word."""
    groups: list[list[Token]] = []
    for token in tokens:
        if not groups or vocabulary[token.number].startswith(_SPACE):
            groups.append([])
        groups[-1].append(token)
    words = []
    for group in groups:
        text = "".join(vocabulary[token.number] for token in group).replace(_SPACE, " ").strip()
        start, end = min(group[0].first * step, length), min(group[-1].last * step, length)
        sure = sum(token.sure for token in group) / len(group)
        if text:
            words.append(Word(round(start, 3), round(end, 3), text, round(min(1.0, sure), 4)))
    return words


def _stretches(words: list[Word]) -> Iterator[list[Word]]:
    """Words between which nobody was silent for long."""
    said: list[Word] = []
    for word in words:
        if said and word.start - said[-1].end > _PAUSE:
            yield said
            said = []
        said.append(word)
    if said:
        yield said


def _moved(word: Word, by: float) -> Word:
    return replace(word, start=round(word.start + by, 3), end=round(word.end + by, 3))


def _heard(said: list[Word], offset: float, options: ListenOptions, *, words: bool) -> Heard:
    timed = [_moved(word, offset) for word in said]
    return Heard(
        start=timed[0].start,
        end=timed[-1].end,
        text=" ".join(word.text for word in timed),
        language=options.language or "",
        confidence=round(sum(word.probability for word in timed) / len(timed), 4),
        words=timed if words else [],
    )
