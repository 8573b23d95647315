"""Translation engines on models that copy, the scripts of India, and what must come through as it is."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.tools.translators import files_of, indictrans2, m2m100
from tools.errors import InvalidInput
from tools.translation.decoding import cut, joined
from tools.translation.indic import from_devanagari, normalise, spaced, to_devanagari, unspaced
from tools.translation.indictrans2 import IndicTrans2, tidied
from tools.translation.m2m100 import M2M100
from tools.translation.placeholders import hold
from tools.translation.sentences import split

WORDS = [
    ("Beng", "আমি বাংলায় কথা বলি।", "आमि बांलाय़ कथा बलि।"),
    ("Beng", "ৰাতিপুৱা অসমীয়া", "ৰातिपुৱा असमीय\u093cा"),
    ("Guru", "ਪੰਜਾਬੀ ਅੱਜ ਸ਼ਾਮ", "पੰजाबी अੱज स़ाम"),
    ("Gujr", "હું ગુજરાતી બોલું છું.", "हुं गुजराती बोलुं छुं."),
    ("Orya", "ଓଡ଼ିଆ ପୟସା", "ओड\u093cिआ प\u095fसा"),
    ("Taml", "நான் தமிழ் பேசுகிறேன்.", "नाऩ् तमिऴ् पेचुकिऱेऩ्."),
    ("Telu", "నేను తెలుగు మాట్లాడతాను.", "नेनु तॆलुगु माट्लाडतानु."),
    ("Knda", "ಹೊಸ ಕನ್ನಡ", "हॊस कन्नड"),
    ("Mlym", "ഞാൻ മലയാളം സംസാരിക്കുന്നു.", "ञाൻ मलयाळं संसारिक्कुन्नु."),
    ("Deva", "रामः वनं गच्छति॥", "रामः वनं गच्छति॥"),
]


@pytest.mark.parametrize(("script", "text", "devanagari"), WORDS)
def test_a_script_goes_to_devanagari_and_back(script: str, text: str, devanagari: str) -> None:
    normal = normalise(text, script)
    assert to_devanagari(normal, script) == devanagari
    assert from_devanagari(to_devanagari(normal, script), script) == text


@pytest.mark.parametrize(
    ("devanagari", "script", "written"),
    [
        ("घर झूठ भाषा शब्द", "Taml", "கர சூட பாஷா ஷப்த"),
        ("ज़मीन", "Taml", "ஜமீந"),
        ("यार य़ार", "Orya", "ଯାର ୟାର"),
        ("नमस्ते।", "Arab", "नमस्ते।"),
        ("नमस्ते।", "Olck", "नमस्ते।"),
    ],
)
def test_what_a_script_lacks(devanagari: str, script: str, written: str) -> None:
    assert from_devanagari(devanagari, script) == written


@pytest.mark.parametrize(
    ("script", "text", "normal"),
    [
        ("Deva", "क़लम\u200d फ\u093cिल्म|", "क\u093cलम फ\u093cिल्म।"),
        ("Guru", "ਸ਼ੇਰ \u0a72\u0a3f", "ਸ\u0a3cੇਰ \u0a07"),
        ("Mlym", "അവന്\u200d", "അവൻ"),
        ("Beng", "ক\u09c7\u09beন", "ক\u09cbন"),
        ("Arab", "كتاب هے \ufeb1", "کتاب ہے س"),
        ("Knda", "ನಮಸ್ಕಾರ:", "ನಮಸ್ಕಾರಃ"),
    ],
)
def test_one_spelling_for_each_word(script: str, text: str, normal: str) -> None:
    assert normalise(text, script) == normal


@pytest.mark.parametrize(
    ("script", "text", "words"),
    [
        ("Deva", 'वह बोला, "हाँ (सच)।"', 'वह बोला , " हाँ ( सच ) । "'),
        ("Deva", "समय 10:30, दिन 1/2", "समय 10:30 , दिन 1/2"),
    ],
)
def test_marks_are_words_and_stand_where_they_stood(script: str, text: str, words: str) -> None:
    assert spaced(text, script) == words
    assert unspaced(words) == text


def test_what_must_come_through_is_held_and_restored() -> None:
    text = "Mail a.b@c.co.in by 15/10/2023 at 10:30, see https://x.org/a?b=1. Not 3.5 but 10-15% for @you."
    held = hold(text)
    assert held.text == "Mail <ID1> by <ID2> at <ID3>, see <ID4>. Not 3.5 but <ID5> for <ID6>."
    assert held.entities == ("a.b@c.co.in", "15/10/2023", "10:30", "https://x.org/a?b=1", "10-15%", "@you")
    assert held.restore(held.text) == text
    assert held.restore("< ID1 > [आईडी 2] <ਆਈ 3> < आई . डी . 4 > <ID9>") == (
        "a.b@c.co.in 15/10/2023 <ਆਈ 3> https://x.org/a?b=1 <ID9>"
    )
    assert held.kept("15/10/2023") == 1
    assert tidied("“Hé” … १२ ( a ) ?") == '"Hé" . 12 (a)?'


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("Dr. Rao came at 3.5 p.m. today. Did he?\n\n  Yes!", ["Dr. Rao came at 3.5 p.m. today.", "Did he?", "Yes!"]),
        ("राम आया।वह गया॥ क्या?\nहाँ", ["राम आया।", "वह गया॥", "क्या?", "हाँ"]),
        ("He said “Go.” Then\n---\n1. one\n", ["He said “Go.”", "Then", "1. one"]),
        ("你好。再见！", ["你好。", "再见！"]),
        ("\n \n", []),
    ],
)
def test_sentences_and_all_that_stands_between_them(text: str, sentences: list[str]) -> None:
    parts = split(text)
    assert parts.texts == sentences
    assert parts.filled(parts.texts) == text
    assert "".join(parts.parts) == text


@pytest.mark.parametrize("text", ["a, b c, d e f g h", "abcdefgh " * 3, "a" * 50, "", "ok"])
def test_long_texts_are_cut_where_it_hurts_least(text: str) -> None:
    cuts = cut(["x", text], list, longest=8)
    assert all(len(each.tokens) <= 8 for each in cuts)
    whole = joined(2, cuts, ["".join(each.tokens) for each in cuts])
    assert [each.replace(" ", "") for each in whole] == ["x", text.replace(" ", "")]
    if text.startswith("a, b"):
        assert ["".join(each.tokens) for each in cuts[1:]] == ["a, b c,", "d e f", "g h"]


@pytest.fixture(scope="module")
def indian(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], IndicTrans2]:
    made: dict[str, IndicTrans2] = {}

    def load(direction: str) -> IndicTrans2:
        if direction not in made:
            row = indictrans2(tmp_path_factory.mktemp("indic") / direction, direction)
            made[direction] = IndicTrans2(row, files_of(row), "cpu")
        return made[direction]

    return load


@pytest.mark.parametrize(
    ("source", "target", "text", "written"),
    [
        ("bn", "gu", "আমি বাংলায় কথা বলি।", "આમિ બાંલાય\u0abc કથા બલિ।"),
        ("pa", "ml", "ਮੈਂ (ਸੱਚ) ਬੋਲਦਾ ਹਾਂ।", "മൈം (സੱച) ബോലദാ ഹാം।"),
        ("kn", "te", "ಸಮಯ 10:30 ಮತ್ತು a@b.org", "సమయ 10:30 మత్తు a@b.org"),
        ("ur", "hi", "كتاب کہاں ہے؟", "کتاب کہاں ہے ؟"),
        ("sd-Deva", "or", "सिंधी भाषा", "ସିଂଧୀ ଭାଷା"),
    ],
)
def test_indictrans2_reads_and_writes_each_script(
    indian: Callable[[str], IndicTrans2], source: str, target: str, text: str, written: str
) -> None:
    assert indian("indic-indic").translate([text], source, target) == [written]


def test_indictrans2_spells_english_as_people_do(indian: Callable[[str], IndicTrans2]) -> None:
    texts = ["Don't stop, it's (really) 10:30!", "", "See https://x.org/a."]
    assert indian("en-indic").translate(texts, "en", "hi") == [
        "Don 't stop, it's (really) 10:30!", "", "See https://x.org/a.",
    ]  # fmt: skip
    assert indian("indic-en").translate(["नमस्ते, दुनिया!"], "hi", "en") == ["नमस्ते, दुनिया!"]


def test_a_lost_tag_is_tried_without_tags(
    indian: Callable[[str], IndicTrans2], monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = indian("en-indic")
    decode = engine._decoder.decode

    def forgetful(sentences: list[list[str]]) -> list[list[str]]:
        return [[token for token in each if token not in "<ID>"] for each in decode(sentences)]

    monkeypatch.setattr(engine._decoder, "decode", forgetful)
    assert engine.translate(["by 15/10/2023", "by hand"], "en", "hi") == ["by 15/10/2023", "by hand"]


@pytest.mark.parametrize(("source", "target"), [("hi", "en"), ("en", "en"), ("en", "fr"), ("en", "hi-Beng")])
def test_indictrans2_refuses_other_directions(indian: Callable[[str], IndicTrans2], source: str, target: str) -> None:
    with pytest.raises(InvalidInput, match="does not translate"):
        indian("en-indic").translate(["x"], source, target)


def test_a_text_that_is_too_long_comes_through_whole(indian: Callable[[str], IndicTrans2]) -> None:
    text = " ".join(["ਮੈਂ ਪੰਜਾਬੀ,"] * 22)
    (written,) = indian("indic-indic").translate([text], "pa", "pa")
    assert written == text


def test_m2m100_takes_its_languages_as_tokens(tmp_path: Path) -> None:
    row = m2m100(tmp_path)
    engine = M2M100(row, files_of(row), "cpu")
    assert engine.translate(["Bonjour le monde, ça va?", "", "नमस्ते"], "fr", "de") == [
        "Bonjour le monde, ça va?", "", "नमस्ते",
    ]  # fmt: skip
    for source, target in (("te", "en"), ("en", "as")):
        with pytest.raises(InvalidInput, match=r"does not know the language '(te|as)'"):
            engine.translate(["x"], source, target)
