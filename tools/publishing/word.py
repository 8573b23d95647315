"""A text as a Word document with real headings, lists, tables, code and links."""

import io
import zipfile
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from markdown_it.tree import SyntaxTreeNode

from tools.publishing.markdown import cleaned, plain, tree

_LINK = "http://schemas.openxmlformats.org/officeDocument/2006/relationships/hyperlink"
_LINK_COLOUR = "0B57A4"
_MOST_LEVELS = 3
_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class _Look:
    """How a run looks inside what encloses it."""

    bold: bool = False
    italic: bool = False
    strike: bool = False
    code: bool = False


def document(markdown: str, title: str, language: str) -> bytes:
    import docx

    made = docx.Document()
    made.core_properties.title = cleaned(title)[:255]
    made.core_properties.language = language
    made.core_properties.author = ""
    made.core_properties.created = made.core_properties.modified = _EPOCH
    _blocks(tree(markdown), made, made)
    buffer = io.BytesIO()
    made.save(buffer)
    return _dated(buffer.getvalue())


def _dated(archive: bytes) -> bytes:
    """The archive with one date for all its files: the same text is the same document."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(archive)) as old, zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as new:
        for each in old.infolist():
            info = zipfile.ZipInfo(each.filename, _EPOCH.timetuple()[:6])
            new.writestr(info, old.read(each), zipfile.ZIP_DEFLATED)
    return buffer.getvalue()


def _blocks(node: SyntaxTreeNode, into: Any, made: Any, style: str | None = None, level: int = 0) -> None:
    for child in node.children:
        match child.type:
            case "heading":
                _inlines(child, into.add_heading(level=int(child.tag[1:])), _Look())
            case "paragraph":
                _inlines(child, into.add_paragraph(style=style), _Look())
            case "blockquote":
                _blocks(child, into, made, "Intense Quote", level)
            case "bullet_list" | "ordered_list":
                _list(child, into, made, level + 1)
            case "fence" | "code_block":
                _code(child, into)
            case "table":
                _table(child, into)
            case "hr":
                into.add_paragraph("* * *").alignment = 1
            case _:
                into.add_paragraph(plain(child), style=style)


def _list(node: SyntaxTreeNode, into: Any, made: Any, level: int) -> None:
    depth = min(level, _MOST_LEVELS)
    kind = "List Number" if node.type == "ordered_list" else "List Bullet"
    style = kind if depth == 1 else f"{kind} {depth}"
    number = _restarted(made, style, int(node.attrGet("start") or 1)) if node.type == "ordered_list" else None
    for item in node.children:
        before = len(into.paragraphs)
        _blocks(item, into, made, style, level)
        if number is not None and len(into.paragraphs) > before:
            properties = into.paragraphs[before]._p.get_or_add_pPr().get_or_add_numPr()
            properties.get_or_add_ilvl().val = 0
            properties.get_or_add_numId().val = number


def _restarted(made: Any, style: str, start: int) -> int:
    """A numbering of its own: with the style's alone, all lists of a document count on."""
    numbering = made.part.numbering_part.numbering_definitions._numbering
    known = numbering.num_having_numId(made.styles[style].element.pPr.numPr.numId.val)
    new = numbering.add_num(known.abstractNumId.val)
    new.add_lvlOverride(ilvl=0).add_startOverride(start)
    return int(new.numId)


def _code(node: SyntaxTreeNode, into: Any) -> None:
    from docx.shared import Pt

    paragraph = into.add_paragraph(style="No Spacing")
    for n, line in enumerate(node.content.removesuffix("\n").split("\n")):
        if n:
            paragraph.add_run().add_break()
        run = paragraph.add_run(line)
        run.font.name, run.font.size = "Courier New", Pt(9)
    into.add_paragraph()


def _table(node: SyntaxTreeNode, into: Any) -> None:
    rows = [row for part in node.children for row in part.children]
    table = into.add_table(rows=len(rows), cols=len(rows[0].children), style="Table Grid")
    for cells, row in zip(table.rows, rows, strict=True):
        for cell, source in zip(cells.cells, row.children, strict=False):
            _inlines(source, cell.paragraphs[0], _Look(bold=source.type == "th"))
    into.add_paragraph()


def _inlines(node: SyntaxTreeNode, paragraph: Any, look: _Look) -> None:
    for child in node.children:
        match child.type:
            case "inline":
                _inlines(child, paragraph, look)
            case "strong":
                _inlines(child, paragraph, replace(look, bold=True))
            case "em":
                _inlines(child, paragraph, replace(look, italic=True))
            case "s":
                _inlines(child, paragraph, replace(look, strike=True))
            case "link":
                _link(paragraph, str(child.attrGet("href")), plain(child))
            case "hardbreak":
                paragraph.add_run().add_break()
            case "code_inline":
                _run(paragraph, child.content, replace(look, code=True))
            case "image":
                _run(paragraph, plain(child), replace(look, italic=True))
            case _:
                _run(paragraph, plain(child), look)


def _run(paragraph: Any, text: str, look: _Look) -> Any:
    run = paragraph.add_run(text)
    run.bold, run.italic, run.font.strike = look.bold or None, look.italic or None, look.strike or None
    if look.code:
        run.font.name = "Courier New"
    return run


def _link(paragraph: Any, address: str, text: str) -> None:
    from docx.oxml import OxmlElement
    from docx.oxml.ns import qn
    from docx.shared import RGBColor

    link = OxmlElement("w:hyperlink")
    link.set(qn("r:id"), paragraph.part.relate_to(address, _LINK, is_external=True))
    run = _run(paragraph, text, _Look())
    run.font.underline, run.font.color.rgb = True, RGBColor.from_string(_LINK_COLOUR)
    link.append(run._r)
    paragraph._p.append(link)
