"""Who speaks when, against conversations whose turns are known: real recordings, and voices of ours taking turns.

The threshold of the row was chosen on other voices of Kokoro than those here. Nobody talks over anybody: how overlaps
are told apart is not measured.
"""

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import cycle, permutations
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tests.bench.speech import write as write_wav
from tools.bench import Bench
from tools.diarizing import DiarizeInput, diarize
from tools.errors import NotFound
from tools.media.reader import read_pcm
from tools.open import open_bench
from tools.settings import Settings
from tools.speaking import Wish, saying
from tools.speech import RATE, Pcm
from tools.voice.sound import RATE as SPOKEN
from tools.voice.sound import resample, trimmed

ENGLISH = (
    "I looked at the plans for the new bridge this morning.",
    "They are better than I thought.",
    "What worries me is the ground on the northern side, which was under water for most of last winter.",
    "Has anybody asked the people who live there?",
    "Not yet. The first meeting is on Thursday evening.",
    "Then let us wait until they have been heard, before we spend any more money on it.",
)
HINDI = (
    "आज मौसम बहुत अच्छा है, चलो बाहर घूमने चलते हैं।",
    "मुझे पहले यह काम पूरा करना है, फिर मैं आऊँगा।",
    "ठीक है, मैं शाम को पाँच बजे तुम्हारा इंतज़ार करूँगा।",
    "क्या हम नदी के किनारे वाली दुकान पर मिल सकते हैं?",
)
MADE = {
    "two_women": ("bf_emma", "af_sarah"),
    "two_men": ("bm_george", "am_onyx"),
    "three": ("bf_isabella", "bm_lewis", "am_eric"),
    "four": ("bf_emma", "bm_daniel", "af_kore", "am_liam"),
    "alone": ("bm_lewis",),
}
_STEP = 0.01
_COLLAR = 0.25
"""Seconds around each true edge that are not judged."""


@dataclass(frozen=True)
class Said:
    who: str
    sound: Pcm


async def run(home: Path, data: Path | None, quick: bool = False) -> dict[str, Any]:
    """Shares of the judged speech: `error` is what was missed, invented or given to the wrong speaker."""
    if data is None or not (data / "speech").is_dir():
        raise NotFound("The diarization eval needs recordings.", remedy="Give --data a folder with speech/.")
    settings, figures = Settings(home=home / "eval-diarization"), dict[str, Any]()
    async with open_bench(settings) as bench:
        real = await _recorded(data / "speech", settings)
        figures["real_two"] = await judged(bench, real)
        for name, voices in list(MADE.items())[: 1 if quick else None]:
            figures[name] = await judged(bench, await spoken(bench, voices, ENGLISH, "en", len(voices) * 4))
        if not quick:
            hindi = await spoken(bench, ("hf_alpha", "hm_omega"), HINDI, "hi", 8)
            figures["hindi"] = await judged(bench, hindi)
            made = await spoken(bench, ("bf_emma", "am_liam"), ENGLISH, "en", 8)
            mixed = [each for pair in zip(real, made, strict=False) for each in pair]
            figures["real_and_made"] = await judged(bench, mixed)
    return figures | {"mean_error": round(float(np.mean([each["error"] for each in figures.values()])), 4)}


async def _recorded(folder: Path, settings: Settings) -> list[Said]:
    """One reader of eight short texts, and between them a president, in pieces of some seconds."""
    limits = settings.limits
    reader = [await read_pcm(folder / f"LJ001-000{number}.flac", limits) for number in range(1, 9)]
    jfk = await read_pcm(folder / "jfk.flac", limits)
    pieces = [jfk[: 3 * RATE], jfk[3 * RATE : 8 * RATE], jfk[8 * RATE :]]
    said = list[Said]()
    for clip, piece in zip(reader, [*pieces, *[None] * 8], strict=False):
        said.append(Said("reader", clip))
        if piece is not None:
            said.append(Said("president", piece))
    return said


