"""Fifteen languages spoken and heard again: who speaks, errors of the round trip, the first sound of a stream, a batch.

`first_audio_ratio` is the wait for the first bytes of a streamed paragraph through the whole path, by the engine's own
time for its first sentence in the same round; `batch_ratio` is texts one at a time by the same texts at once.
"""

import statistics
import time
from pathlib import Path
from typing import Any

import numpy as np

from api.speaking import chunks, two_at_a_time
from tools.bench import Bench
from tools.open import open_bench
from tools.settings import Settings
from tools.speaking import VoicesInput, Wish, list_voices, saying, swaps
from tools.voice import Pcm, Phonemizer, SpeakOptions, TextToSpeech
from tools.voice.casting import Role
from tools.voice.checking import check
from tools.voice.saying import Saying
from tools.voice.sound import RATE

SAID = {
    "hi": "आज मौसम बहुत अच्छा है। मैंने ₹500 में दो किताबें खरीदीं।",
    "pa": "ਅੱਜ ਮੌਸਮ ਬਹੁਤ ਚੰਗਾ ਹੈ। ਮੈਂ ₹500 ਵਿੱਚ ਦੋ ਕਿਤਾਬਾਂ ਖਰੀਦੀਆਂ।",
    "gu": "આજે હવામાન ખૂબ સારું છે. મેં ₹500 માં બે પુસ્તકો ખરીદ્યાં.",
    "mr": "आज हवामान खूप छान आहे. मी ₹500 मध्ये दोन पुस्तके घेतली.",
    "bn": "আজ আবহাওয়া খুব ভালো। আমি ₹500 দিয়ে দুটি বই কিনেছি।",
    "ta": "இன்று வானிலை மிகவும் நன்றாக உள்ளது. நான் ₹500க்கு இரண்டு புத்தகங்கள் வாங்கினேன்.",
    "te": "ఈరోజు వాతావరణం చాలా బాగుంది. నేను ₹500 కు రెండు పుస్తకాలు కొన్నాను.",
    "kn": "ಇಂದು ಹವಾಮಾನ ತುಂಬಾ ಚೆನ್ನಾಗಿದೆ. ನಾನು ₹500 ಕ್ಕೆ ಎರಡು ಪುಸ್ತಕಗಳನ್ನು ಕೊಂಡೆ.",
    "ml": "ഇന്ന് കാലാവസ്ഥ വളരെ നല്ലതാണ്. ഞാൻ ₹500 ന് രണ്ട് പുസ്തകങ്ങൾ വാങ്ങി.",
    "or": "ଆଜି ପାଗ ବହୁତ ଭଲ ଅଛି। ମୁଁ ₹500 ରେ ଦୁଇଟି ବହି କିଣିଲି।",
    "as": "আজি বতৰ বৰ ভাল। মই ₹500 ত দুখন কিতাপ কিনিলোঁ।",
    "kok": "आयज हवामान बरें आसा. हांवें ₹500 क दोन पुस्तकां घेतलीं.",
    "sa": "अद्य वातावरणं शोभनम् अस्ति। धर्मक्षेत्रे कुरुक्षेत्रे समवेताः युयुत्सवः॥",
    "ur": "آج موسم بہت اچھا ہے۔ میں نے دو کتابیں خریدیں۔",
    "en": "The weather is very good today. I bought two books for five hundred rupees.",
}
ENGLISH = (
    "The quick brown fox jumps over the lazy dog near the river bank.",
    "She opened the old wooden door and walked slowly into the garden.",
    "Our train leaves the central station early in the morning.",
    "Please remember to water the plants while we are away.",
    "The committee will discuss the new budget on Monday afternoon.",
    "A gentle wind carried the smell of rain across the valley.",
)
PARAGRAPH = " ".join(ENGLISH)


async def run(home: Path, data: Path | None, quick: bool = False) -> dict[str, Any]:
    """Figures; Whisper base hears Indian languages badly, so that only English errors are a judgement."""
    settings = Settings(home=home / "eval-speaking")
    async with open_bench(settings) as bench:
        figures = {"languages": await _languages(bench, quick), "english": await _english(bench, quick)}
        figures["first_audio"] = await _first_audio(bench, 2 if quick else 5)
        figures["batch"] = await _batch(bench, 2 if quick else 3)
    return figures


