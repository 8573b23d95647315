"""A text's words, sentences and paragraphs, in any script."""

import re
from dataclasses import dataclass

from markdown_it.tree import SyntaxTreeNode

from tools.publishing.markdown import plain, tree

# Indic vowel signs are marks, which \w leaves out; joiners stand inside words too
_WORD = re.compile(r"[\w\u0900-\u0dff\u200c\u200d]+(?:[.,:]\d+)*(?:['’]\w+)?")
_ABBREVIATION = re.compile(r"(?:\b(?:Mr|Mrs|Ms|Dr|St|vs|No|Prof|Sr|Jr|Gen|Col|Capt|approx|e\.g|i\.e|[A-Z])|\bU\.S)\.$")
_SENTENCE_END = re.compile(r"(?<=[.!?।॥؟])(?:\s*\[\d+\](?:\s*,?\s*\[\d+\])*)?[\"'”’)]*(?=\s|$)")
_MARK = re.compile(r"\s*\[\d+\]")
_TEXTS = frozenset({"paragraph", "th", "td"})


def as_written(text: str) -> list[str]:
    """Words in order, as they stand there."""
    return _WORD.findall(text)


def words(text: str) -> list[str]:
    """Words in order, lower case, numbers without thousands separators."""
    return [re.sub(r"(?<=\d),(?=\d{3})", "", word.lower()) for word in as_written(text)]


def sentences(text: str) -> list[str]:
    """Sentences with their citation marks; a mark after the full stop belongs to the sentence before it."""
    found, start = list[str](), 0
    for end in _SENTENCE_END.finditer(text):
        piece = text[start : end.end()].strip()
        if not piece or is_abbreviated(piece):
            continue
        found.append(piece)
        start = end.end()
    rest = text[start:].strip()
    return [*found, rest] if rest else found


def is_abbreviated(text: str) -> bool:
    """Whether the full stop at its end belongs to an abbreviation."""
    return bool(_ABBREVIATION.search(text))


@dataclass(frozen=True)
class Read:
    """What people read of a text in Markdown: no code, no citation marks. `headings` are (level, text)."""

    headings: tuple[tuple[int, str], ...]
    paragraphs: tuple[str, ...]
    links: tuple[str, ...]

    @property
    def prose(self) -> str:
        return "\n".join(self.paragraphs)

    @property
    def whole(self) -> str:
        return "\n".join((*(text for _, text in self.headings), *self.paragraphs))


def read(markdown: str) -> Read:
    headings, paragraphs, links = list[tuple[int, str]](), list[str](), list[str]()
    for node in tree(markdown).walk():
        if node.type == "heading":
            headings.append((int(node.tag[1:]), _shown(node)))
        elif node.type in _TEXTS and (text := _shown(node)):
            paragraphs.append(text)
        elif node.type == "link":
            links.append(str(node.attrGet("href")))
    return Read(tuple(headings), tuple(paragraphs), tuple(links))


def count_words(markdown: str) -> int:
    """The words that people read: headings too, citation marks not."""
    return len(words(read(markdown).whole))


def _shown(node: SyntaxTreeNode) -> str:
    return _MARK.sub("", plain(node)).strip()