async def spoken(bench: Bench, voices: Sequence[str], lines: Sequence[str], language: str, count: int) -> list[Said]:
    """Voices of ours taking turns; now and then one says two sentences running."""
    said = list[Said]()
    for number, (voice, line) in enumerate(zip(cycle(voices), cycle(lines), strict=False)):
        if number == count:
            break
        for text in (line, lines[(number + 2) % len(lines)])[: 2 if number % 3 == 0 else 1]:
            parts = [part async for part in saying(bench, Wish(language=language, voice=voice), text).parts()]
            said.append(Said(voice, trimmed(resample(np.concatenate(parts), SPOKEN, RATE), RATE)))
    return said


async def judged(bench: Bench, said: Sequence[Said]) -> dict[str, Any]:
    """Error of the tool's turns, and how many speakers it found."""
    audio, truth = laid(said)
    path = bench.settings.home / "conversation.wav"
    await asyncio.to_thread(write_wav, path, audio)
    media = (await bench.media.put(path, name=path.name)).sha256
    found = await diarize(DiarizeInput(media=media), bench)
    ours = [(each.start, each.end, each.speaker) for each in found.turns]
    return {
        "seconds": round(len(audio) / RATE, 1),
        "speakers": len({each.who for each in said}),
        "found": len(found.speakers),
        **error_rate(truth, ours, len(audio) / RATE),
    }


def laid(said: Sequence[Said]) -> tuple[Pcm, list[tuple[float, float, str]]]:
    """One after the other, with pauses between .2 and .8 s."""
    rng = np.random.default_rng(7)
    parts, turns, at = list[Pcm](), list[tuple[float, float, str]](), 0
    for each in said:
        pause = np.zeros(int(rng.uniform(0.2, 0.8) * RATE), np.float32)
        at += len(pause)
        turns.append((at / RATE, (at + len(each.sound)) / RATE, each.who))
        at += len(each.sound)
        parts += [pause, each.sound]
    return np.concatenate(parts), turns


Turns = Sequence[tuple[float, float, str]]


def error_rate(truth: Turns, ours: Turns, seconds: float) -> dict[str, float]:
    """Diarization error rate (NIST RT): over the judged time, with the best assignment of our speakers to the true."""
    steps = int(seconds / _STEP) + 1
    names, told = sorted({each[2] for each in truth}), sorted({each[2] for each in ours})
    who, us = _frames(truth, names, steps), _frames(ours, told, steps)
    judged = np.ones(steps, dtype=bool)
    for start, end, _ in truth:
        for edge in (start, end):
            judged[max(0, int((edge - _COLLAR) / _STEP)) : int((edge + _COLLAR) / _STEP)] = False
    who, us = who[judged], us[judged]
    spoken_ = max(1, int((who >= 0).sum()))
    missed, invented = int(((who >= 0) & (us < 0)).sum()), int(((who < 0) & (us >= 0)).sum())
    both = (who >= 0) & (us >= 0)
    counts = np.zeros((len(names), len(told)), dtype=np.int64)
    np.add.at(counts, (who[both], us[both]), 1)
    wrong = int(both.sum()) - max(_matches(counts))
    return {
        "error": round((missed + invented + wrong) / spoken_, 4),
        "missed": round(missed / spoken_, 4),
        "invented": round(invented / spoken_, 4),
        "confused": round(wrong / spoken_, 4),
    }


def _matches(counts: NDArray[np.int64]) -> Iterator[int]:
    """Frames that agree, for each assignment of ours to the true speakers (few of both)."""
    counts = counts if counts.shape[0] <= counts.shape[1] else counts.T
    yield 0
    for order in permutations(range(counts.shape[1]), counts.shape[0]):
        yield int(sum(counts[row, column] for row, column in enumerate(order)))


def _frames(turns: Turns, names: list[str], steps: int) -> NDArray[np.int64]:
    frames = np.full(steps, -1, dtype=np.int64)
    for start, end, name in turns:
        frames[int(start / _STEP) : int(end / _STEP)] = names.index(name)
    return frames
