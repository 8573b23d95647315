"""Every figure against a count made another way, in several scripts."""

import re
from collections import Counter

import pytest

from tools.writing.finding import finding, keywords_of, occurrences, slug_of
from tools.writing.measure import MeasureTextInput, measured
from tools.writing.readability import aksharas, readability
from tools.writing.repetition import alike, distinct, loops, repetition
from tools.writing.text import count_words, read, sentences, words

TEXT = """# Solar kitchens in the village

A solar kitchen cooks with sunlight. It needs no firewood, and the air stays clean [1].

## What it costs

A solar kitchen costs about 4,000 rupees. Dr. Rao says it pays back in two years. [Plans](https://example.org/plans)

```python
not_counted = True
```
"""


def test_counts_are_those_of_a_reader() -> None:
    told = measured(MeasureTextInput(text=TEXT, keywords=["solar kitchen", "firewood", "biogas"]))
    heads = "Solar kitchens in the village What it costs"
    prose = (
        "A solar kitchen cooks with sunlight. It needs no firewood, and the air stays clean. "
        "A solar kitchen costs about 4,000 rupees. Dr. Rao says it pays back in two years. Plans"
    )
    assert told.words == len((heads + " " + prose).split()) == count_words(TEXT)
    assert (told.sentences, told.paragraphs) == (5, 2)
    assert told.readability.words_per_sentence == round(len(prose.split()) / 5, 2)
    assert told.reading_minutes == round(told.words / 238, 2)
    keyword = {each.keyword: each for each in told.finding.keywords}
    assert (keyword["solar kitchen"].count, keyword["solar kitchen"].in_title) == (2, False)
    assert keyword["solar kitchen"].density == round(4 / told.words, 4)
    assert (keyword["firewood"].in_opening, keyword["biogas"].count) == (True, 0)
    assert told.finding.coverage == round(2 / 3, 3)
    assert told.finding.slug == "solar-kitchens-in-the-village"
    assert told.finding.links == 1


def test_ease_is_the_formula_of_the_language() -> None:
    told = readability("The cat sat on the mat. The dog ran.", "en")
    assert told.ease == round(206.835 - 1.015 * 4.5 - 84.6 * 1.0, 1)
    assert told.grade == round(0.39 * 4.5 + 11.8 - 15.59, 1)
    assert (told.lix, told.formula) == (4.5, "Flesch 1948")
    hard = readability("Institutional considerations necessitate comprehensive organisational transformation.", "en")
    assert hard.ease is not None
    assert hard.ease < 0
    assert readability("Die Katze schläft. Der Hund läuft.", "de").formula == "Amstad 1978"


@pytest.mark.parametrize(("word", "count"), [("नमस्ते", 3), ("क्षत्रिय", 3), ("हिन्दी", 2), ("தமிழ்", 3), ("বাংলা", 2)])
def test_aksharas(word: str, count: int) -> None:
    assert aksharas(word) == count


def test_indian_languages_say_what_is_measured() -> None:
    told = readability("सूरज से खाना पकता है। धुआँ नहीं होता।", "hi")
    assert (told.ease, told.grade, told.lix) == (None, None, None)
    assert told.words_per_sentence == 4.0
    assert told.syllables_per_word is not None
    assert "aksharas" in told.note


def test_repetition_is_found_and_taken_out() -> None:
    once = "The sun heats the pot. Water boils after an hour. Rice is ready soon."
    told = repetition(f"{once} {once}")
    found = re.findall(r"\w+", f"{once} {once}".lower())
    grams = Counter(tuple(found[n : n + 4]) for n in range(len(found) - 3))
    assert told.repeated_sentences == 3
    assert told.repeated_grams == round(1 - len(grams) / grams.total(), 4)
    assert repetition(once).repeated_sentences == 0
    assert distinct([*sentences(once), "The sun quickly heats the pot.", "The moon is cold tonight."]) == [
        *sentences(once),
        "The moon is cold tonight.",
    ]
    assert alike(words("a solar kitchen cooks rice with sunlight"), words("a solar kitchen cooks rice with light"))
    assert not alike(words("a solar kitchen cooks rice"), words("a wood stove burns in the yard"))


def test_loops_are_noticed_early() -> None:
    assert loops("It is good for all of us. " * 3)
    assert loops("word by word the text goes on and on without an end " * 3)
    assert not loops("The sun rises in the east. The sun sets in the west. The moon follows it. It is good.")
    assert not loops("Yes. No. Yes. No. Yes.")


def test_problems_are_named() -> None:
    text = read("# One\n\n### Three\n\nmango mango mango mango mango is fruit\n\n# One\n")
    told = finding(text, "One", "", ["mango", "pear"])
    joined = " ".join(told.problems)
    for told_of in ("title has 3", "description has 0", "2 main headings", "skip a level", "same", "'pear'", "stuffed"):
        assert told_of in joined


def test_keywords_are_the_telling_words() -> None:
    text = "The solar kitchen cooks rice. A solar kitchen needs sun. Rice and sun, and the solar kitchen."
    assert keywords_of(text, 3)[0] == "solar kitchen"
    assert "the" not in keywords_of(text, 10)
    assert occurrences("solar kitchen", text) == 3


def test_slugs_keep_their_script() -> None:
    assert slug_of("Webb's Mirror: 18 Segments!") == "webbs-mirror-18-segments"
    assert slug_of("सूरज की रसोई") == "सूरज-की-रसोई"
    assert len(slug_of("word " * 60)) <= 60


def test_empty_texts_are_no_error() -> None:
    for text in (" ", "#", "```\nx\n```", "!!!"):
        told = measured(MeasureTextInput(text=text))
        assert told.words == 0
