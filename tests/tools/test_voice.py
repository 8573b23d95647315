"""What is read of a text, and how it sounds; the embedded engines on their real weights."""

import io
import re
from collections.abc import AsyncIterator, Callable
from typing import Any

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from tools.catalog import load_catalog
from tools.isolation.process import ChildEngine, start
from tools.voice import Phonemizer, SpeakOptions, TextToSpeech, Voice
from tools.voice.checking import character_error_rate
from tools.voice.encoding import Encoder
from tools.voice.espeak import Espeak
from tools.voice.kokoro import Kokoro, as_trained, pieces
from tools.voice.saying import faulty
from tools.voice.sentences import sentences
from tools.voice.sound import PROSODY, RATE, finish, resample, trimmed
from tools.voice.text import prepare
from tools.voice.text.scripts import devanagari_as_kannada
from tools.voice.text.spell import in_words, spell

pytestmark = pytest.mark.anyio

CATALOG = load_catalog()


@pytest.mark.parametrize(
    ("language", "text", "said"),
    [
        ("hi", "₹12,34,567.50", "बारह लाख चौंतीस हज़ार पाँच सौ सरसठ दशमलव पाँच शून्य रुपये"),
        ("hi", "15/08/2026 को डॉ. शर्मा", "पंद्रह अगस्त दो हज़ार छब्बीस को डॉक्टर शर्मा"),
        ("hi", "१२ बजे, -3.5°C", "बारह बजे, ऋण तीन दशमलव पाँच डिग्री सेल्सियस"),
        ("hi", "9876543210", "नौ आठ सात छः पाँच चार तीन दो एक शून्य"),
        ("hi", "५ करोड़ और ₹5 करोड़", "पाँच करोड़ और पाँच करोड़ रुपये"),
        ("ta", "விலை ₹500", "விலை ஐநூறு ரூபாய்"),
        ("bn", "৪৫% ও $20", "পঁয়তাল্লিশ শতাংশ ও বিশ ডলার"),
        ("ur", "Rs. 1500", "ایک ہزار پاںچ سو روپے"),
        ("mr", "2026-11-23", "तेवीस नोव्हेंबर दोन हज़ार सव्वीस"),
        ("en", "Dr. Rao paid ₹12,34,567 on 2026-11-23", "Doctor Rao paid twelve lakh thirty four thousand five hundred"
         " and sixty seven rupees on 23 November 2026"),
        ("en", "$5 million at 10:30", "5 million dollars at 10 30"),
        ("en", "99/99/2026, **bold** 😀 https://www.example.com/x?y=1", "99/99/2026, bold example dot com"),
        ("hi", "007", "शून्य शून्य सात"),
    ],
)  # fmt: skip
def test_signs_and_numbers_become_words(language: str, text: str, said: str) -> None:
    assert spell(text, language) == said


@pytest.mark.parametrize(
    "language", ["hi", "pa", "gu", "mr", "bn", "ta", "te", "kn", "ml", "or", "as", "kok", "sa", "ur", "ne", "en"]
)
def test_every_language_has_words_for_numbers(language: str) -> None:
    for number in (0, 7, 25, 100, 2024, 1_234_567, 98_765_432, 999_999_999):
        assert not re.search(r"\d", in_words(number, language))
    assert len(in_words(10**9, language).split()) == 10


def test_sentences_end_where_their_script_says() -> None:
    assert list(sentences("यह एक है। वह दो॥ क्या? हाँ!")) == ["यह एक है।", "वह दो॥", "क्या?", "हाँ!"]
    assert list(sentences("یہ ایک ہے۔ کیا؟")) == ["یہ ایک ہے۔", "کیا؟"]
    assert list(sentences("R. K. Narayan wrote 3.5 books. “Yes.” Then")) == [
        "R. K. Narayan wrote 3.5 books.",
        "“Yes.”",
        "Then",
    ]
    long = list(sentences("many words, " * 200))
    assert max(map(len, long)) <= 280
    assert " ".join(long).split() == ("many words, " * 200).split()
    assert max(map(len, sentences("अ" * 1_000))) <= 280


def test_a_mixed_text_is_shared_among_its_readers() -> None:
    spans = [
        (span.language, span.text)
        for sentence in prepare("(मेरा) नाम Ravi है। விலை ₹500.", "hi").sentences
        for span in sentence
    ]
    assert spans == [("hi", "(मेरा) नाम"), ("en", "Ravi"), ("hi", "है।"), ("ta", "விலை ஐநூறு ரூபாய்.")]
    assert prepare("Всё or nothing", "en").unread == ["Cyrl"]
    assert prepare("😀 ... !", "en").sentences == []
    assert prepare("123", "hi").sentences[0][0].language == "hi"


