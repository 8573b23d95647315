"""What to look for and what to read: sub-questions, leads of several searches merged, copies of an address known."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import zip_longest
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from graphs.research.state import Depth, Lead, Place
from graphs.temporal.words import content, numbers

QUESTIONS: dict[Depth, int] = {"low": 1, "medium": 4, "high": 7}
"""What is asked, the topic itself included."""

_FACETS = ("facts and figures", "history and dates", "causes and effects", "criticism and disputes", "latest changes")
_TRACKING = re.compile(r"^(?:utm_\w+|fbclid|gclid|mc_[ce]id|igshid|ref|ref_src|cmpid)$", re.IGNORECASE)
_LIST_MARK = re.compile(r"^\W*(?:\d{1,2}[.):]\s*|[-*•]\s*|Q\d*[:.]\s*|Query:\s*)*", re.IGNORECASE)
_ASKS = re.compile(r"^[^\[\]()<>{}]+[?？؟]$")
_FUSION = 10.0
_PER_SITE = 2
_MATERIAL: frozenset[Place] = frozenset({"memory"})


def questions_in(said: str, topic: str, most: int) -> list[str]:
    """The questions of a model's answer that are about the topic, each once, however it numbered them."""
    wanted, found = set(content(topic)), dict[str, str]()
    for line in said.splitlines():
        question = " ".join(_LIST_MARK.sub("", line).strip("*_\"'` ").split())
        words = content(question)
        about = not wanted or bool(wanted & set(words)) or question.isascii() != topic.isascii()
        # a figure that the topic does not have is the model's own, and a statement is an answer
        asks = bool(_ASKS.search(question)) and numbers(question) <= numbers(topic)
        if 8 <= len(question) <= 200 and len(words) >= 2 and about and asks and "://" not in question:
            found.setdefault(" ".join(sorted(words)), question)
    key = " ".join(sorted(content(topic)))
    return [question for each, question in found.items() if each != key][:most]


def facets(topic: str, most: int) -> list[str]:
    """Sub-questions that fit any topic, for when no model makes better ones."""
    short = " ".join(topic.split()[:12])
    return [f"{short}: {facet}" for facet in _FACETS][:most]


def canonical(url: str) -> str:
    """An address without what only tracks readers, so that two links to a page are one lead."""
    parts = urlsplit(url)
    query = urlencode([each for each in parse_qsl(parts.query, keep_blank_values=True) if not _TRACKING.match(each[0])])
    return urlunsplit((parts.scheme, parts.netloc.lower(), parts.path or "/", query, ""))


def choose(leads: Iterable[Lead], most: int, taken: Sequence[Lead] = ()) -> list[Lead]:
    """What to read next: given pages first, then in turn what was remembered and what the web has, best first.

    Leads that several questions found come first (reciprocal rank fusion). One site gives few until all had their turn.
    """
    known = {each.key for each in taken}
    worth, first = Counter[str](), dict[str, Lead]()
    for each in leads:
        worth[each.key] += 1 / (_FUSION + each.rank)  # type: ignore[assignment]
        kept = first.setdefault(each.key, each)
        if each.rank < kept.rank:
            first[each.key] = each
    fresh = sorted((each for key, each in first.items() if key not in known), key=lambda each: -worth[each.key])
    given = [each for each in fresh if each.place == "given"]
    memory = [each for each in fresh if each.place in _MATERIAL]
    rest = _spread([each for each in fresh if each.place != "given" and each.place not in _MATERIAL])
    merged = [each for pair in zip_longest(memory, rest) for each in pair if each is not None]
    # what a person gave is read even where it is more than was asked for
    return given + merged[: max(most - len(given), 0)]


def _spread(leads: list[Lead]) -> list[Lead]:
    """The same leads; those past the first few of a site come last."""
    seen, early, late = Counter[str](), list[Lead](), list[Lead]()
    for each in leads:
        site = urlsplit(each.key).netloc
        (early if seen[site] < _PER_SITE else late).append(each)
        seen[site] += 1
    return early + late


def lanes(chosen: Sequence[tuple[int, Lead]], count: int) -> list[list[tuple[int, Lead]]]:
    """The leads dealt out to so many readers."""
    return [list(chosen[start::count]) for start in range(min(count, len(chosen)))]
