"""A recording followed piece by piece, and at its end who spoke when."""

from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from itertools import groupby
from typing import Protocol, TypeVar

from tools.bench import Bench
from tools.capability import Lease
from tools.catalog import Choice, Row
from tools.diarization import DIARIZATION, Diarization, Turn, Voices
from tools.errors import NotInstalled
from tools.speech import Span
from tools.speech.pieces import Piece
from tools.store import WeightStore


class Diarist:
    """Remembers how every stretch of a recording sounds: 1 kB for each .4 s of speech."""

    def __init__(self, lease: Lease[Diarization]) -> None:
        self._lease = lease
        self._voices = list[Voices]()
        self._spoken = list[Span]()

    @property
    def row(self) -> Row:
        return self._lease.row

    async def follow(self, piece: Piece, turns: list[Span]) -> None:
        """The next piece; `turns` are where somebody speaks in it."""
        self._spoken += [Span(piece.start + each.start, piece.start + each.end) for each in turns]
        self._voices.append((await self._lease.call(Diarization.listen, piece.audio, turns)).moved(piece.start))

    async def turns(self, speakers: int | None) -> list[Turn]:
        """Who spoke when, in seconds of the medium."""
        return await self._lease.call(Diarization.turns, Voices.joined(self._voices), self._spoken, speakers)


@asynccontextmanager
async def diarist(bench: Bench, *, wanted: bool, model: str | None = None) -> AsyncIterator[Diarist | None]:
    """Somebody who tells speakers apart, or none where that is not wanted."""
    if not wanted:
        yield None
    else:
        choice = bench.choose(DIARIZATION, model=model)
        async with bench.models.use(choice.row.id, bench.emit) as lease:
            yield Diarist(lease)


def installed(bench: Bench) -> Choice | None:
    """Who would tell speakers apart without anything being fetched for it."""
    store = WeightStore(bench.settings.cache, offline=True)
    with suppress(NotInstalled):
        return next((each for each in bench.candidates(DIARIZATION) if not store.missing(each.row)), None)
    return None


class Timed(Protocol):
    @property
    def start(self) -> float: ...
    @property
    def end(self) -> float: ...


class Said(Timed, Protocol):
    @property
    def text(self) -> str: ...


W = TypeVar("W", bound=Said)


class Spoke(Timed, Protocol):
    @property
    def speaker(self) -> str | None: ...


def speaker_of(turns: Sequence[Spoke], start: float, end: float) -> str | None:
    """Who speaks most of that time; where nobody does, who speaks nearest to it."""
    shares = dict[str | None, float]()
    for turn in turns:
        if (share := min(end, turn.end) - max(start, turn.start)) > 0:
            shares[turn.speaker] = shares.get(turn.speaker, 0.0) + share
    if shares:
        return max(shares, key=lambda speaker: shares[speaker])
    middle = (start + end) / 2
    near = min(turns, key=lambda turn: max(turn.start - middle, middle - turn.end), default=None)
    return None if near is None else near.speaker


@dataclass(frozen=True)
class Part:
    """What one speaker says of a text."""

    speaker: str | None
    start: float
    end: float
    text: str


def said_by(
    turns: Sequence[Spoke], start: float, end: float, text: str, words: Sequence[W]
) -> Iterator[tuple[Part, list[W]]]:
    """A text by its speakers, and which of its words they say; whole where the words have no times."""
    speakers = [speaker_of(turns, word.start, word.end) for word in words]
    if len(set(speakers)) < 2:
        yield Part(speaker_of(turns, start, end), start, end, text), list(words)
        return
    for speaker, group in groupby(zip(speakers, words, strict=True), key=lambda pair: pair[0]):
        said = [word for _, word in group]
        yield Part(speaker, said[0].start, said[-1].end, " ".join(word.text for word in said)), said
