"""Speech comes in pieces of a sentence's size, with the times of its words."""

from ingestion.listening import sentences
from tools.listening import Spoken, SpokenWord


def spoken(start: float, end: float, text: str, *, language: str = "en", words: bool = False) -> Spoken:
    said = text.split()
    step = (end - start) / max(1, len(said))
    timed = [
        SpokenWord(start=start + n * step, end=start + (n + 1) * step, text=word, confidence=0.9)
        for n, word in enumerate(said)
    ]
    return Spoken(start=start, end=end, text=text, language=language, confidence=0.9, words=timed if words else [])


def spans(pieces: list[Spoken]) -> list[tuple[float, float, str]]:
    return [(round(each.start, 2), round(each.end, 2), each.text) for each in pieces]


def test_a_long_stretch_is_split_where_its_sentences_end_by_the_times_of_its_words() -> None:
    text = "One two three. Four five six seven? Eight nine ten."
    found = spans(sentences([spoken(10, 20, text, words=True)]))
    assert found == [(10, 13, "One two three."), (13, 17, "Four five six seven?"), (17, 20, "Eight nine ten.")]


def test_without_word_times_the_letters_share_the_time() -> None:
    found = sentences([spoken(0, 10, "Aaaa aaaa aaaa. Bb bb.")])
    assert [each.text for each in found] == ["Aaaa aaaa aaaa.", "Bb bb."]
    assert 6 < found[0].end == found[1].start < 8
    assert found[-1].end == 10


def test_hindi_sentences_end_with_a_danda() -> None:
    found = sentences([spoken(0, 8, "यह पहला वाक्य है। यह दूसरा वाक्य है।", language="hi")])
    assert len(found) == 2


def test_broken_off_pieces_are_joined_until_the_sentence_ends() -> None:
    pieces = [spoken(0, 2, "This is the"), spoken(2.2, 5, "optical segment."), spoken(5.1, 9, "Next one begins.")]
    assert spans(sentences(pieces)) == [(0, 5, "This is the optical segment."), (5.1, 9, "Next one begins.")]


def test_pauses_languages_and_length_keep_pieces_apart() -> None:
    apart = [
        spoken(0, 2, "one"),
        spoken(4, 6, "two"),
        spoken(6, 8, "तीन", language="hi"),
        spoken(8, 22, "चार", language="hi"),
    ]
    assert [each.text for each in sentences(apart)] == ["one", "two", "तीन", "चार"]


def test_nothing_said_is_nothing_kept() -> None:
    assert sentences([spoken(0, 2, "  ")]) == []
