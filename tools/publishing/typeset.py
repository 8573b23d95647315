"""A text as a PDF, set by Typst: it shapes Indian scripts, and PDF/A-2b refuses letters that no font has."""

import json
import re
from collections.abc import Callable
from functools import partial

from markdown_it.tree import SyntaxTreeNode

from tools.errors import NotInstalled
from tools.publishing.markdown import cleaned, plain, tree

SCRIPTS: dict[str, str] = {
    "as": "Bengali",
    "bn": "Bengali",
    "brx": "Devanagari",
    "doi": "Devanagari",
    "gu": "Gujarati",
    "hi": "Devanagari",
    "kn": "Kannada",
    "kok": "Devanagari",
    "mai": "Devanagari",
    "ml": "Malayalam",
    "mni": "Meetei Mayek",
    "mr": "Devanagari",
    "ne": "Devanagari",
    "or": "Oriya",
    "pa": "Gurmukhi",
    "sa": "Devanagari",
    "sat": "Ol Chiki",
    "ta": "Tamil",
    "te": "Telugu",
}

# only fonts that are made for these scripts: a mathematical font also has their letters, but cannot join them
_LATIN = ("Libertinus Serif", "DejaVu Sans", "Noto Emoji", "Noto Sans Math", "Noto Sans Symbols", "Noto Sans Symbols 2")
_SCRIPT_FONTS = (
    *(f"Noto {kind} {script}" for script in sorted({*SCRIPTS.values()}) for kind in ("Serif", "Sans")),
    *("Lohit Devanagari", "Lohit Bengali", "Lohit Tamil", "Lohit Telugu", "Lohit Kannada", "Lohit Malayalam"),
    *("Lohit Gujarati", "Lohit Gurmukhi", "Lohit Odia", "Nirmala UI", "Kohinoor Devanagari"),
    *("Noto Nastaliq Urdu", "Noto Naskh Arabic", "Noto Sans Arabic", "Noto Serif CJK SC", "Noto Sans CJK SC"),
)

_HEAD = """#set document(title: {title})
#set page(paper: "a4", margin: (x: 2.4cm, y: 2.4cm), numbering: "1")
#set text(font: ({fonts}), fallback: false, size: 11pt, lang: {language})
#set par(justify: false, leading: 0.7em, spacing: 1.1em)
#set heading(numbering: none)
#show heading: set block(above: 1.6em, below: 0.8em)
#show link: set text(fill: rgb("#0b57a4"))
#show raw: set text(font: ("DejaVu Sans Mono", {fonts}), size: 9pt)
#show raw.where(block: true): block.with(fill: luma(245), inset: 8pt, radius: 3pt, width: 100%)
#set table(stroke: 0.5pt + luma(180), inset: 6pt)

"""

_UNSEEN = re.compile(r'the text `"(?P<text>.*?)"` could not be displayed')


def typeset(markdown: str, title: str, language: str) -> bytes:
    """Raises `NotInstalled` when no font here has a letter, instead of printing boxes."""
    import typst

    source = source_of(markdown, title, language)
    try:
        # the same text is the same file, and no clock stands in it
        return bytes(typst.compile(source.encode(), pdf_standards=["a-2b"], timestamp=0))
    except typst.TypstError as error:
        unseen = _UNSEEN.search(error.message)
        if unseen is None:
            raise
        script = SCRIPTS.get(language.partition("-")[0], "Core")
        raise NotInstalled(
            f"No font on this machine sets {unseen['text']!r} in a PDF.",
            remedy=f"Install Noto's {script} font (Debian: `apt install fonts-noto-core`), or take html or docx.",
        ) from error


def source_of(markdown: str, title: str, language: str) -> str:
    """The text in Typst's language; every word of it is a string there, so none is a command."""
    base = language.partition("-")[0].lower()
    head = _HEAD.format(
        title=quoted(cleaned(title)),
        fonts=", ".join(quoted(name) for name in (*_LATIN, *_SCRIPT_FONTS)),
        language=quoted(base if re.fullmatch("[a-z]{2,3}", base) else "en"),
    )
    return head + _blocks(tree(markdown))


def quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _blocks(node: SyntaxTreeNode) -> str:
    return "\n\n".join(_block(child) for child in node.children)


def _block(node: SyntaxTreeNode) -> str:
    known = _BLOCKS.get(node.type)
    return known(node) if known else f"#{quoted(plain(node))};"


def _heading(node: SyntaxTreeNode) -> str:
    return f"#heading(level: {node.tag[1:]})[{_inlines(node)}]"


def _code(node: SyntaxTreeNode) -> str:
    return f"#raw(block: true, {quoted(node.content.removesuffix(chr(10)))})"


def _list(function: str, node: SyntaxTreeNode) -> str:
    start = f"start: {int(node.attrGet('start') or 1)}, " if function == "enum" else ""
    items = ", ".join(f"[{_blocks(item)}]" for item in node.children)
    return f"#{function}({start}tight: true, {items})"


def _table(node: SyntaxTreeNode) -> str:
    rows = [[f"[{_inlines(cell)}]" for cell in row.children] for part in node.children for row in part.children]
    head = f"table.header({', '.join(f'strong{cell}' for cell in rows[0])})"
    cells = ", ".join(cell for row in rows[1:] for cell in row)
    return f"#table(columns: {len(rows[0])}, {head}{', ' if cells else ''}{cells})"


def _inlines(node: SyntaxTreeNode) -> str:
    return "".join(_inline(child) for child in node.children)


def _inline(node: SyntaxTreeNode) -> str:
    if node.type in _WRAPS:
        return f"#{_WRAPS[node.type]}[{_inlines(node)}];"
    match node.type:
        case "inline":
            return _inlines(node)
        case "softbreak":
            return " "
        case "hardbreak":
            return "#linebreak();"
        case "link":
            return f"#link({quoted(str(node.attrGet('href')))})[{_inlines(node)}];"
        case _:
            function = _CALLS.get(node.type, "")
            return f"#{function}({quoted(plain(node))});"


_WRAPS = {"strong": "strong", "em": "emph", "s": "strike"}
_CALLS = {"code_inline": "raw", "image": "emph"}

_BLOCKS: dict[str, Callable[[SyntaxTreeNode], str]] = {
    "heading": _heading,
    "paragraph": _inlines,
    "blockquote": lambda node: f"#quote(block: true)[{_blocks(node)}]",
    "bullet_list": partial(_list, "list"),
    "ordered_list": partial(_list, "enum"),
    "fence": _code,
    "code_block": _code,
    "hr": lambda node: "#line(length: 100%, stroke: 0.5pt + luma(180))",
    "table": _table,
}
