"""Silence, loud sounds and sound without speech are heard where they are."""

from collections.abc import AsyncIterator

import numpy as np
import pytest

from ingestion.sounds import RATE, levels, sounds
from tools.media.sound import Pcm

pytestmark = pytest.mark.anyio


def tone(seconds: float, level: float) -> Pcm:
    wave = np.sin(np.arange(int(seconds * RATE)) * 0.17) * 10 ** (level / 20) * np.sqrt(2)
    return np.asarray(wave, np.float32)


async def heard(*parts: Pcm, turns: list[tuple[float, float]] | None = None) -> list[tuple[float, float, str]]:
    whole = np.concatenate(parts)

    async def chunks() -> AsyncIterator[Pcm]:
        for start in range(0, len(whole), 10_001):
            yield whole[start : start + 10_001]

    return [tuple(each) for each in sounds(await levels(chunks()), turns)]  # type: ignore[misc]


async def test_silence_is_silence_from_two_seconds() -> None:
    quiet = tone(3, -30)
    assert await heard(quiet, tone(3, -80), quiet) == [(3.0, 6.0, "Silence.")]
    assert await heard(quiet, tone(1, -80), quiet) == []


async def test_a_sudden_loud_sound_and_no_gradual_one() -> None:
    assert await heard(tone(5, -40), tone(0.5, -6), tone(5, -40)) == [(5.0, 5.5, "A sudden loud sound.")]
    swelling = tone(20, 0) * np.linspace(0.01, 0.5, 20 * RATE, dtype=np.float32)
    assert await heard(swelling) == []


async def test_sound_between_turns_of_speech() -> None:
    music = tone(30, -25)
    assert await heard(music, turns=[(10.0, 20.0)]) == [
        (0.0, 10.0, "Sound without speech."),
        (20.25, 30.0, "Sound without speech."),
    ]
    assert await heard(music, turns=[(0.0, 30.0)]) == []
    assert await heard(music, turns=None) == []


async def test_no_sound_at_all() -> None:
    assert await heard(np.zeros(0, np.float32)) == []