async def _languages(bench: Bench, quick: bool) -> dict[str, Any]:
    """By language: every voice speaks (the first of each engine, with `quick`), and what the response says."""
    told: dict[str, Any] = {}
    for language, text in SAID.items():
        found = (await list_voices(VoicesInput(language=language), bench)).voices
        if quick or language == "en":
            found = list({(each.engine, each.gender): each for each in found}.values())
        spoke = list[str]()
        said, sound, seconds = None, np.zeros(0, np.float32), 0.0
        for voice in found:
            said = saying(bench, Wish(language=language, voice=_asked(language, voice.id, voice.gender)), text)
            began = time.perf_counter()
            sound = await _all(said)
            seconds = time.perf_counter() - began
            if len(sound) / RATE > 1 and np.sqrt(np.mean(sound**2)) > 0.01:
                spoke.append(voice.id)
        first = saying(bench, Wish(language=language), text)
        heard = await check(bench, await _all(first), RATE, first.prepared, language)
        lead = first.cast.lead
        told[language] = {
            "engine": lead.row.id,
            "voice": lead.voice.id,
            "kind": lead.voice.kind,
            "native_rate": lead.row.rate,
            "substitutions": [each.model_dump() for each in swaps(first)],
            "voices": len(found),
            "voices_that_spoke": len(set(spoke)),
            "last_real_time_factor": round(seconds / (len(sound) / RATE), 3),
            "round_trip_cer": heard.character_error_rate,
            "heard": heard.heard,
        }
    return told


def _asked(language: str, voice: str, gender: str) -> str:
    """Sanskrit has no voice of its own to name."""
    return voice if language != "sa" else gender


async def _english(bench: Bench, quick: bool) -> dict[str, Any]:
    errors: dict[str, list[float]] = {}
    for voice in ("af_heart", "bm_george", "espeak-en"):
        for text in ENGLISH[: 3 if quick else None]:
            said = saying(bench, Wish(language="en", voice=voice), text)
            found = await check(bench, await _all(said), RATE, said.prepared, "en")
            errors.setdefault(voice, []).append(
                1.0 if found.character_error_rate is None else found.character_error_rate
            )
    return {f"{voice}_cer": round(statistics.mean(each), 4) for voice, each in errors.items()}


async def _first_audio(bench: Bench, rounds: int) -> dict[str, Any]:
    ours, raw = list[float](), list[float]()
    async with bench.models.use("kokoro-82m"), bench.models.use("espeak-ng"):
        await _engine_alone(bench)
        for number in range(rounds):
            for job in (_engine_alone, _streamed)[:: 1 if number % 2 else -1]:
                seconds = await job(bench)
                (raw if job is _engine_alone else ours).append(seconds)
    ratio = statistics.median(ours) / statistics.median(raw)
    return {
        "engine_seconds": round(statistics.median(raw), 3),
        "first_audio_seconds": round(statistics.median(ours), 3),
        "first_audio_ratio": round(ratio, 3),
    }


async def _engine_alone(bench: Bench) -> float:
    """Kokoro's own time for the first sentence, its phonemes included, in the process where it lives."""
    role: Role = saying(bench, Wish(language="en"), ENGLISH[0]).cast.lead
    async with bench.models.use("espeak-ng") as sounds, bench.models.use("kokoro-82m") as model:
        began = time.perf_counter()
        phonemes = await sounds.call(Phonemizer.phonemes, ENGLISH[0], "en")
        options = SpeakOptions(role.voice, "en", phonemes=phonemes)
        async for _ in model.stream(TextToSpeech.speak, ENGLISH[0], options):
            pass
        return time.perf_counter() - began


async def _streamed(bench: Bench) -> float:
    began = time.perf_counter()
    streamed = chunks(saying(bench, Wish(language="en", format="mp3"), PARAGRAPH), "mp3", RATE)
    await anext(streamed)
    first = time.perf_counter() - began
    await streamed.aclose()
    return first


async def _batch(bench: Bench, rounds: int) -> dict[str, Any]:
    """Neither engine takes lists: what a batch gains is only what overlaps."""
    figures: dict[str, Any] = {}
    for engine, text in (("kokoro-82m", ENGLISH), ("espeak-ng", tuple(SAID["ta"] for _ in range(8)))):
        language = "en" if engine == "kokoro-82m" else "ta"
        wish = Wish(language=language)
        alone, together = list[float](), list[float]()
        for _ in range(rounds if engine == "espeak-ng" else 1):
            began = time.perf_counter()
            for each in text:
                await two_at_a_time(bench, [each], wish, inline=False)
            alone.append(time.perf_counter() - began)
            began = time.perf_counter()
            await two_at_a_time(bench, list(text), wish, inline=False)
            together.append(time.perf_counter() - began)
        figures[f"{engine}_batch_ratio"] = round(statistics.median(alone) / statistics.median(together), 3)
    return figures


async def _all(said: Saying) -> Pcm:
    return np.concatenate([part async for part in said.parts()])
