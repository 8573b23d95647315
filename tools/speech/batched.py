"""A recording in windows, several in one pass: cut in pauses, short, and each encoded no longer than it is.

Whisper over 30 s ends a window after its first sentences, or begins it in the middle, more often than over 12 s, and
its encoder costs more than in proportion to its length: two windows of 14 s take two thirds of one of 28 s.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from tools.speech import RATE, Heard, ListenOptions, Pcm, Span, Word
from tools.speech.coverage import LEAST, Pace, inside, letters
from tools.speech.repeats import Echoes
from tools.speech.windows import windows

Hear = Callable[[list[Pcm], list[ListenOptions]], list[Heard | None]]

LONGEST = 12.0
"""Seconds of a window."""
_HALF = 2.0
"""Seconds below which a window is not halved."""
_LINE = 6.0
"""Seconds after which a phrase may end at a comma."""
_SENTENCE = re.compile(r"[.!?…।॥。！？۔][\"'”’)\]]*$")
_CLAUSE = re.compile(r"[,;:،；，、]$")


@dataclass
class Batched:
    """Listens to one recording, up to `batch` windows at a time, and remembers how fast is spoken in it."""

    hear: Hear
    batch: int

    def __post_init__(self) -> None:
        self._pace = Pace()

    def listen(self, audio: Pcm, options: ListenOptions) -> Iterator[Heard]:
        """What is said in the options' windows, in order of time, each batch as soon as it is heard."""
        echoes = Echoes()
        for group in _groups(windows(audio, options.windows, longest=LONGEST), self.batch, hurry=options.hurry):
            texts = self._together(audio, group, options)
            self._again(audio, group, texts, options)
            for heard in (each for of_window in texts for each in of_window):
                if echoes.is_news(heard.text):
                    yield from phrases(heard, keep_words=options.words)

    def _together(self, audio: Pcm, spans: list[Span], options: ListenOptions) -> list[list[Heard]]:
        sounds = [audio[int(span.start * RATE) : int(span.end * RATE)] for span in spans]
        found = self.hear(sounds, [options] * len(sounds))
        return [[heard.moved(span.start)] if heard else [] for span, heard in zip(spans, found, strict=True)]

    def _again(self, audio: Pcm, group: list[Span], texts: list[list[Heard]], options: ListenOptions) -> None:
        """Hear windows whose text is too short for their speech by halves, all of them in one pass."""
        turns = [inside(options.windows or [], span.start, span.end) for span in group]
        seconds = [sum(turn.end - turn.start for turn in each) for each in turns]
        said = [" ".join(heard.text for heard in each) for each in texts]
        for text, length in zip(said, seconds, strict=True):
            self._pace.learn(text, length)
        thin = [
            number
            for number, (text, length) in enumerate(zip(said, seconds, strict=True))
            if length >= LEAST and (not text or self._pace.is_slow(text, length))
        ]
        halves = {number: _halves(audio, group[number], turns[number]) for number in thin}
        parts = [part for each in halves.values() for part in each]
        heard = iter(self._together(audio, parts, options) if parts else [])
        for number, each in halves.items():
            better = [piece for _ in each for piece in next(heard)]
            if sum(letters(piece.text) for piece in better) > letters(said[number]):
                texts[number] = better


def _groups(spans: list[Span], most: int, *, hurry: bool) -> Iterator[list[Span]]:
    """The windows together, the first alone where somebody may be waiting for the first text."""
    alone = 1 if hurry else 0
    if spans[:alone]:
        yield spans[:alone]
    for first in range(alone, len(spans), most):
        yield spans[first : first + most]


def _halves(audio: Pcm, span: Span, turns: list[Span]) -> list[Span]:
    length = span.end - span.start
    return windows(audio, turns, longest=length / 2) if length >= 2 * _HALF else []


def phrases(heard: Heard, *, keep_words: bool) -> Iterator[Heard]:
    """A window's text in sentences, and long sentences in clauses, by the times of its words."""
    if not heard.words:
        yield heard
        return
    held, at, text = list[Word](), 0, heard.text
    for number, word in enumerate(heard.words, 1):
        held.append(word)
        # a recogniser's word is a piece of its text; the letters between two words belong to the first
        found = text.find(word.text, at)
        at = at if found < 0 else found + len(word.text)
        if number == len(heard.words) or _ends(held):
            end = len(text) if number == len(heard.words) else at
            words = held if keep_words else []
            yield replace(heard, start=held[0].start, end=held[-1].end, text=text[:end].strip(), words=words)
            text, at, held = text[end:], 0, []


def _ends(words: list[Word]) -> bool:
    last = words[-1]
    return bool(_SENTENCE.search(last.text) or (last.end - words[0].start >= _LINE and _CLAUSE.search(last.text)))
