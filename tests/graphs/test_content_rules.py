"""The rules of the content agent, each on its own."""

import pytest

from graphs.content.brief import brief_of
from graphs.content.finishing import described, titled
from graphs.content.grounding import quoted
from graphs.content.kinds import ContentType
from graphs.content.lengths import shares, trimmed, without_last
from graphs.content.options import ContentOptions
from graphs.content.structure import as_steps, closed
from graphs.content.tidy import blocks, tidied, whole
from graphs.content.writing import scene_heading
from graphs.events import Citation
from tests.graphs.content_home import prose
from tools.writing.text import count_words


@pytest.mark.parametrize(
    ("asked", "kind", "words", "topic"),
    [
        ("Write me a short poem about the rain", "poem", 120, "the rain"),
        ("please draft a blog post on solar kitchens in 300 words", "blog_post", 300, "solar kitchens"),
        ("Create a 150-word newsletter about our library", "newsletter", 150, "our library"),
        ("the history of maps", "article", 600, "the history of maps"),
        ("Write a LinkedIn post about our report on water", "social_post", 75, "our report on water"),
    ],
)
def test_wishes_are_read_from_the_topic(asked: str, kind: ContentType, words: int, topic: str) -> None:
    brief = brief_of(asked, ContentOptions(), grounded=False)
    assert (brief.kind, brief.words, brief.topic, brief.language) == (kind, words, topic, "en")


def test_options_come_before_what_is_read() -> None:
    options = ContentOptions.model_validate({"content_type": "Social-Post", "length": 40, "language": "hi"})
    brief = brief_of("Write a poem of 300 words about rain", options, grounded=False)
    assert (brief.kind, brief.words, brief.language, brief.characters) == ("social_post", 40, "hi", 300)


def test_trimming_ends_near_the_length_and_leaves_no_orphan() -> None:
    texts = {0: prose(180, 1), 1: f"{prose(90, 2)}\n\nA last short thought stands here. {prose(40, 3)}"}
    cut = trimmed(texts, dict(enumerate(shares(200, 2))), 200, 10)
    total = 10 + sum(count_words(each) for each in cut.values())
    assert abs(total - 200) <= 0.15 * 200
    assert not cut[1].endswith("A last short thought stands here.")
    assert list(shares(10, 3)) == [4, 3, 3]


def test_short_pieces_end_at_a_clause() -> None:
    text = "A library rolls to your street this week. It brings stories for all ages, with a seat in the shade for you."
    cut = trimmed({0: text}, {0: 14}, 14, 0)
    assert cut[0] == "A library rolls to your street this week. It brings stories for all ages."
    assert trimmed({0: text}, {0: 22}, 22, 0)[0] == text
    open_ended = "It is a great option for families with children or for people who want to travel around by day."
    assert trimmed({0: open_ended}, {0: 9}, 9, 0)[0].endswith(" or for people.")
    listed = "It brings books, maps, and a box of toys for all."
    assert trimmed({0: listed}, {0: 7}, 7, 0)[0] == listed
    marked = "It has 18 segments of beryllium, which is light and strong and rather costly to make in a hurry. [1]"
    assert trimmed({0: marked}, {0: 8}, 8, 0)[0] == marked


def test_what_is_cut_is_whole() -> None:
    assert without_last("One is here. Two is here.") == "One is here."
    assert without_last("Intro.\n\n1. Do this.\n2. Do that.") == "Intro.\n\n1. Do this."
    assert without_last("Text.\n\n```\ncode\n```") == "Text."
    assert whole("A full sentence. And then it was cut of") == "A full sentence."
    assert whole("only half a sentence,") == "only half a sentence."
    assert closed("the people are calm,\nand") == "the people are calm,\nand"
    assert closed("the people are calm,") == "the people are calm."


def test_code_stays_as_it_is() -> None:
    text = "Run it:\n\n```python\nx = rows[i]\n\nprint('[Your Name]')\n```\n\nDone [Your Name]."
    kept = tidied(text, "sections", marks=False)
    assert "x = rows[i]\n\nprint('[Your Name]')" in kept
    assert kept.endswith("Done.")
    assert len(blocks(text)) == 3


def test_steps_are_numbered() -> None:
    assert as_steps("What for. Take it. Turn it.") == "What for.\n\n1. Take it.\n2. Turn it."
    assert as_steps("1) Take it.\n2) Turn it.") == "1. Take it.\n2. Turn it."


def test_scenes_are_dressed() -> None:
    assert scene_heading("int. the lab – late night") == "INT. THE LAB - LATE NIGHT"
    assert scene_heading("The old bridge") == "INT. THE OLD BRIDGE - DAY"


def test_titles_and_descriptions_fit() -> None:
    assert titled("The Mirrors of the Webb Telescope: Construction and Testing Explained") == (
        "The Mirrors of the Webb Telescope"
    )
    cut = titled("Revolutionizing Education with Solar Cooking in Rural Schools of the Andes")
    assert cut == "Revolutionizing Education with Solar Cooking"
    long = titled("Why every village and every small town should have a solar kitchen of its own")
    assert len(long) <= 60
    assert not long.endswith((" a", " of", " the", " and"))
    text = described(f"# T\n\n{prose(100)}")
    assert 70 <= len(text) <= 160
    assert text.endswith(".")
    endless = described("# T\n\n" + "word " * 100)
    assert len(endless) <= 160
    assert endless.endswith("…")


def test_quotes_carry_nothing_away() -> None:
    text = "See ![x](https://evil.example/?q=1) and [this](https://evil.example) at https://evil.example/a now."
    evidence = [Citation(n=3, source="page", media="a" * 64, modality="page", text=text, page=1)]
    said = quoted(evidence, "see this now", "")
    assert "evil" not in said
    assert said.endswith("[3]")
    assert quoted(evidence, "see this now", "Cited before [3].") == ""
