"""A text as one HTML file that loads nothing."""

from collections.abc import Sequence
from functools import cache
from html import escape
from importlib.resources import files
from typing import Any

from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token
from markdown_it.utils import OptionsDict

from tools.publishing.markdown import cleaned, parser

RIGHT_TO_LEFT = frozenset({"ar", "fa", "he", "ks", "sd", "ur"})

_PAGE = """<!doctype html>
<html lang="{language}" dir="{direction}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>{title}</title>
<style>
{style}</style>
</head>
<body>
<main>
{body}</main>
</body>
</html>
"""


class Page(RendererHTML):
    """Images are told by their descriptions, and links tell nobody where the reader comes from."""

    def image(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: Any) -> str:
        return f"<em>{escape(tokens[idx].content)}</em>"

    def link_open(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: Any) -> str:
        tokens[idx].attrSet("rel", "noopener noreferrer nofollow")
        return str(self.renderToken(tokens, idx, options, env))


@cache
def _markdown() -> MarkdownIt:
    return parser(Page)


def page(markdown: str, title: str, language: str) -> bytes:
    return _PAGE.format(
        language=escape(language),
        direction="rtl" if language.partition("-")[0] in RIGHT_TO_LEFT else "ltr",
        title=escape(cleaned(title)),
        style=files("tools.publishing").joinpath("page.css").read_text(encoding="utf-8"),
        body=_markdown().render(cleaned(markdown)),
    ).encode()
