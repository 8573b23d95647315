"""Subtitles of timed text: SubRip and WebVTT, in cues that a viewer can read."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

_LONGEST = 7.0
"""Seconds of one cue, and letters of one that is cut by its words: two lines of 42."""
_LETTERS = 84


class Cue(NamedTuple):
    start: float
    end: float
    text: str


def srt(cues: Iterable[Cue]) -> str:
    return "\n".join(
        f"{number}\n{_clock(cue.start, ',')} --> {_clock(cue.end, ',')}\n{_line(cue.text)}\n"
        for number, cue in enumerate(cues, 1)
    )


def vtt(cues: Iterable[Cue]) -> str:
    blocks = [f"{_clock(cue.start, '.')} --> {_clock(cue.end, '.')}\n{_escaped(_line(cue.text))}\n" for cue in cues]
    return "\n".join(["WEBVTT\n", *blocks])


def readable(cue: Cue, words: Iterable[Cue]) -> Iterator[Cue]:
    """A cue cut between its words where it is too long; a cue without timed words stays whole."""
    held = list[Cue]()
    for word in words:
        letters = sum(len(each.text) + 1 for each in held) + len(word.text)
        if held and (letters > _LETTERS or word.end - held[0].start > _LONGEST):
            yield _joined(held)
            held = []
        held.append(word)
    yield _joined(held) if held else cue


def _joined(words: list[Cue]) -> Cue:
    return Cue(words[0].start, words[-1].end, " ".join(word.text for word in words))


def _clock(seconds: float, point: str) -> str:
    ms = round(seconds * 1000)
    return f"{ms // 3_600_000:02}:{ms // 60_000 % 60:02}:{ms // 1000 % 60:02}{point}{ms % 1000:03}"


def _line(text: str) -> str:
    # an empty line or an arrow would end the cue
    return " ".join(text.split()).replace("-->", "→")


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
