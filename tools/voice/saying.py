"""A text spoken sentence by sentence: each by its cast, at one rate, as soon as it is there."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import Any

import numpy as np

from tools.bench import Bench
from tools.capability import Lease
from tools.errors import EngineFailed, InvalidInput, NotInstalled
from tools.isolation.child import find
from tools.voice import Emotion, Pcm, Phonemizer, Sound, SpeakOptions, TextToSpeech
from tools.voice.casting import Cast, Role
from tools.voice.sound import PROSODY, RATE, Prosody, finish, silence
from tools.voice.text import Prepared, Span, prepare
from tools.voice.text.scripts import devanagari_as_kannada

SLOWEST, FASTEST = 0.5, 2.0
_PAUSE = 0.28
"""Seconds between sentences at speed 1."""
_JOIN = 0.04
_SECONDS_A_LETTER = 1.2


class Saying:
    """One text on its way to sound. `parts` may be iterated once; `cast` tells who spoke, and what was substituted."""

    def __init__(self, cast: Cast, text: str, *, emotion: Emotion = "neutral", speed: float = 1.0) -> None:
        self.cast = cast
        self.emotion = emotion
        self.speed = speed
        self.prepared = prepared(text, cast.language)
        self.rates = set[int]()
        self.ahead = dict[tuple[str, str], Sound]()
        """What was spoken before it is asked for, by row and text."""

    @property
    def bent(self) -> bool:
        """Whether pitch, speed and energy were bent for an emotion that the engine does not have."""
        return self.emotion != "neutral" and self.emotion not in find(self.cast.lead.row.engine).emotions

    async def parts(self, rate: int = RATE) -> AsyncGenerator[Pcm, None]:
        """The sentences as mono samples; one that an engine fails at is spoken by the next engine."""
        async with _Engines(self.cast.bench) as engines:
            for number, sentence in enumerate(self.prepared.sentences):
                sound = await self._sentence(engines, sentence, rate)
                last = number + 1 == len(self.prepared.sentences)
                yield sound if last else np.concatenate((sound, silence(_PAUSE / self.speed, rate)))

    async def _sentence(self, engines: "_Engines", sentence: list[Span], rate: int) -> Pcm:
        while True:
            role = self.cast.lead
            try:
                sounds = list[Pcm]()
                for role, text, spans in self.turns(sentence):
                    sounds += [await self._turn(engines, role, text, spans, rate), silence(_JOIN, rate)]
                sound = np.concatenate(sounds[:-1])
                if fault := faulty(sound, rate, sum(len(span.text) for span in sentence), self.speed):
                    raise EngineFailed(f"{role.row.title} spoke badly: {fault}.")
                return sound
            except (EngineFailed, NotInstalled) as failure:
                try:
                    self.cast.replace(role, failure.message)
                except NotInstalled:
                    # nobody else can: the first reason says more than that
                    raise failure from None

    def turns(self, sentence: list[Span]) -> list[tuple[Role, str, list[Span]]]:
        """The sentence by who reads it; a voice that takes phonemes reads stretches of many languages in one breath."""
        turns = list[tuple[Role, str, list[Span]]]()
        for span in sentence:
            role = self.cast.role(span.language)
            if turns and turns[-1][0].voice == role.voice and role.row.options.get("phonemes"):
                turns[-1] = (turns[-1][0], f"{turns[-1][1]} {span.text}", [*turns[-1][2], span])
            else:
                turns.append((role, span.text, [span]))
        return turns

    def manner(self, role: Role) -> SpeakOptions:
        """How a role is to speak, as far as its engine heeds it; what it does not is done to the sound afterwards."""
        engine = find(role.row.engine)
        prosody, acts = self._prosody(role)
        return SpeakOptions(
            voice=role.voice,
            language=role.language,
            speed=self._speed(role) if engine.bends_speed else 1.0,
            pitch=prosody.pitch if engine.bends_pitch else 1.0,
            emotion=self.emotion if acts else "neutral",
        )

    def _prosody(self, role: Role) -> tuple[Prosody, bool]:
        acts = self.emotion in find(role.row.engine).emotions
        return PROSODY["neutral" if acts else self.emotion], acts

    def _speed(self, role: Role) -> float:
        prosody, _ = self._prosody(role)
        # a pitch that is made by playing faster is made up for by speaking slower
        return self.speed * prosody.speed / (1.0 if find(role.row.engine).bends_pitch else prosody.pitch)

    async def _turn(self, engines: "_Engines", role: Role, text: str, spans: list[Span], rate: int) -> Pcm:
        text = as_read(role, text, self.cast.language)
        spoken = self.ahead.pop((role.row.id, text), None)
        if spoken is None:
            spoken = await self._spoken(engines, role, text, spans)
        self.rates.add(spoken.rate)
        engine, (prosody, _) = find(role.row.engine), self._prosody(role)
        bent = 1.0 if engine.bends_pitch else prosody.pitch
        speed = 1.0 if engine.bends_speed else self._speed(role)
        return await asyncio.to_thread(finish, spoken.samples, spoken.rate, prosody, bent=bent, speed=speed, to=rate)

    async def _spoken(self, engines: "_Engines", role: Role, text: str, spans: list[Span]) -> Sound:
        lease = await engines.lease(role.row.id)
        options = replace(self.manner(role), phonemes=await self._phonemes(engines, role, spans))
        sounds, own = list[Pcm](), role.row.rate or RATE
        async for each in lease.stream(TextToSpeech.speak, text, options):
            sounds.append(each.samples)
            own = each.rate
        return Sound(np.concatenate(sounds) if sounds else np.zeros(0, np.float32), own)

    async def _phonemes(self, engines: "_Engines", role: Role, spans: list[Span]) -> str:
        maker = role.row.options.get("phonemes")
        if not maker:
            return ""
        lease: Lease[Phonemizer] = await engines.lease(str(maker))
        return " ".join([await lease.call(Phonemizer.phonemes, span.text, span.language) for span in spans])


def as_read(role: Role, text: str, language: str) -> str:
    """The text in the letters that the role reads."""
    return devanagari_as_kannada(text) if language == "sa" and role.language == "kn" else text


class _Engines:
    """The engines that one text needs, held until it is spoken."""

    def __init__(self, bench: Bench) -> None:
        self._bench = bench
        self._stack = AsyncExitStack()
        self._leases: dict[str, Lease[Any]] = {}

    async def __aenter__(self) -> "_Engines":
        await self._stack.__aenter__()
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._stack.aclose()

    async def lease(self, model: str) -> Lease[Any]:
        if model not in self._leases:
            self._leases[model] = await self._stack.enter_async_context(self._bench.models.use(model, self._bench.emit))
        return self._leases[model]


def prepared(text: str, language: str) -> Prepared:
    """The text made ready; raises `InvalidInput` when there is nothing to say."""
    found = prepare(text, language)
    if not found.sentences:
        other = f" but the scripts {', '.join(found.unread)}, which nobody here reads" if found.unread else ""
        raise InvalidInput(
            f"There is nothing to say in {text[:40]!r}: no word in it{other}.",
            remedy="Send text with letters or numbers.",
            param="text",
        )
    return found


def faulty(sound: Pcm, rate: int, letters: int, speed: float) -> str:
    """What is wrong with a spoken sentence that can be told without understanding it, or nothing."""
    seconds = len(sound) / rate
    if seconds == 0 or float(np.sqrt(np.mean(np.square(sound)))) < 1e-3:
        return "it is silent"
    if not np.isfinite(sound).all():
        return "it is not sound"
    most = 6.0 + _SECONDS_A_LETTER * letters / speed
    return f"{seconds:.0f} s for {letters} letters" if seconds > most else ""
