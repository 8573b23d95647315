"""Markdown as it may be published: no raw HTML, no scripts, nothing that loads from elsewhere."""

import re
import unicodedata

from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.tree import SyntaxTreeNode

from tools.errors import TooLarge

MOST_CHARACTERS = 2_000_000
_MOST_LEVELS = 12
_FOLLOWED = re.compile(r"(?:https?://|mailto:)", re.IGNORECASE)
_KEPT_CONTROLS = frozenset("\n\t")


def parser(renderer: type[RendererHTML] = RendererHTML) -> MarkdownIt:
    """CommonMark with tables; raw HTML is text, and only web and mail addresses are links."""
    markdown = MarkdownIt("commonmark", {"html": False, "maxNesting": _MOST_LEVELS}, renderer_cls=renderer).enable(
        ["table", "strikethrough"]
    )
    markdown.validateLink = followed  # type: ignore[method-assign]
    return markdown


def followed(url: str) -> bool:
    """Whether an address may be a link, or an image's place that is then only named."""
    return bool(_FOLLOWED.match(url.strip()))


def cleaned(markdown: str) -> str:
    """Without control characters and lone surrogates, which XML and PDF cannot hold."""
    if len(markdown) > MOST_CHARACTERS:
        raise TooLarge(
            f"The text has {len(markdown):,} characters; {MOST_CHARACTERS:,} can be published.",
            remedy="Publish it in parts.",
        )
    plain = markdown.replace("\r\n", "\n").replace("\r", "\n")
    return "".join(each for each in plain if each in _KEPT_CONTROLS or unicodedata.category(each) not in {"Cc", "Cs"})


def tree(markdown: str) -> SyntaxTreeNode:
    return SyntaxTreeNode(parser().parse(cleaned(markdown)))


def plain(node: SyntaxTreeNode) -> str:
    """A node's text without its marks; an image is its description."""
    if node.type in {"text", "code_inline", "fence", "code_block"}:
        return node.content
    if node.type in {"softbreak", "hardbreak"}:
        return " "
    return "".join(plain(child) for child in node.children)
