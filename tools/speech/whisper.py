"""Whisper by faster-whisper (CTranslate2), over the windows that a voice activity detector found.

faster-whisper's own detector never runs here: windows come with the options, or the audio is cut where it is quiet.
"""

import math
import os
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from tools.catalog import Row
from tools.errors import InvalidInput
from tools.speech import RATE, Heard, ListenOptions, Pcm, Span, Word
from tools.speech.coverage import Pace, missed, said_again
from tools.speech.repeats import Echoes, is_loop
from tools.speech.windows import windows

if TYPE_CHECKING:
    from faster_whisper.transcribe import Segment

_STRETCH = 300.0
"""Seconds of audio whose features are held at once; bounds memory to about 150 MB however long the audio is."""
_BACK = 0.5
"""Seconds by which a text may end before the one before it; what ends earlier was said already."""
_SHORT = 20.0
"""Seconds of a gap that are heard at once."""
_SILENT = 0.6
_UNSURE = math.exp(-1.0)
"""Confidence, the mean over the tokens, at which Whisper guesses."""


class Whisper:
    """Options of the row: `compute_type` (int8), `cpu_threads` (CPU threads, default all).

    A row of one language is a Whisper that was tuned to it and is never asked which it is.
    """

    def __init__(self, row: Row, files: Mapping[str, Path], device: str) -> None:
        from faster_whisper import WhisperModel

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

    def transcribe(self, audio: Pcm, options: ListenOptions) -> Iterator[Heard]:
        """Speech as timed text, in order of time, each stretch as soon as it is known."""
        options = replace(options, language=self._known(options.language))
        yield from (self._batched if _is_batched(options) else self._in_turn)(audio, options)

    def hear(self, sounds: list[Pcm], options: list[ListenOptions]) -> list[Heard | None]:
        """Short sounds of different speakers in one pass, with timed words; None where nothing is said."""
        from tools.speech.quick import hear

        known = [replace(each, language=self._known(each.language)) for each in options]
        return hear(self._model, sounds, known)

    def _known(self, language: str | None) -> str | None:
        language = language or self._only
        if language is not None and language not in self._model.supported_languages:
            raise InvalidInput(
                f"This Whisper does not know the language {language!r}.",
                remedy="Give an ISO 639-1 code such as en or hi, or none to have it detected.",
                param="language",
            )
        return language

    def _batched(self, audio: Pcm, options: ListenOptions) -> Iterator[Heard]:
        from tools.speech.batched import Batched
        from tools.speech.quick import language_of

        first = next(iter(windows(audio, options.windows)), None)
        if first is not None and options.language is None:
            sound = audio[int(first.start * RATE) : int(first.end * RATE)]
            options = replace(options, language=language_of(self._model, sound))
        yield from Batched(self.hear, options.batch).listen(audio, options)

    def _in_turn(self, audio: Pcm, options: ListenOptions) -> Iterator[Heard]:
        echoes = Echoes()
        # a pass goes on by itself from where its last sentence ended; each window costs it one pass more
        for group in _stretches(windows(audio, options.windows, longest=_STRETCH)):
            first, last = group[0].start, group[-1].end
            part = audio[int(first * RATE) : int(last * RATE) + 1]
            local = [Span(each.start - first, each.end - first) for each in group]
            segments, info = self._model.transcribe(
                part,
                clip_timestamps=[edge for span in local for edge in (span.start, span.end)],
                condition_on_previous_text=False,
                language=options.language,
                task=options.task,
                beam_size=options.beam,
                vad_filter=False,
            )
            # the language is told by the first stretch and then kept: speakers rarely change it, a detector often
            options = replace(options, language=info.language)
            turns = [Span(each.start - first, each.end - first) for each in options.windows or []]
            for heard in self._whole(part, segments, replace(options, windows=turns)):
                if echoes.is_news(heard.text):
                    yield heard.moved(first)

    def _whole(self, audio: Pcm, segments: Iterator["Segment"], options: ListenOptions) -> Iterator[Heard]:
        """The segments that are speech, and between them what was passed over or came out as a loop, heard again."""
        before, done, length, pace, turns = "", 0.0, len(audio) / RATE, Pace(), options.windows or []
        for segment in segments:
            if _is_speech(segment) and segment.end > done - _BACK:
                yield from self._again(audio, missed(turns, done, segment.start), before, options)
                yield _heard(segment, options)
                before, done = segment.text, max(done, segment.end)
                unheard = pace.unheard(segment.text, turns, segment.start, segment.end)
                yield from self._again(audio, unheard, before, options)
        yield from self._again(audio, missed(turns, done, length), before, options)

    def _again(self, audio: Pcm, gap: Span | None, before: str, options: ListenOptions) -> Iterator[Heard]:
        """What is said in a gap, and in what hearing it again passes over once more.

        Gaps are short, and hearing them as short sounds costs a fraction of a pass over 30 s.
        """
        while gap is not None:
            done, spans = gap.start, windows(audio, [gap], longest=_SHORT)
            sounds = [audio[int(span.start * RATE) : int(span.end * RATE)] for span in spans]
            for span, heard in zip(spans, self.hear(sounds, [options] * len(sounds)), strict=True):
                if heard is None or heard.confidence <= _UNSURE:
                    continue
                done = max(done, span.start + heard.end)
                known = said_again(heard.text, before)
                if known < len(heard.text.split()):
                    yield _without(heard, known, options).moved(span.start)
                    before = heard.text
            rest = missed(options.windows or [], done, gap.end)
            # each round begins later, so there is a last one
            gap = rest if rest is not None and rest.start > gap.start else None


def _is_batched(options: ListenOptions) -> bool:
    # a word's time may move a sequential pass back by a second and say its words twice; batched passes never seek.
    # And a sequential pass forgets its prompt after the first 30 s
    return options.batch > 1 or options.words or options.prompt is not None


def _stretches(spans: list[Span]) -> Iterator[list[Span]]:
    """Windows in groups that lie within a bounded stretch of audio."""
    group: list[Span] = []
    for span in spans:
        if group and span.end - group[0].start > _STRETCH:
            yield group
            group = []
        group.append(span)
    if group:
        yield group


def _without(heard: Heard, words: int, options: ListenOptions) -> Heard:
    """From behind its first words; with timed words only if they are wanted."""
    timed = heard.words[words:]
    start = timed[0].start if words and timed else heard.start
    text = " ".join(heard.text.split()[words:])
    return replace(heard, text=text, start=start, words=timed if options.words else [])


def _is_speech(segment: "Segment") -> bool:
    silent = segment.no_speech_prob > _SILENT and math.exp(segment.avg_logprob) < _UNSURE
    return not silent and not is_loop(segment.text)


def _heard(segment: "Segment", options: ListenOptions) -> Heard:
    words = [
        Word(round(word.start, 3), round(word.end, 3), word.word.strip(), round(word.probability, 4))
        for word in segment.words or []
    ]
    sure = sum(word.probability for word in words) / len(words) if words else math.exp(min(0.0, segment.avg_logprob))
    start = round(segment.start, 3)
    return Heard(
        start=start,
        end=max(start, round(segment.end, 3)),
        text=segment.text.strip(),
        language="en" if options.task == "translate" else str(options.language),
        confidence=round(min(1.0, sure), 4),
        words=words,
    )
