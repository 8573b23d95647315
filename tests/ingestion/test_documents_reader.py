from pathlib import Path

import pytest

from ingestion.documents.block import Block, Bounds
from ingestion.documents.reader import Reader
from tests.ingestion import papers


def read(path: Path, name: str | None = None, **bounds: int) -> list[Block]:
    return list(Reader(path, name or path.name, Bounds(**bounds)).read())


def written(path: Path, data: str | bytes) -> Path:
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
    return path


def test_pdf_has_pages_headings_and_boxes(tmp_path: Path) -> None:
    first, second, scan = read(papers.pdf(tmp_path / "a.pdf"))
    assert (first.page, first.heading, first.text) == (1, "Mirrors", papers.PARAGRAPH)
    assert (second.page, second.heading) == (2, "Cameras")
    assert first.box is not None
    left, top, right, bottom = first.box
    # fpdf2's margins are 1 cm on A4; the paragraph stands in the upper quarter
    assert left == pytest.approx(11 / 210, abs=0.02)
    assert right <= 1 - 10 / 210
    assert 0.05 < top < bottom < 0.25
    assert (scan.kind, scan.page, scan.text) == ("picture", 3, "")
    assert scan.image is not None
    assert scan.image.startswith(b"\xff\xd8")


def test_pdf_joins_a_hyphenated_word(tmp_path: Path) -> None:
    from fpdf import FPDF

    document = FPDF()
    document.add_page()
    document.set_font("helvetica", size=11)
    for line in ("The engineers measured the observa-", "tory and its mirrors."):
        document.cell(0, 6, line, new_x="LMARGIN", new_y="NEXT")
    (tmp_path / "a.pdf").write_bytes(bytes(document.output()))
    assert read(tmp_path / "a.pdf")[0].text == "The engineers measured the observatory and its mirrors."


def test_docx_keeps_order_headings_and_tables(tmp_path: Path) -> None:
    well, tests, bridge = read(papers.docx(tmp_path / "a.docx"))
    assert well == Block("text", "The well at Rampur is nineteen metres deep.", heading="Field notes > Water")
    assert tests == Block("table", "Village | pH\nRampur | 7.1\nSitapur | 6.8", heading="Field notes > Water > Tests")
    assert bridge.heading == "Field notes > Roads"


def test_pptx_slides_are_pages(tmp_path: Path) -> None:
    body, notes, prices = read(papers.pptx(tmp_path / "a.pptx"))
    assert (body.text, body.page, body.heading) == ("Rice yield rose by a fifth.", 1, "Harvest")
    assert body.box is not None
    assert notes.text == "Notes: Thank the farmers."
    assert (prices.kind, prices.text, prices.page) == ("table", "Crop | Rupees\nWheat | 2275", 2)


def test_xlsx_groups_rows_under_their_header(tmp_path: Path) -> None:
    blocks = read(papers.xlsx(tmp_path / "a.xlsx"))
    rain = [block for block in blocks if block.heading == "Rain"]
    assert len(rain) > 2
    assert all(block.text.startswith("Day | Millimetres | Station\n") for block in rain)
    rows = [line for block in rain for line in block.text.splitlines()[1:]]
    assert rows == [f"{day} | {day * 1.5:g} | Pune" for day in range(1, 151)]
    assert blocks[-1] == Block("table", "Direction | north", page=2, heading="Wind")


def test_html_without_scripts(tmp_path: Path) -> None:
    page = """<!doctype html><html><head><title>T</title><style>p{}</style></head><body><nav>Menu</nav>
    <h1>Bees</h1><p>They <b>dance</b>.<script>alert(1)</script> Often.</p><h2>Food</h2><ul><li>Nectar<li>Pollen</ul>
    <table><tr><th>Kind</th><th>Legs</th></tr><tr><td>Bee</td><td>6</td></tr></table><h1>Wasps</h1>Sting.</body></html>"""
    assert read(written(tmp_path / "a.bin", page)) == [
        Block("text", "They dance. Often.", heading="Bees"),
        Block("text", "Nectar", heading="Bees > Food"),
        Block("text", "Pollen", heading="Bees > Food"),
        Block("table", "Kind | Legs\nBee | 6", heading="Bees > Food"),
        Block("text", "Sting.", heading="Wasps"),
    ]


def test_markdown(tmp_path: Path) -> None:
    text = "---\nby: x\n---\n# One\nSome *soft* `code`\nline.\n\n## Two\n```py\nx = 1\ny = 2\n```\n\n|a|b|\n|-|-|\n|1|2"
    assert read(written(tmp_path / "a.md", text)) == [
        Block("text", "Some soft code line.", heading="One"),
        Block("text", "x = 1\ny = 2", heading="One > Two"),
        Block("table", "a | b\n1 | 2", heading="One > Two"),
    ]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
def test_text_in_any_encoding(tmp_path: Path, encoding: str) -> None:
    path = written(tmp_path / "a.txt", "Café “déjà” vu.\r\n\r\nNext\r\nline.".encode(encoding))
    assert [block.text for block in read(path)] == ["Café “déjà” vu.", "Next line."]


def test_hindi_text(tmp_path: Path) -> None:
    path = written(tmp_path / "a.txt", "यह एक वाक्य है। यह दूसरा है॥")
    assert read(path)[0].text == "यह एक वाक्य है। यह दूसरा है॥"


def test_csv_with_semicolons(tmp_path: Path) -> None:
    assert read(written(tmp_path / "a.csv", "name;age\nAsha;31\n"))[0].text == "name | age\nAsha | 31"


@pytest.mark.parametrize(
    "source",
    [
        "1\r\n00:00:01,500 --> 00:00:04,000\r\n<i>Namaste</i>\r\nall.\r\n\r\n2\r\n1:00:00,000 --> 1:00:02,000\r\nBye.",
        "WEBVTT\n\nNOTE hi\n\n00:01.500 --> 00:04.000 line:0\nNamaste\nall.\n\n1:00:00.000 --> 1:00:02.000\nBye.\n",
    ],
)
def test_subtitles_keep_their_times(tmp_path: Path, source: str) -> None:
    assert read(written(tmp_path / "a.dat", source)) == [
        Block("caption", "Namaste all.", start=1.5, end=4.0),
        Block("caption", "Bye.", start=3600.0, end=3602.0),
    ]


def test_image_is_turned_upright_and_bounded(tmp_path: Path) -> None:
    import io

    from PIL import Image

    image = Image.new("RGB", (4000, 1000), "red")
    exif = image.getexif()
    exif[0x0112] = 6
    image.save(tmp_path / "a.jpg", exif=exif)
    (block,) = read(tmp_path / "a.jpg")
    assert block.image is not None
    assert Image.open(io.BytesIO(block.image)).size == (640, 2560)


def test_a_page_of_nothing_but_headings_is_kept(tmp_path: Path) -> None:
    assert read(written(tmp_path / "a.md", "# One\n## Two\n")) == [Block("text", "One\nTwo", heading="One > Two")]
    assert read(written(tmp_path / "a.html", "<html><h1>One</h1></html>")) == [Block("text", "One", heading="One")]