def test_sanskrit_in_the_letters_of_kannada() -> None:
    assert devanagari_as_kannada("धर्मक्षेत्रे । ॐ सोऽहम्") == "ಧರ್ಮಕ್ಷೇತ್ರೇ । ಓಮ್ ಸೋಹಮ್"


def test_resampling_keeps_the_tone_and_adds_nothing() -> None:
    for rate, pitch in ((24_000, 10_500), (22_050, 10_500), (22_050, 1_000)):
        tone = 0.5 * np.sin(2 * np.pi * pitch * np.arange(rate) / rate)
        sound = resample(tone.astype(np.float32), rate, RATE)[4_410:-4_410].astype(np.float64)
        beats = 2 * np.pi * pitch * np.arange(len(sound)) / RATE
        basis = np.stack((np.sin(beats), np.cos(beats)), axis=1)
        fitted, *_ = np.linalg.lstsq(basis, sound, rcond=None)
        assert np.hypot(*fitted) == pytest.approx(0.5, rel=0.01)
        assert 10 * np.log10(np.mean((sound - basis @ fitted) ** 2) / 0.125) < -85


def test_a_sentence_is_trimmed_bent_and_never_clipped() -> None:
    tone = np.sin(2 * np.pi * 200 * np.arange(24_000) / 24_000).astype(np.float32)
    quiet = np.zeros(24_000, np.float32)
    sound = finish(np.concatenate((quiet, tone, quiet)), 24_000, PROSODY["angry"], bent=1.03)
    assert len(sound) / RATE == pytest.approx(1.08 / 1.03, abs=0.01)
    assert np.abs(sound).max() <= 0.986
    assert np.argmax(np.abs(np.fft.rfft(sound))) / (len(sound) / RATE) == pytest.approx(206, abs=2)
    assert len(trimmed(quiet, 24_000)) == 0
    assert len(finish(quiet, 24_000, PROSODY["sad"])) == 0


def test_bad_speech_is_told_by_its_samples() -> None:
    tone = np.sin(np.arange(RATE) / 20).astype(np.float32)
    assert faulty(tone, RATE, 20, 1.0) == ""
    assert faulty(np.zeros(RATE, np.float32), RATE, 20, 1.0) == "it is silent"
    assert faulty(np.zeros(0, np.float32), RATE, 20, 1.0) == "it is silent"
    assert faulty(np.tile(tone, 40), RATE, 3, 1.0) == "40 s for 3 letters"


def test_whole_files_know_their_length_and_streams_do_not() -> None:
    tone = (0.3 * np.sin(np.arange(RATE) / 20)).astype(np.float32)
    for seekable in (True, False):
        encoder = Encoder("wav", seekable=seekable)
        data = encoder.feed(tone[:1_000]) + encoder.feed(tone[1_000:]) + encoder.end()
        assert len(data) == 44 + 2 * RATE
        size = int.from_bytes(data[40:44], "little")
        assert size == (2 * RATE if seekable else 0xFFFFFFFF)
        with av.open(io.BytesIO(data), "r") as container:
            assert sum(frame.samples for frame in container.decode(audio=0)) == RATE


def test_character_errors() -> None:
    assert character_error_rate("kitten", "sitting") == pytest.approx(3 / 6)
    assert character_error_rate("It's FINE, really.", "its fine really") == 0
    assert character_error_rate("नमस्ते", "नमस्ते") == 0
    assert character_error_rate("abc", "") == 1
    assert character_error_rate("", "abc") == 1


def test_espeak_stays_in_a_process_of_its_own() -> None:
    assert CATALOG.row("espeak-ng").isolation == "process"
    assert CATALOG.row("kokoro-82m").options["phonemes"] == "espeak-ng"


def test_phonemes_as_the_model_was_trained() -> None:
    heart, george = (Voice(id, "en", "female", "neural") for id in ("af_heart", "bm_george"))
    said = "həlˈo^ʊ, wˈɜːld! lˈɛɾɚ d^ʒˈʌmp"
    assert as_trained(said, SpeakOptions(heart, "en")) == "həlˈO, wˈɜɹld! lˈɛTəɹ ʤˈʌmp"
    assert as_trained("lˈe^ɪt ɡˈə^ʊ", SpeakOptions(george, "en")) == "lˈAt ɡˈQ"
    assert as_trained("bˈʌhʊt^ʃ", SpeakOptions(heart, "hi")) == "bˈʌhʊʧ"


def test_long_texts_are_cut_after_punctuation_then_between_words() -> None:
    comma, space = 3, 16
    cut = list(pieces([*([50] * 300), comma, *([50] * 100), space, *([50] * 400)]))
    assert [len(each) for each in cut] == [301, 501]
    assert [len(each) for each in pieces([*([50] * 400), space, *([50] * 400)])] == [401, 400]
    assert [len(each) for each in pieces([50] * 1_200)] == [508, 508, 184]
    assert list(pieces([])) == []


