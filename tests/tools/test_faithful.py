"""Indian languages in their own script: told, heard again, spelt, transliterated; and who hears which language."""

from collections.abc import AsyncIterator, Mapping
from typing import Any, cast

import numpy as np
import pytest

from tools.bench import Bench
from tools.capability import Lease
from tools.catalog import Catalog, Profile, Row
from tools.errors import InvalidInput, NotInstalled
from tools.listening import Ears, TranscribeInput
from tools.open import open_bench
from tools.settings import Settings
from tools.speech import RATE, SPEECH_TO_TEXT, Heard, ListenOptions, Span, SpeechToText
from tools.speech.faithful import Scribe, Written
from tools.speech.script import LEAST, fidelity, is_faithful, prompt_for, transliterate, writings
from tools.speech.spelling import normalised
from tools.speech.subtitles import Cue, readable, srt, vtt

pytestmark = pytest.mark.anyio

ROW = Row(id="ears", title="Ears", capability="speech-to-text", engine="a:B", licence="MIT", commercial=True)
AUDIO = np.zeros(30 * RATE, np.float32)


@pytest.mark.parametrize(
    ("text", "language", "share"),
    [
        ("मैं ठीक हूँ।", "hi", 1.0),
        ("main theek hoon", "hi", 0.0),
        ("میں ٹھیک ہوں", "hi", 0.0),
        ("میں ٹھیک ہوں", "ur", 1.0),
        ("মই ভালে আছোঁ", "as", 1.0),
        ("हांव बरो आसां", "kok", 1.0),
        ("12:30!", "hi", None),
        ("main theek hoon", "en", None),
    ],
)
def test_how_much_is_in_the_languages_own_script(text: str, language: str, share: float | None) -> None:
    assert fidelity(text, language) == share


def test_english_words_in_a_hindi_sentence_are_no_fault() -> None:
    assert is_faithful("मैंने meeting में email भेजा", "hi")
    assert not is_faithful("maine meeting mein email भेजा", "hi")


def test_where_languages_are_mixed_more_may_be_latin() -> None:
    text = "मैंने API deployment किया"
    assert not is_faithful(text, "hi")
    assert is_faithful(text, "hi", LEAST)


def test_every_prompt_is_in_the_script_that_it_shows() -> None:
    for code, writing in writings().items():
        assert fidelity(writing.prompt, code) == 1.0
        assert writing.prompt.endswith(writing.stop)


class Whispering:
    """Writes Hindi in Latin letters, unless the prompt, the beam or nothing makes it write otherwise."""

    def __init__(self, *, helps: str = "prompt") -> None:
        self.row = ROW
        self.asked = list[ListenOptions]()
        self._helps = helps

    async def stream(self, method: Any, audio: Any, options: ListenOptions) -> AsyncIterator[Heard]:
        self.asked.append(options)
        helped = (
            (self._helps == "prompt" and options.prompt)
            or (self._helps == "beam" and options.beam > 1)
            or (self._helps == "letters" and options.own_script and options.beam == 1)
        )
        for span in options.windows or []:
            text = "मैं ठीक हूँ." if helped or span.start >= 20 else "main theek hoon."
            if self._helps == "letters" and options.beam > 1:
                text = "मैं"
            if span.start < 5:
                text = "नमस्ते"
            yield Heard(span.start, span.end, text, options.language or "hi", 0.8, [])


async def written(ears: Whispering, *, mixed: bool = False, **options: Any) -> list[Written]:
    spans = [Span(at, at + 4) for at in (0, 8, 14, 22)]
    scribe = Scribe(cast("Lease[SpeechToText]", ears), mixed=mixed)
    return [each async for each in scribe.write(AUDIO, ListenOptions(windows=spans, **options))]


async def test_what_comes_out_in_latin_is_heard_again_with_the_script_shown() -> None:
    ears = Whispering()
    texts = await written(ears)
    assert [each.heard.start for each in texts] == [0, 8, 14, 22]
    assert [each.fidelity for each in texts] == [1.0] * 4
    assert ["Latn" in each.note for each in texts] == [False, True, True, True]
    assert [(each.language, each.prompt) for each in ears.asked] == [(None, None), ("hi", prompt_for("hi"))]
    assert [span.start for span in ears.asked[1].windows or []] == [8, 14, 22]


async def test_a_known_language_is_shown_its_script_at_once() -> None:
    ears = Whispering()
    texts = await written(ears, language="hi", prompt="राम, सीता")
    assert len(ears.asked) == 1
    assert ears.asked[0].prompt == f"{prompt_for('hi')} राम, सीता"
    assert [each.note for each in texts] == [""] * 4


async def test_one_stretch_is_searched_wider_and_what_does_not_help_is_said() -> None:
    ears = Whispering(helps="beam")
    texts = await written(ears, language="hi")
    assert [each.fidelity for each in texts] == [1.0] * 4
    assert [(each.beam, each.own_script) for each in ears.asked] == [(1, False), (5, True), (5, True)]
    stubborn = await written(Whispering(helps="nothing"), language="hi")
    assert [each.fidelity for each in stubborn] == [1.0, 0.0, 0.0, 1.0]
    assert "did not write it otherwise" in stubborn[1].note


async def test_what_a_wide_search_makes_too_short_is_heard_without_other_letters_and_without_prompt() -> None:
    ears = Whispering(helps="letters")
    texts = await written(ears, language="hi")
    assert [each.heard.text for each in texts] == ["नमस्ते", *["मैं ठीक हूँ."] * 3]
    assert "no other letters at hand" in texts[1].note
    assert [(each.beam, each.prompt is None) for each in ears.asked[1:3]] == [(5, False), (1, True)]


