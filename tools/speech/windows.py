"""Stretches of audio that a recogniser hears at once: at most 30 s, cut where it is quiet."""

from collections.abc import Iterable, Iterator

import numpy as np

from tools.speech import RATE, Pcm, Span

LONGEST = 30.0
"""Seconds that Whisper encodes at once, whatever the length of the speech in it."""
_SEARCH = 5.0
"""Seconds before a forced cut in which the quietest place is looked for, in short windows half of the window."""
_HUSH = 1_600
"""Samples (0.1 s) over which loudness is compared."""


def windows(audio: Pcm, turns: Iterable[Span] | None, *, longest: float = LONGEST, gap: float = 3.0) -> list[Span]:
    """Turns packed into windows of at most `longest` seconds; without turns, the whole audio cut into windows.

    Neighbours less than `gap` seconds apart share a window: a pass over 30 s costs as much as one over 2 s.
    """
    length = len(audio) / RATE
    whole = [Span(0.0, length)] if turns is None else [Span(max(0.0, t.start), min(length, t.end)) for t in turns]
    packed: list[Span] = []
    for piece in (p for turn in whole for p in _split(audio, turn, longest)):
        last = packed[-1] if packed else None
        if last and piece.start - last.end <= gap and piece.end - last.start <= longest:
            packed[-1] = Span(last.start, max(last.end, piece.end))
        else:
            packed.append(piece)
    return packed


def _split(audio: Pcm, turn: Span, longest: float) -> Iterator[Span]:
    start, search = turn.start, min(_SEARCH, longest / 2)
    while turn.end - start > longest:
        cut = quietest(audio, start + longest - search, start + longest)
        yield Span(start, cut)
        start = cut
    if turn.end > start:
        yield Span(start, turn.end)


def quietest(audio: Pcm, start: float, end: float) -> float:
    """The middle of the quietest tenth of a second between two times, in seconds."""
    first = int(start * RATE)
    part = audio[first : int(end * RATE)]
    count = len(part) // _HUSH
    if count == 0:
        return end
    loudness = np.square(part[: count * _HUSH]).reshape(count, _HUSH).mean(axis=1)
    return (first + (int(loudness.argmin()) + 0.5) * _HUSH) / RATE