@pytest.fixture(scope="module")
async def espeak(weights: Callable[[str], Any]) -> AsyncIterator[ChildEngine]:
    row = CATALOG.row("espeak-ng")
    engine = await start(row.engine, weights(row.id), row=row, device="cpu")
    yield engine
    await engine.close()


async def spoken(engine: ChildEngine, text: str, options: SpeakOptions) -> tuple[NDArray[np.float32], int]:
    parts = [part async for part in engine.stream(TextToSpeech.speak, text, options)]
    return np.concatenate([part.samples for part in parts]), parts[0].rate


TEXTS = {
    "hi": "आज मौसम अच्छा है", "pa": "ਅੱਜ ਮੌਸਮ ਚੰਗਾ ਹੈ", "gu": "આજે હવામાન સારું છે", "mr": "आज हवामान चांगले आहे",
    "bn": "আজ আবহাওয়া ভালো", "ta": "இன்று வானிலை நன்றாக உள்ளது", "te": "ఈరోజు వాతావరణం బాగుంది", "kn": "ಇಂದು ಹವಾಮಾನ ಚೆನ್ನಾಗಿದೆ",
    "ml": "ഇന്ന് കാലാവസ്ഥ നല്ലതാണ്", "or": "ଆଜି ପାଗ ଭଲ ଅଛି", "as": "আজি বতৰ ভাল",
    "ur": "آج موسم اچھا ہے", "en": "the weather is good today",
}  # fmt: skip


@pytest.mark.weights
@pytest.mark.parametrize("language", TEXTS)
async def test_espeak_speaks_each_language_in_two_voices(espeak: ChildEngine, language: str) -> None:
    sounds = []
    for voice in [each for each in Espeak.voices(CATALOG.row("espeak-ng")) if each.language == language]:
        sound, rate = await spoken(espeak, TEXTS[language], SpeakOptions(voice, language))
        assert rate == 22_050
        assert 0.7 < len(sound) / rate < 5
        assert np.sqrt(np.mean(sound**2)) > 0.03
        sounds.append(sound)
    assert len(sounds) == 2
    assert not np.array_equal(sounds[0][:8_000], sounds[1][:8_000])


@pytest.mark.weights
@pytest.mark.parametrize("language", TEXTS)
async def test_espeak_reads_words_and_does_not_spell_signs(espeak: ChildEngine, language: str) -> None:
    sounds = await espeak.call(Phonemizer.phonemes, TEXTS[language], language)
    assert len(sounds) < 2 * len(TEXTS[language]), "its Konkani rules name each vowel sign: 4 sounds a letter"


@pytest.mark.weights
async def test_espeak_heeds_speed_and_pitch(espeak: ChildEngine) -> None:
    voice = next(each for each in Espeak.voices(CATALOG.row("espeak-ng")) if each.language == "hi")
    lengths = [
        len((await spoken(espeak, TEXTS["hi"] * 3, SpeakOptions(voice, "hi", speed)))[0]) for speed in (0.5, 1, 2)
    ]
    assert lengths[0] > 1.6 * lengths[1] > 2.4 * lengths[2]


@pytest.mark.weights
async def test_espeak_tells_sounds_with_their_punctuation(espeak: ChildEngine) -> None:
    assert await espeak.call(Phonemizer.phonemes, "Hello, world!", "en") == "həlˈo^ʊ, wˈɜːld!"
    hindi = await espeak.call(Phonemizer.phonemes, "नमस्ते। मेरा नाम John है।", "hi")
    assert hindi.startswith("nəmˈʌsteː.")
    assert "(" not in hindi


@pytest.mark.weights
async def test_kokoro_says_what_whisper_hears(
    espeak: ChildEngine, engine: Callable[[str], Any], weights: Callable[[str], Any]
) -> None:
    from tools.speech import ListenOptions

    text = "The quick brown fox jumps over the lazy dog near the river bank."
    row = CATALOG.row("kokoro-82m")
    voice = Kokoro.voices(row)[0]
    phonemes = await espeak.call(Phonemizer.phonemes, text, "en")
    model = Kokoro(row, weights(row.id), "cpu")
    (sound,) = model.speak(text, SpeakOptions(voice, "en", phonemes=phonemes))
    assert sound.rate == 24_000
    audio = resample(sound.samples, sound.rate, 16_000)
    heard = " ".join(each.text for each in engine("whisper-base").transcribe(audio, ListenOptions(language="en")))
    assert character_error_rate(text, heard) <= 0.05
