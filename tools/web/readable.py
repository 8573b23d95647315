"""The readable text of a page, and when and by whom it was written. Runs in a limited child."""

import re
from dataclasses import dataclass

_PARAGRAPH = re.compile(r"\n\s*\n?")
_CHARSET = re.compile(rb"<meta[^>]{0,200}charset\s*=\s*[\"']?([\w-]{2,40})", re.IGNORECASE)
_LONGEST_WORD = 400


@dataclass(frozen=True)
class Text:
    """`paragraphs` are the page's own, in order; `published` is an ISO date, empty where the page tells none."""

    title: str
    paragraphs: tuple[str, ...]
    published: str = ""
    author: str = ""
    site: str = ""
    language: str = ""


class Readable:
    """Reads one page after another."""

    def __init__(self) -> None:
        import trafilatura

        self._extract = trafilatura.bare_extraction

    def read(self, data: bytes, url: str, charset: str, html: bool) -> Text:
        """The text of one answer; a page without an article in it gives what text there is."""
        text = _decoded(data, charset)
        if not html:
            return Text(title="", paragraphs=_paragraphs(text))
        found = self._extract(
            text,
            url=url,
            with_metadata=True,
            include_comments=False,
            include_images=False,
            include_links=False,
            include_formatting=False,
            favor_recall=True,
            date_extraction_params={"original_date": True, "extensive_search": False, "outputformat": "%Y-%m-%d"},
        )
        if found is None:
            return Text(title="", paragraphs=())
        said = found if isinstance(found, dict) else found.as_dict()

        def told(name: str) -> str:
            return " ".join(str(said.get(name) or "").split())[:300]

        paragraphs = _paragraphs(str(said.get("text") or ""))
        return Text(told("title"), paragraphs, told("date"), told("author"), told("sitename"), told("language"))


def _paragraphs(text: str) -> tuple[str, ...]:
    # a «word» of a thousand letters is data, and slow to compare with anything
    plain = (" ".join(w for w in each.split() if len(w) <= _LONGEST_WORD) for each in _PARAGRAPH.split(text))
    return tuple(each for each in plain if each)


def _decoded(data: bytes, charset: str) -> str:
    told = _CHARSET.search(data[:4096])
    for name in (charset, told[1].decode("ascii", "replace") if told else "", "utf-8", "cp1252"):
        try:
            return data.decode(name) if name else data.decode("utf-8")
        except (LookupError, UnicodeDecodeError):
            continue
    return data.decode("latin-1")
