"""What ranking stands on: words of every script, windows, fusion."""

import numpy as np
import pytest

from knowledge.fusion import best, closer, fuse
from knowledge.sparse import Rarity, document, question, sound, stem, words
from knowledge.windows import windows


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("In १९९५, 2,000 men", ["in", "1995", "2000", "men"]),
        ("Beyoncé's e-mail", ["beyonce", "e", "mail"]),
        ("हिन्दी में", ["हिंदी", "में"]),
        ("डिफ़ेन्स", ["डिफेंस"]),
        ("क्या हुआ? बस।", ["क्या", "हुआ", "बस"]),
        ("தமிழ் ১২", ["தமிழ்", "12"]),
        ("", []),
    ],
)
def test_words_of_every_script_stay_whole(text: str, expected: list[str]) -> None:
    assert words(text) == expected


@pytest.mark.parametrize(
    ("one", "other"),
    [("पैंथर्स", "panthers"), ("नेल्सन", "nelson"), ("नॉर्मंडी", "normandy"), ("ராமன்", "raman"), ("দিল্লি", "dilli")],
)
def test_a_name_sounds_the_same_in_every_script(one: str, other: str) -> None:
    heard = [sound(each) for word in (one, other) for each in words(word)]
    assert heard[0] == heard[1]


@pytest.mark.parametrize("word", ["a", "the", "है", "1995", "ab12cd"])
def test_what_sounds_like_too_much_has_no_sound(word: str) -> None:
    assert sound(word) == ""


def test_inflected_hindi_words_share_a_stem() -> None:
    assert stem("लडकियों") == stem("लडकियां") == stem("लडकी") != stem("राजधानी")


def test_a_long_document_weighs_its_words_less() -> None:
    short, long = document("telescope"), document("telescope " + " ".join(f"w{n}x" for n in range(300)))
    asked = question("telescope")
    weights = [weights[np.isin(terms, asked)].sum() for terms, weights in (short, long)]
    assert len(asked) == 2, "the word and its sound"
    assert weights[0] > weights[1] > 0
    assert list(short[0]) == sorted(short[0])


def test_rare_terms_weigh_more_and_forgetting_undoes_counting() -> None:
    rarity, terms = Rarity(), np.array([1, 2], dtype=np.uint32)
    for number in range(10):
        rarity.add("t", [1] if number else [1, 2])
    common, rare = rarity.weights("t", terms)
    assert rare > common > 0
    rarity.add("t", [1, 2], -1)
    assert rarity.weights("t", terms)[1] > rare
    copy = Rarity()
    copy.merge(rarity.dump())
    assert copy.weights("t", terms) == pytest.approx(rarity.weights("t", terms))


def test_fusion_follows_whichever_list_is_sure() -> None:
    dense = {"a": 0.90, "b": 0.89, "c": 0.70, "d": 0.69}
    assert fuse(dense, {})[0][0] == "a"
    assert fuse(dense, {"b": 9.0})[0][0] == "b"
    # a word that everything has says little
    assert fuse(dense, {"c": 0.3})[0][0] == "a"
    assert [key for key, _ in fuse({}, {"x": 1.0, "y": 2.0})] == ["y", "x"]
    assert fuse({}, {}) == []
    assert fuse({"only": 0.5}, {"other": 3.0})[0][0] == "other"


def test_a_near_window_lifts_a_long_text_and_a_short_one_is_its_own() -> None:
    lifted = closer({"long": 0.8, "short": 0.85}, {"long": 0.95})
    assert lifted == pytest.approx({"long": 0.875, "short": 0.85})
    assert best([{"a": 0.1, "b": 0.5}, {"a": 0.9}], 1) == {"a": 0.9}


def test_windows_are_two_sentences_and_cover_everything() -> None:
    assert windows("One. Two.") == []
    assert windows("One. Two. Three. Four.") == ["One. Two.", "Three. Four."]
    assert windows("एक है। दो है। तीन है।") == ["एक है। दो है।", "दो है। तीन है।"]
    table = " ".join(f"cell{n}" for n in range(1_000))
    assert set(" ".join(windows(table)).split()) == set(table.split())
    many = windows(" ".join(f"Sentence number {n}." for n in range(1_000)))
    assert len(many) <= 32
    assert all(f"number {n}." in " ".join(many) for n in range(1_000))
