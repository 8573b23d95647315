"""A text in Markdown as a file that people open: HTML, PDF or a Word document."""

import asyncio
from typing import Literal, get_args

from tools.errors import InvalidInput

Published = Literal["html", "pdf", "docx"]

MEDIA_TYPES: dict[Published, str] = {
    "html": "text/html",
    "pdf": "application/pdf",
    "docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
}


async def render(markdown: str, kind: Published, title: str, language: str) -> bytes:
    """The file's bytes, the same for the same text; nothing in it is loaded from elsewhere.

    Raises `NotInstalled` when no font here has the text's letters for a PDF, `TooLarge` for more than two million
    characters, `InvalidInput` for another kind.
    """
    if kind not in get_args(Published):
        raise InvalidInput(f"There is no format {kind!r}.", remedy=f"Choose one of: {', '.join(get_args(Published))}.")
    return await asyncio.to_thread(_render, markdown, kind, title, language)


def _render(markdown: str, kind: Published, title: str, language: str) -> bytes:
    match kind:
        case "html":
            from tools.publishing.web import page as write
        case "pdf":
            from tools.publishing.typeset import typeset as write
        case "docx":
            from tools.publishing.word import document as write
    return write(markdown, title, language)
