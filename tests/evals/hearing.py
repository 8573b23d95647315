"""Words heard wrong, ours against raw faster-whisper: English recordings, and Hindi that a voice of ours has spoken.

Hindi has no recordings here, so its figures are of a round trip: they tell scripts and regressions, not what people's
speech would give.
"""

import asyncio
import json
import unicodedata
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import jiwer

from knowledge.library import LIBRARY, open_library
from tests.bench.speech import recording
from tests.bench.speech import write as write_wav
from tests.evals.words import word_errors
from tools.bench import Bench
from tools.errors import NotFound, SutradharError
from tools.listening import TranscribeInput, Transcript, transcribe
from tools.open import open_bench
from tools.settings import Settings
from tools.speech import RATE
from tools.speech.script import fidelity
from tools.store import WeightStore

Raw = Callable[[Path, str | None], Awaitable[str]]


async def run(home: Path, data: Path | None, quick: bool = False) -> dict[str, Any]:
    """`wer` and `cer` are shares, `fidelity` that of letters in the language's own script."""
    if data is None or not (data / "speech").is_dir():
        raise NotFound("The hearing eval needs recordings.", remedy="Give --data a folder with speech/ and qa/.")
    settings = Settings(home=home / "eval-hearing")
    async with open_bench(settings) as bare, open_library(":memory:") as library:
        bench = replace(bare, parts={LIBRARY.name: library})
        raw = await _raw(bench)
        english = await _english(bench, raw, data / "speech")
        try:
            hindi = await _hindi(bench, raw, data / "qa", 3 if quick else 12)
        except (SutradharError, ImportError) as error:
            hindi = {"hindi_skipped": str(error)}
    return {"model": "whisper-base", **english, **hindi}


async def _english(bench: Bench, raw: Raw, folder: Path) -> dict[str, Any]:
    audio, truth = await recording(folder, bench.settings)
    path = bench.settings.home / "english.wav"
    await asyncio.to_thread(write_wav, path, audio)
    ours = await _ours(bench, path, "en")
    theirs = await raw(path, "en")
    return {
        "english_seconds": round(len(audio) / RATE, 1),
        "english_ours_wer": round(word_errors(truth, _text(ours)), 4),
        "english_raw_wer": round(word_errors(truth, theirs), 4),
    }


async def _hindi(bench: Bench, raw: Raw, folder: Path, count: int) -> dict[str, Any]:
    """Ours and the raw model with the language told, and with the language detected."""
    from tools.speaking import SynthesizeInput, synthesize

    said, texts = _sentences(folder, count), dict[str, list[str]]()
    for text in said:
        spoken = await bench.call(synthesize, SynthesizeInput(text=text, language="hi", format="wav"))
        path = await bench.media.local(spoken.media)
        for name, language in (("told", "hi"), ("detected", None)):
            heard = await _ours(bench, path, language)
            texts.setdefault(f"ours_{name}", []).append(_text(heard))
            texts.setdefault(f"raw_{name}", []).append(await raw(path, language))
    figures: dict[str, Any] = {"hindi_sentences": len(said)}
    for name, heard_texts in texts.items():
        pairs = [_plain(text) for text in said], [_plain(text) for text in heard_texts]
        shares = [share for text in heard_texts if (share := fidelity(text, "hi")) is not None]
        figures[f"hindi_{name}_wer"] = round(float(jiwer.wer(*pairs)), 4)
        figures[f"hindi_{name}_cer"] = round(float(jiwer.cer(*pairs)), 4)
        figures[f"hindi_{name}_fidelity"] = round(sum(shares) / len(shares), 3) if shares else None
    return figures


def _sentences(folder: Path, count: int) -> list[str]:
    """Questions of XQuAD without digits and Latin letters, which have several right spellings."""
    articles = json.loads((folder / "xquad.hi.json").read_text(encoding="utf-8"))["data"]
    asked = [qa["question"] for article in articles for part in article["paragraphs"] for qa in part["qas"]]
    fit = [
        text
        for text in asked
        if 30 < len(text) < 90 and not any(c.isdigit() or (c.isascii() and c.isalpha()) for c in text)
    ]
    return fit[:: max(1, len(fit) // count)][:count]


async def _ours(bench: Bench, path: Path, language: str | None) -> Transcript:
    media = await bench.media.put(path, name=path.name)
    return await bench.call(transcribe, TranscribeInput(media=media.sha256, language=language))


async def _raw(bench: Bench) -> Raw:
    """faster-whisper as its documentation shows it, with its own detector of speech."""
    from faster_whisper import WhisperModel

    files = await WeightStore(bench.settings.cache, offline=False).ensure(bench.catalog.row("whisper-base"))
    model = WhisperModel(str(files["model.bin"].parent), device="cpu", compute_type="int8")

    def listen(path: Path, language: str | None) -> str:
        segments, _ = model.transcribe(
            str(path), language=language, beam_size=1, vad_filter=True, condition_on_previous_text=False
        )
        return " ".join(segment.text.strip() for segment in segments)

    async def raw(path: Path, language: str | None) -> str:
        return await asyncio.to_thread(listen, path, language)

    return raw


def _text(heard: Transcript) -> str:
    return " ".join(each.text for each in heard.segments)


def _plain(text: str) -> str:
    kept = [c if unicodedata.category(c)[0] in "LMN" else " " for c in unicodedata.normalize("NFC", text.casefold())]
    return " ".join("".join(kept).split()) or "∅"
