"""Files are read back by the libraries that read such files; hostile text stays text."""

import io
from typing import Any

import docx
import pypdfium2
import pytest
from lxml import html

from tools.errors import InvalidInput, NotInstalled, TooLarge
from tools.publish import Published, render
from tools.publishing.typeset import source_of

pytestmark = pytest.mark.anyio

TEXT = """# Mirrors of *Webb*

A **bold** word, `code`, ~~gone~~ and a [page](https://example.org/a?b=1&c=2).

## Steps

1. First
2. Second
   - Inner

Between.

3. Third

> Quoted words.

```python
print("#1")
```

| part | count |
| --- | --- |
| segments | 18 |

***
"""

ATTACK = """# Hello </title><script>alert(1)</script>

<script>alert(2)</script> <img src=x onerror=alert(3)> ![pixel](https://evil.example/p.png) [x](javascript:alert(4))

#read("/etc/passwd") \\u{0} "quoted" \\ #import "@preview/x:1.0.0" $x$ @ref <label> [data](data:text/html,x)
"""


def lines(pdf: bytes) -> str:
    with pypdfium2.PdfDocument(pdf) as read:
        return "\n".join(page.get_textpage().get_text_range() for page in read)


def opened(page: bytes) -> Any:
    return html.fromstring(page)


async def test_html_has_the_structure() -> None:
    page = opened(await render(TEXT, "html", "Mirrors & more", "en"))
    assert page.findtext(".//title") == "Mirrors & more"
    assert (page.get("lang"), page.get("dir")) == ("en", "ltr")
    assert [each.text_content() for each in page.iterfind(".//h1")] == ["Mirrors of Webb"]
    (link,) = page.iterfind(".//a")
    assert (link.get("href"), "noreferrer" in link.get("rel")) == ("https://example.org/a?b=1&c=2", True)
    assert [each.text_content() for each in page.iterfind(".//td")] == ["segments", "18"]
    assert [each.get("start") for each in page.iterfind(".//ol")] == [None, "3"]


async def test_html_lets_nothing_in() -> None:
    page = opened(await render(ATTACK, "html", "<b>&", "en"))
    assert [*page.iter("script", "img", "iframe", "link", "object")] == []
    assert [each.get("href") for each in page.iter("a")] == []
    assert "alert(2)" in page.text_content()
    assert "default-src 'none'" in page.xpath("//meta[@http-equiv]/@content")[0]
    assert opened(await render("سلام", "html", "x", "ur")).get("dir") == "rtl"


async def test_word_has_the_structure() -> None:
    made: Any = docx.Document(io.BytesIO(await render(TEXT, "docx", "Mirrors", "en")))
    styles = {each.text: each.style.name for each in made.paragraphs if each.style is not None}
    assert styles["Mirrors of Webb"] == "Heading 1"
    assert (styles["First"], styles["Inner"], styles["Third"]) == ("List Number", "List Bullet 2", "List Number")
    assert styles["Quoted words."] == "Intense Quote"
    first, third = (each for each in made.paragraphs if each.text in {"First", "Third"})
    assert first._p.pPr.numPr.numId.val != third._p.pPr.numPr.numId.val
    (table,) = made.tables
    assert [[cell.text for cell in row.cells] for row in table.rows] == [["part", "count"], ["segments", "18"]]
    links = [each for paragraph in made.paragraphs for each in paragraph.hyperlinks]
    assert [(each.text, each.url) for each in links] == [("page", "https://example.org/a?b=1&c=2")]
    assert (made.core_properties.title, made.core_properties.language) == ("Mirrors", "en")


async def test_pdf_has_the_text() -> None:
    pdf = await render(TEXT, "pdf", "Mirrors", "en")
    read = lines(pdf)
    for wanted in ("Mirrors of Webb", "1. First", "2. Second", "Inner", "3. Third", 'print("#1")', "segments"):
        assert wanted in read
    with pypdfium2.PdfDocument(pdf) as opened:
        assert opened.get_metadata_value("Title") == "Mirrors"


async def test_pdf_runs_nothing() -> None:
    read = lines(await render(ATTACK, "pdf", 'a" + read("/etc/passwd") + "', "en"))
    assert '#read("/etc/passwd")' in read
    assert '#import "@preview/x:1.0.0"' in read
    assert "root:" not in read


@pytest.mark.parametrize("kind", ["html", "pdf", "docx"])
async def test_the_same_text_is_the_same_file(kind: Published) -> None:
    assert await render(TEXT, kind, "t", "en") == await render(TEXT, kind, "t", "en")


@pytest.mark.parametrize("kind", ["html", "pdf", "docx"])
async def test_odd_text_is_no_error(kind: Published) -> None:
    for odd in (
        "",
        "\x00\x08\ud800 a",
        "> " * 200 + "deep",
        "- " * 100 + "deep",
        "| a |\n| - |\n",
        "#" * 50,
        "[" * 500,
    ):
        assert await render(odd, kind, "", "")


async def test_letters_without_a_font_are_told() -> None:
    """Boxes, or letters that are not joined, are no PDF; the other formats leave the font to the reader."""
    with pytest.raises(NotInstalled, match="No font on this machine") as refused:
        await render("ᮃᮊ᮪ᮞᮛ", "pdf", "t", "su")
    assert "fonts-noto" in refused.value.remedy
    assert "ᮃᮊ᮪ᮞᮛ" in (await render("ᮃᮊ᮪ᮞᮛ", "html", "t", "su")).decode()


async def test_a_font_that_cannot_join_is_not_taken() -> None:
    fonts = source_of("नमस्ते", "t", "hi").partition("fallback: false")[0]
    assert "New Computer Modern" not in fonts
    assert "Noto Serif Devanagari" in fonts


async def test_bad_requests() -> None:
    with pytest.raises(InvalidInput, match="'epub'"):
        await render("x", "epub", "t", "en")  # type: ignore[arg-type]
    with pytest.raises(TooLarge):
        await render("x" * 2_000_001, "html", "t", "en")
