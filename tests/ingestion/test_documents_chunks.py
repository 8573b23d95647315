from hypothesis import given
from hypothesis import strategies as st

from ingestion.documents.block import Block
from ingestion.documents.chunks import LONG, count_words, passages


def sentences(count: int, words: int = 10, end: str = ".") -> str:
    return " ".join(" ".join(f"w{n}x{i}" for i in range(words)) + end for n in range(count))


def test_a_paragraph_stays_whole_and_a_long_one_becomes_even_parts() -> None:
    assert len(list(passages([Block("text", sentences(18))]))) == 1
    parts = list(passages([Block("text", sentences(25))]))
    assert [count_words(part.text) for part in parts] in ([120, 130], [130, 120])
    assert all(part.text.endswith(".") for part in parts)


def test_danda_ends_a_sentence() -> None:
    parts = list(passages([Block("text", sentences(25, end="।"))]))
    assert len(parts) == 2
    assert parts[0].text.endswith("।")


def test_short_neighbours_are_merged_but_not_across_headings_or_pages() -> None:
    blocks = [
        Block("text", "One.", page=1, heading="A", box=(0.1, 0.1, 0.5, 0.2)),
        Block("text", "Two.", page=1, heading="A", box=(0.2, 0.3, 0.9, 0.4)),
        Block("text", "Three.", page=2, heading="A"),
        Block("text", "Four.", page=2, heading="B"),
        Block("table", "a | b", page=2, heading="B"),
        Block("text", "Five.", page=2, heading="B"),
    ]
    merged = list(passages(blocks))
    assert [block.text for block in merged] == ["One.\nTwo.", "Three.", "Four.", "a | b", "Five."]
    assert merged[0].box == (0.1, 0.1, 0.9, 0.4)


def test_two_full_paragraphs_are_not_merged() -> None:
    assert len(list(passages([Block("text", sentences(8)), Block("text", sentences(8))]))) == 2


def test_captions_become_sentences() -> None:
    cues = [
        Block("caption", "We began the work", start=0.0, end=2.0),
        Block("caption", "on a rainy morning in June.", start=2.1, end=4.0),
        Block("caption", "Then it stopped.", start=4.2, end=5.0),
        Block("caption", "Much later.", start=60.0, end=61.0),
    ]
    times = [(block.start, block.end, block.text) for block in passages(cues)]
    assert times == [
        (0.0, 4.0, "We began the work on a rainy morning in June."),
        (4.2, 5.0, "Then it stopped."),
        (60.0, 61.0, "Much later."),
    ]


def test_chinese_without_spaces_is_split() -> None:
    parts = list(passages([Block("text", "今天天气很好我们去公园。" * 60)]))
    assert len(parts) > 1
    assert all(part.text.endswith("。") for part in parts)


@given(st.lists(st.text(alphabet="ab .।!\n中。", max_size=3000), max_size=6))
def test_nothing_is_lost_and_nothing_is_too_long(texts: list[str]) -> None:
    blocks = [Block("text", text) for text in texts if text.strip()]
    parts = list(passages(blocks))
    assert "".join("".join(part.text.split()) for part in parts) == "".join("".join(b.text.split()) for b in blocks)
    assert all(count_words(part.text) <= LONG * 1.1 for part in parts)
