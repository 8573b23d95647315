"""Is it what was to be said? The speech transcribed back, and what can be told from its samples."""

import re
import unicodedata

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from tools.bench import Bench
from tools.catalog import Choice
from tools.errors import NotInstalled
from tools.speech import SPEECH_TO_TEXT, ListenOptions, Span, SpeechToText
from tools.voice import Pcm
from tools.voice.sound import resample
from tools.voice.text import Prepared

_LISTENING_RATE = 16_000
_CLIPPED = 0.999
_QUIET = 10 ** (-50 / 20)
_TRUSTED = frozenset({"en", "es", "fr", "it", "pt"})
_WORST = 0.5


class Check(BaseModel):
    """What listening to the speech told. Rates are 0..1 (a character error rate may be more)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    heard: str
    character_error_rate: float | None = Field(description="Against the prepared text; none where nothing was heard.")
    trusted: bool = Field(description="Whether the listening model knows the language well enough to judge by it.")
    listener: str
    clipped: float = Field(description="Share of samples at full scale.")
    silent: float = Field(description="Share of the time without sound.")
    seconds: float
    passed: bool


async def check(bench: Bench, samples: Pcm, rate: int, prepared: Prepared, language: str) -> Check:
    """Listen to what was spoken; a model that does not know the language well is heard, but does not fail it."""
    choice = _listener(bench, language)
    audio = resample(samples, rate, _LISTENING_RATE)
    options = ListenOptions(
        language=language if language in (choice.row.languages or _HEARS) else None, windows=windows(audio)
    )
    async with bench.models.use(choice.row.id, bench.emit) as ears:
        heard = [each.text async for each in ears.stream(SpeechToText.transcribe, audio, options)]
    wanted = " ".join(span.text for sentence in prepared.sentences for span in sentence)
    error = character_error_rate(wanted, " ".join(heard)) if heard else None
    frames = samples[: len(samples) // 441 * 441].reshape(-1, 441)
    clipped = float(np.mean(np.abs(samples) >= _CLIPPED)) if len(samples) else 0.0
    silent = float(np.mean(np.abs(frames).max(axis=1) < _QUIET)) if len(frames) else 1.0
    trusted = language in _TRUSTED
    return Check(
        heard=" ".join(" ".join(heard).split()),
        character_error_rate=None if error is None else round(error, 4),
        trusted=trusted,
        listener=choice.row.id,
        clipped=round(clipped, 5),
        silent=round(silent, 4),
        seconds=round(len(samples) / rate, 3),
        passed=clipped < 0.001 and silent < 0.6 and (not trusted or (error is not None and error <= _WORST)),
    )


def _listener(bench: Bench, language: str) -> Choice:
    """Who listens: one that knows the language, else whoever there is."""
    try:
        return bench.choose(SPEECH_TO_TEXT, language=language)
    except NotInstalled:
        return bench.choose(SPEECH_TO_TEXT)


_HEARS = frozenset("en hi pa gu mr bn ta te kn ml as ur sa ne sd es fr it pt".split())  # noqa: SIM905
"""Languages that Whisper has a name for."""


def windows(audio: Pcm) -> list[Span]:
    """The whole of it: synthetic speech needs no detector."""
    return [Span(0.0, len(audio) / _LISTENING_RATE)]


def character_error_rate(wanted: str, heard: str) -> float:
    """Edits by characters of what was wanted, without case, punctuation and spaces; numbers should be words in both."""
    truth, found = _letters(wanted), _letters(heard)
    if not truth:
        return 0.0 if not found else 1.0
    codes = np.fromiter(map(ord, found), dtype=np.int64, count=len(found))
    before = np.arange(len(found) + 1)
    for row, letter in enumerate(truth, start=1):
        least = np.minimum(before[1:] + 1, before[:-1] + (codes != ord(letter)))
        steps = np.concatenate(([row], least)) - np.arange(len(found) + 1)
        # an insertion may follow any cell to its left: the running minimum, with one edit a step
        before = np.minimum.accumulate(steps) + np.arange(len(found) + 1)
    return float(before[-1]) / len(truth)


def _letters(text: str) -> str:
    plain = unicodedata.normalize("NFKC", text).casefold()
    return re.sub(r"[\W_]+", "", "".join(each for each in plain if unicodedata.category(each)[0] in "LMN"))