async def test_mixed_languages_keep_all_letters() -> None:
    ears = Whispering(helps="letters")
    texts = await written(ears, language="hi", mixed=True)
    assert not any(each.own_script for each in ears.asked)
    assert "did not write it otherwise" in texts[1].note


async def test_english_is_heard_once_and_translations_are_left_alone() -> None:
    cases: tuple[dict[str, Any], ...] = ({"language": "en"}, {"language": "hi", "task": "translate"})
    for options in cases:
        ears = Whispering(helps="nothing")
        texts = await written(ears, **options)
        assert len(ears.asked) == 1
        assert [each.note for each in texts] == [""] * 4


@pytest.mark.parametrize(
    ("text", "language", "spelt"),
    [
        ("वह २०२४ में आया था.", "hi", "वह 2024 में आया था।"),
        ("वह आया | वह गया ||", "hi", "वह आया। वह गया॥"),
        ("क़लम ज़मीन", "hi", "क\u093cलम ज\u093cमीन"),
        ("पढ\u093c\u093cना", "hi", "पढ\u093cना"),
        ("ती आली.", "mr", "ती आली."),
        ("میں يہاں ہوں.", "ur", "میں یہاں ہوں۔"),
        ("उसने iPhone लिया 3.", "hi", "उसने iPhone लिया 3."),
        ("\u200bनमस्ते \u200d", "hi", "नमस्ते "),
        ("२०२४ | .", "en", "२०२४ | ."),
    ],
)
def test_spelling(text: str, language: str, spelt: str) -> None:
    assert normalised(text, language) == spelt
    assert normalised(spelt, language) == spelt


@pytest.mark.parametrize(
    ("text", "to", "letters"),
    [
        ("नमस्ते।", "Latn", "namastē."),
        ("நான் நலமாக", "Latn", "nāṉ nalamāka"),
        ("নমস্কার", "Deva", "नमस्कार"),
        ("नमस्कार", "Beng", "নমস্কার"),
        ("hello", "Deva", "hello"),
    ],
)
def test_letter_by_letter(text: str, to: Any, letters: str) -> None:
    assert transliterate(text, to) == letters


def test_urdu_does_not_say_its_vowels() -> None:
    with pytest.raises(NotInstalled, match="Arab"):
        transliterate("میں ٹھیک ہوں", "Latn")


def test_subtitles_are_cut_between_words() -> None:
    words = [Cue(at, at + 1.0, f"word-{at}") for at in range(12)]
    cues = list(readable(Cue(0, 12, "…"), words))
    assert [(cue.start, cue.end) for cue in cues] == [(0, 7), (7, 12)]
    assert srt([Cue(3661.5, 3662, "a --> b\n\nc")]) == "1\n01:01:01,500 --> 01:01:02,000\na → b c\n"
    assert vtt([Cue(0, 1, "a < b & c")]) == "WEBVTT\n\n00:00:00.000 --> 00:00:01.000\na &lt; b &amp; c\n"
    assert list(readable(Cue(0, 30, "whole"), [])) == [Cue(0, 30, "whole")]


class Hindi:
    """Ears that hear one language."""

    def __init__(self, row: Row, files: Mapping[str, Any], device: str) -> None:
        self._row = row

    def transcribe(self, audio: Any, options: ListenOptions) -> Any:
        yield Heard(0, 1, self._row.title, options.language or str(self._row.options["hears"]), 1.0, [])


def rows() -> Catalog:
    made = {"engine": "tests.tools.test_faithful:Hindi", "options": {"hears": "hi"}}
    special = ROW.model_copy(update={**made, "id": "special", "title": "Special", "languages": ["hi", "or"]})
    wide = ROW.model_copy(update={**made, "id": "wide", "title": "Wide", "languages": ["en", "hi", "ta"]})
    later = ROW.model_copy(
        update={
            "id": "later",
            "title": "Later",
            "engine": "",
            "status": "later",
            "note": "Not yet.",
            "replaced_by": "wide",
        }
    )
    served = {"speech-to-text": ["later", "special", "wide"]}
    return Catalog(
        models=[special, wide, later],
        profiles={"embedded": Profile(title="Two ears", devices={"cpu": 2.0}, serves=served, roles={})},
    )


@pytest.fixture
async def two(settings: Settings) -> AsyncIterator[Bench]:
    async with open_bench(settings, catalog=rows()) as bench:
        yield bench


async def test_a_language_goes_to_the_first_that_knows_it_and_the_reason_is_said(two: Bench) -> None:
    assert two.choose(SPEECH_TO_TEXT, language="hi").row.id == "special"
    english = two.choose(SPEECH_TO_TEXT, language="en")
    assert (english.row.id, english.reason) == ("wide", "Special does not know 'en'. Later: Not yet.")
    with pytest.raises(NotInstalled, match="speech-to-text for language 'ml'"):
        two.choose(SPEECH_TO_TEXT, language="ml")


async def test_a_language_that_is_not_said_is_heard_by_the_widest_and_goes_to_the_specialist(two: Bench) -> None:
    async with Ears(two, TranscribeInput(media="0" * 64)) as ears:
        assert ears.choice.row.id == "wide"
        scribe = await ears.scribe(AUDIO, ListenOptions(windows=[Span(0, 1)]))
        texts = [each.heard.text async for each in scribe.write(AUDIO, ListenOptions(language="en"))]
    assert texts == ["Special"]
    assert ears.choice.row.id == "special"
    assert "Wide heard the language 'hi'" in ears.choice.reason


async def test_a_model_that_does_something_else_is_refused(settings: Settings) -> None:
    async with open_bench(settings) as bench:
        with pytest.raises(InvalidInput, match="voice-activity, not speech-to-text"):
            bench.choose(SPEECH_TO_TEXT, model="silero-vad")
