"""One live sound: its turns, what is said in them while they last, and what was said when they end."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from tools.capability import Lease
from tools.errors import InvalidInput
from tools.speech import FRAME, RATE, Heard, ListenOptions, Memory, Pcm, VoiceActivity, Word
from tools.speech.agreement import Agreement, joined
from tools.speech.script import fidelity, is_faithful, mends, prompt_for
from tools.speech.spelling import normalised
from tools.speech.windows import quietest

AHEAD = 30.0
"""Seconds of sound that may wait; whoever sends more has to wait."""
_FIRST, _STEP = 0.8, 1.0
"""Seconds of new sound before a turn is heard for the first time, and again."""
_ON, _OFF = 0.5, 0.35
_PAUSE = 0.6
"""Seconds of silence that end a turn."""
_LEAST = 0.25
"""Seconds of speech that make a turn."""
_PAD = 0.3
_MOST, _SEARCH = 20.0, 5.0
"""Seconds after which an endless turn is cut, in the quietest place of the last ones."""
_LONG, _TOO_LONG = 7.0, 12.0
"""Seconds after which a turn is cut behind a stable sentence, or behind whatever is stable."""
_LEAST_CUT = 2.0
_STOPS = tuple(".?!,;:।॥۔؟")

Hear = Callable[[Pcm, ListenOptions], Awaitable[Heard | None]]


@dataclass(frozen=True)
class TurnChanged:
    """Somebody began to speak, or fell silent, at this second."""

    turn: int
    started: bool
    at: float


@dataclass(frozen=True)
class Said:
    """What is said in a turn: `stable` words will not change any more, and in a final (`ended`) none will."""

    turn: int
    start: float
    end: float
    text: str
    stable: str
    language: str
    words: list[Word]
    confidence: float
    fidelity: float | None
    ended: bool


@dataclass
class _Turn:
    number: int
    start: float
    spoke: float
    """When speech was last heard."""
    heard: float
    """Up to where it has been listened to."""
    agreement: Agreement
    announced: bool = False
    latest: Heard | None = None


class Live:
    """Times are seconds of sound since the beginning, counted in samples."""

    def __init__(self, hear: Hear, detector: Lease[VoiceActivity], options: ListenOptions) -> None:
        self._hear = hear
        self._detector = detector
        self._options = replace(options, prompt=options.prompt or prompt_for(options.language), words=True)
        self._waiting: list[Pcm] = []
        self._backlog = 0
        self._changed = asyncio.Condition()
        self._ended = False
        self._held: Pcm = np.zeros(0, np.float32)
        self._offset = 0
        self._judged = 0
        self._memory: Memory | None = None
        self._speaking = False
        self._turn: _Turn | None = None
        self._turns = 0

    @property
    def seconds(self) -> float:
        """How much sound has been taken up."""
        return (self._offset + len(self._held)) / RATE

    @property
    def backlog(self) -> float:
        """Seconds of sound that wait."""
        return self._backlog / RATE

    async def feed(self, sound: Pcm) -> None:
        """More sound; waits while too much is waiting."""
        async with self._changed:
            await self._changed.wait_for(lambda: self._backlog < AHEAD * RATE)
            self._waiting.append(sound)
            self._backlog += len(sound)
            self._changed.notify_all()

    async def finish(self) -> None:
        """There is no more sound; `events` ends when all of it has been heard."""
        async with self._changed:
            self._ended = True
            self._changed.notify_all()

    async def events(self) -> AsyncGenerator[TurnChanged | Said, None]:
        """What happens, until `finish`; to be iterated once."""
        more = True
        while more:
            more = await self._take()
            async for event in self._follow():
                yield event
            turn = self._turn
            if turn is not None and turn.announced and self.seconds - turn.heard >= (_STEP if turn.latest else _FIRST):
                said = await self._listen(turn, self.seconds)
                if said is not None:
                    yield said
                async for event in self._shorten(turn):
                    yield event
            self._forget()
        if (turn := self._turn) is not None and turn.announced:
            yield await self._conclude(turn, self.seconds)
            yield TurnChanged(turn.number, started=False, at=round(turn.spoke, 3))

    async def _take(self) -> bool:
        """Wait for a fifth of a second of sound, then take all; False when there will be no more."""
        async with self._changed:
            await self._changed.wait_for(lambda: self._ended or self._backlog >= RATE // 5)
            self._held = np.concatenate((self._held, *self._waiting))
            self._waiting, self._backlog = [], 0
            self._changed.notify_all()
            return not self._ended

    async def _follow(self) -> AsyncGenerator[TurnChanged | Said, None]:
        """The turns that begin and end in the new sound."""
        first = self._judged - self._offset
        whole = (len(self._held) - first) // FRAME * FRAME
        if not whole:
            return
        fresh = self._held[first : first + whole]
        likely, self._memory = await self._detector.call(VoiceActivity.follow, fresh, self._memory)
        for value in likely:
            at = self._judged / RATE
            self._judged += FRAME
            self._speaking = bool(value >= (_OFF if self._speaking else _ON))
            if (turn := self._turn) is not None and self._judged / RATE - turn.start > _MOST:
                yield await self._cut(turn)
                yield TurnChanged(turn.number, started=False, at=round(turn.spoke, 3))
            if self._speaking:
                self._turn = self._turn or self._begin(max(at - _PAD, self._offset / RATE), spoke=at)
                self._turn.spoke = self._judged / RATE
                if not self._turn.announced and self._turn.spoke - self._turn.start >= _LEAST + _PAD:
                    self._turn.announced = True
                    yield TurnChanged(self._turn.number, started=True, at=round(self._turn.start, 3))
            elif (turn := self._turn) is not None and self._judged / RATE - turn.spoke >= _PAUSE:
                self._turn = None
                if turn.announced:
                    yield await self._conclude(turn, turn.spoke + _PAD)
                    yield TurnChanged(turn.number, started=False, at=round(turn.spoke, 3))

    def _begin(self, start: float, *, spoke: float) -> _Turn:
        self._turns += 1
        return _Turn(self._turns, start, spoke, start, Agreement())

    async def _shorten(self, turn: _Turn) -> AsyncGenerator[TurnChanged | Said, None]:
        """End a long turn after its last stable sentence: what is settled need not be heard again and again."""
        stable, rest = turn.agreement.stable, turn.agreement.rest
        if turn.latest is None or turn.heard - turn.start < _LONG or len(stable) < 2:
            return
        ends = [
            n for n, word in enumerate(stable, 1) if word.text[-1:] in _STOPS and word.end - turn.start > _LEAST_CUT
        ]
        count = ends[-1] if ends else len(stable) if turn.heard - turn.start > _TOO_LONG else 0
        following = [*stable[count:], *rest]
        if not count or not following:
            return
        at = max(stable[count - 1].end, (stable[count - 1].end + following[0].start) / 2)
        yield self._said(turn, turn.latest, stable[:count], ended=True)
        yield TurnChanged(turn.number, started=False, at=round(at, 3))
        self._turn = self._begin(at, spoke=turn.spoke)
        self._turn.heard, self._turn.announced = turn.heard, True
        self._turn.agreement = Agreement(stable[count:], rest)
        yield TurnChanged(self._turn.number, started=True, at=round(at, 3))

    async def _cut(self, turn: _Turn) -> Said:
        """End an endless turn where it was quiet, and begin the next one there."""
        until = self._local(turn.start) + _MOST
        at = quietest(self._held, until - _SEARCH, until) + self._offset / RATE
        self._turn = self._begin(at, spoke=max(at, turn.spoke))
        turn.spoke = at
        return await self._conclude(turn, at)

    async def _listen(self, turn: _Turn, until: float) -> Said | None:
        heard = await self._heard(turn, until)
        turn.heard = until
        if heard is None:
            return None
        turn.latest = heard
        rest = turn.agreement.hear(heard.words)
        return self._said(turn, heard, [*turn.agreement.stable, *rest], ended=False)

    async def _conclude(self, turn: _Turn, until: float) -> Said:
        """The turn's last word; what has been heard up to its end already is not heard again."""
        heard = turn.latest if turn.latest and turn.heard >= turn.spoke else await self._heard(turn, until)
        if heard is None:
            heard = Heard(turn.start, turn.spoke, "", self._options.language or "", 0.0, [])
        return self._said(turn, heard, turn.agreement.conclude(heard.words), ended=True)

    async def _heard(self, turn: _Turn, until: float) -> Heard | None:
        first, last = (round(self._local(second) * RATE) for second in (turn.start, until))
        heard = await self._hear(self._held[max(0, first) : last], self._options)
        if heard and self._options.task == "transcribe":
            if self._options.language is None:
                # a speaker's language is told once
                self._options = replace(
                    self._options, language=heard.language, prompt=self._options.prompt or prompt_for(heard.language)
                )
            if not is_faithful(heard.text, heard.language):
                wide = replace(self._options, prompt=prompt_for(heard.language), beam=5, own_script=True)
                again = await self._hear(self._held[max(0, first) : last], wide)
                heard = again if again and mends(again.text, heard.text, heard.language) else heard
        return heard.moved(turn.start) if heard else None

    def _said(self, turn: _Turn, heard: Heard, words: list[Word], *, ended: bool) -> Said:
        spelt = [replace(word, text=normalised(word.text, heard.language)) for word in words]
        stable = spelt if ended else spelt[: len(turn.agreement.stable)]
        return Said(
            turn=turn.number,
            start=round(words[0].start if words else turn.start, 3),
            end=round(words[-1].end if words else turn.spoke, 3),
            text=normalised(joined(spelt, heard.language), heard.language),
            stable=joined(stable, heard.language),
            language=heard.language,
            words=spelt,
            confidence=heard.confidence,
            fidelity=fidelity(heard.text, heard.language),
            ended=ended,
        )

    def _local(self, second: float) -> float:
        return second - self._offset / RATE

    def _forget(self) -> None:
        """Let go of sound that nobody will need."""
        needed = self._turn.start if self._turn else self._judged / RATE - _PAD
        drop = max(0, min(round(self._local(needed) * RATE), self._judged - self._offset))
        self._held = self._held[drop:]
        self._offset += drop


def samples(data: bytes, kind: Literal["pcm16", "float32"]) -> Pcm:
    """The sound of a binary message of little-endian samples; raises `InvalidInput` for half a sample."""
    size = 2 if kind == "pcm16" else 4
    if len(data) % size:
        raise InvalidInput(f"A message of {len(data)} bytes is no whole number of {kind} samples.")
    if kind == "float32":
        return np.nan_to_num(np.frombuffer(data, "<f4").astype(np.float32)).clip(-1, 1)
    return np.frombuffer(data, "<i2").astype(np.float32) / np.float32(32_768)
