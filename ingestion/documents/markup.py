"""HTML and Markdown: headings, paragraphs, code and tables, without markup, scripts or anything fetched."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ingestion.documents.block import Block, Bounds, Headings
from ingestion.documents.plain import load_text
from ingestion.documents.table import table
from tools.errors import UnsupportedMedia

if TYPE_CHECKING:
    from markdown_it.token import Token

_SILENT = ("script", "style", "noscript", "template", "svg", "iframe", "object", "nav", "head")
_BREAKS = {
    *("address", "article", "aside", "blockquote", "body", "br", "dd", "div", "dl", "dt", "fieldset", "figcaption"),
    *("figure", "footer", "form", "header", "hr", "li", "main", "ol", "p", "pre", "section", "title", "ul"),
}
_HEADING = re.compile(r"h([1-6])$")
_FRONT_MATTER = re.compile(r"\A---\n.*?\n---\s*\n", re.DOTALL)


def read_html(path: Path, name: str, bounds: Bounds) -> Iterator[Block]:
    """Blocks of a page in reading order."""
    headings = Headings()
    yield from headings.or_bare(_html_blocks(load_text(path, name), name, headings))


def _html_blocks(source: str, name: str, headings: Headings) -> Iterator[Block]:
    from lxml import etree

    parser = etree.HTMLParser(
        encoding="utf-8", no_network=True, huge_tree=False, recover=True, remove_comments=True, remove_pis=True
    )
    root = etree.fromstring(source.encode("utf-8", "replace"), parser) if source.strip() else None
    if root is None:
        raise UnsupportedMedia(f"{name!r} is an empty page.", remedy="Save the page again.")
    words = list[str]()
    if root.find(".//h1") is None and (title := root.findtext(".//title")):
        headings.open(0, title)
    for silent in list(root.iter(*_SILENT)):
        _drop(silent)
    inside: Any = None
    for event, element in etree.iterwalk(root, events=("start", "end")):
        whole = element.tag == "table" or _HEADING.match(str(element.tag))
        if inside is None and (element.tag in _BREAKS or whole):
            yield from _flush(words, headings)
        if inside is None and event == "start" and whole:
            yield from _whole(element, headings)
            inside = element
        elif inside is None and event == "start":
            words.append(element.text or "")
        elif event == "end" and inside in {None, element}:
            inside = None
            words.append(element.tail or "")
    yield from _flush(words, headings)


def _whole(element: Any, headings: Headings) -> Iterator[Block]:
    """A heading or a table, which is read at once and not walked into."""
    if element.tag == "table":
        yield from table(_rows(element), heading=headings.path)
    else:
        headings.open(int(element.tag[1]), "".join(element.itertext()))


def _drop(element: Any) -> None:
    parent = element.getparent()
    if parent is None:
        return
    before = element.getprevious()
    if element.tail:
        if before is None:
            parent.text = (parent.text or "") + element.tail
        else:
            before.tail = (before.tail or "") + element.tail
    parent.remove(element)


def _flush(words: list[str], headings: Headings) -> Iterator[Block]:
    text = " ".join("".join(words).split())
    words.clear()
    if text:
        yield Block("text", text, heading=headings.path)


def _rows(element: Any) -> Iterator[list[str]]:
    for row in element.iter("tr"):
        yield ["".join(cell.itertext()) for cell in row if cell.tag in {"td", "th"}]


def read_markdown(path: Path, name: str, bounds: Bounds) -> Iterator[Block]:
    """Blocks of a Markdown file; code keeps its lines."""
    headings = Headings()
    yield from headings.or_bare(_markdown_blocks(_FRONT_MATTER.sub("", load_text(path, name)), name, headings))


def _markdown_blocks(source: str, name: str, headings: Headings) -> Iterator[Block]:
    from markdown_it import MarkdownIt

    tokens, rows = MarkdownIt("commonmark").enable("table").parse(source), list[list[str]]()
    for index, token in enumerate(tokens):
        match token.type:
            case "heading_open":
                headings.open(int(token.tag[1]), _plain(tokens[index + 1]))
            case "tr_open":
                rows.append([])
            case "table_close":
                yield from table(rows, heading=headings.path)
                rows = []
            case "fence" | "code_block" if token.content.strip():
                yield Block("text", token.content.rstrip(), heading=headings.path)
            case "html_block" if token.content.strip():
                yield from (
                    Block(b.kind, b.text, heading=headings.path) for b in _html_blocks(token.content, name, Headings())
                )
            case "inline" if tokens[index - 1].type in {"th_open", "td_open"}:
                rows[-1].append(_plain(token))
            case "inline" if tokens[index - 1].type != "heading_open" and (text := _plain(token)):
                yield Block("text", text, heading=headings.path)


def _plain(inline: "Token") -> str:
    parts = (
        each.content if each.type in {"text", "code_inline"} else each.content if each.type == "image" else " "
        for each in inline.children or []
        if each.type in {"text", "code_inline", "image", "softbreak", "hardbreak"}
    )
    return " ".join("".join(parts).split())
