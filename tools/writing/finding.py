"""How a text will be found: title, description, headings, keywords, slug and links, as search engines show them."""

import re
from collections import Counter
from collections.abc import Sequence
from importlib.resources import files
from itertools import pairwise

from pydantic import BaseModel, ConfigDict

from tools.writing.text import Read, words

TITLE = (15, 60)
DESCRIPTION = (70, 160)
DENSITY = 0.03
"""Characters that search engines show of a title and a description; share of a text from which a word is stuffed."""

# the library's own pattern takes Indian vowel signs out of their words
_NO_SLUG = r"[^-\w\u0900-\u0dff\u200c\u200d]+"


class Keyword(BaseModel):
    """`density` is the share of the text's words that belong to it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    keyword: str
    count: int
    density: float
    in_title: bool
    in_description: bool
    in_headings: bool
    in_opening: bool


class Finding(BaseModel):
    """`coverage` is the share of the keywords that the text has; `problems` are what to mend, in words."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    title_characters: int
    description_characters: int
    slug: str
    headings: int
    keywords: tuple[Keyword, ...]
    coverage: float
    links: int
    problems: tuple[str, ...]


def finding(text: Read, title: str, description: str, keywords: Sequence[str]) -> Finding:
    total = len(words(text.whole))
    opening = text.paragraphs[0] if text.paragraphs else ""
    headings = " . ".join(heading for level, heading in text.headings if level > 1)
    told = tuple(
        Keyword(
            keyword=each,
            count=(count := occurrences(each, text.whole)),
            density=round(count * len(words(each)) / total, 4) if total else 0.0,
            in_title=occurrences(each, title) > 0,
            in_description=occurrences(each, description) > 0,
            in_headings=occurrences(each, headings) > 0,
            in_opening=occurrences(each, opening) > 0,
        )
        for each in keywords
    )
    return Finding(
        title_characters=len(title),
        description_characters=len(description),
        slug=slug_of(title),
        headings=len(text.headings),
        keywords=told,
        coverage=round(sum(each.count > 0 for each in told) / len(told), 3) if told else 1.0,
        links=len(text.links),
        problems=(*_lengths(title, description), *_headings(text), *_keywords(told)),
    )


def slug_of(title: str) -> str:
    """The title as a part of an address, in its own script, at most 60 characters, cut between words."""
    from slugify import slugify

    plain = re.sub(r"['’]", "", title)
    return str(slugify(plain, allow_unicode=True, max_length=60, word_boundary=True, regex_pattern=_NO_SLUG))


def occurrences(phrase: str, text: str) -> int:
    wanted, found = words(phrase), words(text)
    if not wanted:
        return 0
    return sum(found[n : n + len(wanted)] == wanted for n in range(len(found) - len(wanted) + 1))


def keywords_of(text: str, most: int = 5) -> list[str]:
    """Its commonest content words and pairs of them, by how often they come; pairs stand for their words."""
    listed = files("tools.writing").joinpath("common.txt").read_text(encoding="utf-8")
    common = {word for line in listed.splitlines() if not line.startswith("#") for word in line.split()}
    found = words(text)
    telling = [word not in common and len(word) > 2 and not re.search(r"\d|['’]", word) for word in found]
    ones = Counter(word for word, tells in zip(found, telling, strict=True) if tells)
    pairs = Counter(f"{found[n]} {found[n + 1]}" for n in range(len(found) - 1) if telling[n] and telling[n + 1])
    chosen = [pair for pair, count in pairs.most_common(2) if count > 1]
    inside = {word for pair in chosen for word in pair.split()}
    return [*chosen, *(word for word, _ in ones.most_common(most + len(inside)) if word not in inside)][:most]


def _lengths(title: str, description: str) -> list[str]:
    ranges = (("title", title, TITLE), ("description", description, DESCRIPTION))
    return [
        f"The {name} has {len(text)} characters; {least} to {most} are shown."
        for name, text, (least, most) in ranges
        if not least <= len(text) <= most
    ]


def _headings(text: Read) -> list[str]:
    levels = [level for level, _ in text.headings]
    problems = [] if levels.count(1) <= 1 else [f"There are {levels.count(1)} main headings."]
    if any(after > before + 1 for before, after in pairwise(levels)):
        problems.append("The headings skip a level.")
    names = [heading.lower() for _, heading in text.headings]
    return problems + ([] if len(names) == len({*names}) else ["Two headings are the same."])


def _keywords(told: Sequence[Keyword]) -> list[str]:
    problems = [f"The text does not have {each.keyword!r}." for each in told if not each.count]
    return problems + [
        f"{each.keyword!r} is {each.density:.1%} of the words; above {DENSITY:.0%} it looks stuffed."
        for each in told
        if each.density > DENSITY and each.count > 3
    ]
