"""Pages by rules: reading order, tables and forms on made-up lines; then on drawn pages through the tool."""

from collections.abc import AsyncIterator

import numpy as np
import pytest
from PIL import Image as Pillow
from PIL import ImageDraw, ImageFont

from tests.tools.test_looking import coded, kept
from tools.bench import Bench
from tools.errors import NotInstalled
from tools.open import open_bench
from tools.reading import ReadPagesInput, read_page
from tools.settings import Settings
from tools.vision import Image, TextLine
from tools.vision.layout import lay_out, rows_of

pytestmark = pytest.mark.anyio

WIDE, TALL = 1_000, 1_400


def line(text: str, left: float, top: float, *, size: float = 20) -> TextLine:
    """A line of text whose letters are half as wide as tall."""
    right = left + len(text) * size / 2
    return TextLine(text, (left / WIDE, top / TALL, right / WIDE, (top + size) / TALL), 0.9)


def laid(*lines: TextLine) -> str:
    # in whatever order they were found
    return lay_out(sorted(lines, key=lambda line: line.text), WIDE, TALL).text


def test_columns_are_read_one_after_the_other_under_their_heading() -> None:
    left = [line(f"left column, its line {n} is long", 60, 200 + 30 * n) for n in range(4)]
    right = [line(f"right column, line {n} is long too", 540, 210 + 30 * n) for n in range(3)]
    heading = line("A heading over both of the columns that spans all of the page", 100, 100, size=28)
    footer = line("A footer below both of the columns that spans all of the page again", 80, 400)
    read = lay_out([*right, footer, *reversed(left), heading], WIDE, TALL)
    assert [each.text for each in read.lines] == [each.text for each in (heading, *left, *right, footer)]
    assert read.tables == []


def test_prose_side_by_side_is_no_table_even_when_its_lines_are_level() -> None:
    left = [line(f"six words stand in line {n}", 60, 200 + 30 * n) for n in range(5)]
    right = [line(f"here six more words are {n}", 560, 200 + 30 * n) for n in range(5)]
    read = lay_out([each for pair in zip(left, right, strict=True) for each in pair], WIDE, TALL)
    assert read.tables == []
    assert [each.text for each in read.lines] == [each.text for each in (*left, *right)]


def test_paragraphs_are_parted_where_there_is_room() -> None:
    assert laid(line("a one", 60, 100), line("a two", 60, 130), line("b one", 60, 200)) == "a one\na two\n\nb one"


def test_a_table_with_an_empty_cell_between_text() -> None:
    cells = {
        (60, 200): "Item", (400, 200): "Price", (600, 200): "Count",
        (60, 235): "Blue pen", (410, 235): "12.50", (620, 235): "3",
        (60, 270): "Exercise book", (620, 270): "10",
    }  # fmt: skip
    text = laid(
        line("The following was bought.", 60, 100),
        *(line(text, *place) for place, text in cells.items()),
        line("All prices are in rupees.", 60, 400),
    )
    assert text == (
        "The following was bought.\n\n"
        "Item | Price | Count\nBlue pen | 12.50 | 3\nExercise book |  | 10\n\n"
        "All prices are in rupees."
    )


def test_fields_of_a_form() -> None:
    page = lay_out(
        [
            line("Name: Asha Rao", 60, 100), line("Date:", 560, 100), line("4 May 2026", 700, 101),
            line("Signature: ________", 60, 160), line("The train leaves at 10:30", 60, 220),
            line("Phone number:", 60, 280), line("E-mail:", 560, 280),
        ],
        WIDE, TALL,
    )  # fmt: skip
    assert {each.label: each.value for each in page.fields} == {
        "Name": "Asha Rao", "Date": "4 May 2026", "Signature": "", "Phone number": "", "E-mail": "",
    }  # fmt: skip


def test_rows_forgive_a_slant_and_nothing_is_lost() -> None:
    slanted = [line(f"cell{n}", 60 + 200 * n, 100 + 4 * n) for n in range(4)]
    assert [[each.text for each in row] for row in rows_of(reversed(slanted))] == [["cell0", "cell1", "cell2", "cell3"]]
    rng = np.random.default_rng(1)
    for _ in range(50):
        lines = [line(f"w{n}", float(x), float(y)) for n, (x, y) in enumerate(rng.uniform(0, 900, (30, 2)))]
        page = lay_out(lines, WIDE, TALL)
        cells = [word for table in page.tables for row in table.rows for cell in row for word in cell.split()]
        assert sorted([*(each.text for each in page.lines), *cells]) == sorted(each.text for each in lines)
    assert lay_out([], WIDE, TALL).text == ""


def invoice() -> Image:
    page = Pillow.new("RGB", (900, 700), "white")
    draw, font = ImageDraw.Draw(page), ImageFont.load_default(size=26)
    draw.text((60, 40), "Invoice of the book shop", font=ImageFont.load_default(size=34), fill="black")
    draw.text((60, 120), "Customer: Asha Rao", font=font, fill="black")
    for row, cells in enumerate((("Item", "Price", "Count"), ("Pencil", "12.50", "30"), ("Notebook", "99.00", "14"))):
        for column, cell in enumerate(cells):
            draw.text((60 + column * 280, 220 + row * 60), cell, font=font, fill="black")
    draw.text((60, 520), "Payment within thirty days.", font=font, fill="black")
    return np.asarray(page)


@pytest.fixture
async def bench(settings: Settings) -> AsyncIterator[Bench]:
    async with open_bench(settings) as bench:
        yield bench


async def test_an_invoice_through_the_tool(bench: Bench) -> None:
    ref = await kept(bench, coded(Pillow.fromarray(invoice())))
    answer = await read_page(ReadPagesInput(images=[ref]), bench)
    (page,) = answer.images
    assert answer.model == "pp-ocrv6-small"
    (table,) = page.tables
    assert table.rows == [["Item", "Price", "Count"], ["Pencil", "12.50", "30"], ["Notebook", "99.00", "14"]]
    assert [(each.label, each.value) for each in page.fields] == [("Customer", "Asha Rao")]
    assert page.lines[0].text == "Invoice of the book shop"
    assert page.lines[-1].text == "Payment within thirty days."
    assert page.text.index("Customer") < page.text.index("Pencil | 12.50 | 30") < page.text.index("Payment")


async def test_describing_needs_a_model_and_says_who_it_was(settings: Settings, bench: Bench) -> None:
    ref = await kept(bench, coded(Pillow.fromarray(invoice())))
    with pytest.raises(NotInstalled, match="vision-language"):
        await read_page(ReadPagesInput(images=[ref], describe=True), bench)
    serves = {"vision-language": ["scripted-seer"], "text-reading": ["blind-reader"]}
    async with open_bench(settings.model_copy(update={"serves": serves})) as seeing:
        answer = await read_page(ReadPagesInput(images=[ref], describe=True), seeing)
    assert answer.described_by == "scripted-seer"
    assert answer.images[0].description.startswith("Asked")
    assert answer.images[0].text == ""
