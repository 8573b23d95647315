"""The texts of sources: kept by their content, cut into sentences that can be quoted, and searched for a quotation."""

import hashlib
import re
import unicodedata
from collections.abc import AsyncIterator, Sequence

from pydantic import TypeAdapter

from graphs.research.state import Claim, Passage
from graphs.temporal.words import sentences, words
from tools.bench import Bench
from tools.errors import NotFound

_PASSAGES = TypeAdapter(list[Passage])
_SKETCH = 64
_GROUP = 6
_COPY = 0.6
_SAME = str.maketrans({**dict.fromkeys("‘’‚‛`´", "'"), **dict.fromkeys("“”„‟«»", '"'), **dict.fromkeys("‐‑‒–—―", "-")})
# a sentence that speaks to a machine, names an address or carries markup is never quoted
_ORDERS = re.compile(
    r"\b(?:ignore|disregard|forget|override)\b.{0,60}\b(?:instructions?|prompts?|rules?|context|messages?|guidelines)\b|"
    r"\bsystem prompt\b|\bas an ai\b|\blanguage model\b.{0,40}\b(?:must|should|shall|will)\b|"
    r"\b(?:ai|llm|chatbot|assistant|agent)s?\b.{0,30}\b(?:must|should|shall|please)\b|"
    r"\byou are (?:now )?(?:an? )?(?:ai|assistant|agent|chatbot|helpful)\b|\bdo not tell the user\b|"
    r"\b(?:send|post|fetch|forward|exfiltrate|email)\b.{0,60}\b(?:to|at)\b\s+\S+[./@]\S+",
    re.IGNORECASE,
)
_ADDRESS = re.compile(r"://|\bwww\.|\]\(|<[a-z!/][^>]*>|\bdata:|javascript:|[{}\\|]{2}", re.IGNORECASE)
_SHORTEST, _LONGEST, _FEWEST_WORDS = 30, 600, 5
_UNENDED = 10
"""Words from which a line without a full stop is a sentence and no heading."""


async def keep(bench: Bench, passages: Sequence[Passage]) -> str:
    """Keep a source's text; returns its reference. The same text twice is one file."""
    data = _PASSAGES.dump_json(list(passages))

    async def once() -> AsyncIterator[bytes]:
        yield data

    return (await bench.media.put(once(), name="passages.json")).sha256


async def load(bench: Bench, reference: str) -> list[Passage]:
    """A source's text; empty when it was deleted meanwhile, so that nothing of it can be quoted."""
    try:
        return _PASSAGES.validate_json(await bench.media.read(reference)) if reference else []
    except (NotFound, ValueError):
        return []


def normal(text: str) -> str:
    """A text as two copies of it compare: without case, kinds of quotation marks, and how its lines break."""
    return " ".join(unicodedata.normalize("NFKC", text).translate(_SAME).casefold().split())


def stands(claim: Claim, passages: Sequence[Passage]) -> bool:
    """Whether the quotation is in the passage that it names."""
    quote = normal(claim.quote)
    return 0 <= claim.passage < len(passages) and bool(quote) and quote in normal(passages[claim.passage].text)


def quotable(passage: str) -> list[str]:
    """The sentences of a passage that can stand for themselves as a quotation."""
    return [each for each in sentences(passage) if _is_quotable(each)]


def _is_quotable(sentence: str) -> bool:
    letters = sum(each.isalpha() or each.isspace() for each in sentence)
    return (
        _SHORTEST <= len(sentence) <= _LONGEST
        and len(sentence.split()) >= _FEWEST_WORDS
        and not sentence.rstrip().endswith("?")
        and (sentence.rstrip("\"'»”’) ").endswith((".", "!", "।", "॥", ":", ";")) or len(sentence.split()) >= _UNENDED)
        and letters >= 0.6 * len(sentence)
        and not _ADDRESS.search(sentence)
        and not _ORDERS.search(sentence)
    )


def sketch(passages: Sequence[Passage]) -> tuple[int, ...]:
    """The smallest hashes of a text's groups of words: texts that share most of them are copies (Broder 1997)."""
    # within sentences: a copy with its paragraphs in another order is still a copy
    spoken = (words(each) for passage in passages for each in sentences(passage.text))
    groups = {
        " ".join(said[start : start + _GROUP]) for said in spoken for start in range(max(len(said) - _GROUP + 1, 1))
    }
    hashed = (int.from_bytes(hashlib.blake2b(each.encode(), digest_size=6).digest(), "big") for each in groups if each)
    return tuple(sorted(hashed)[:_SKETCH])


def copies(one: Sequence[int], other: Sequence[int]) -> bool:
    """Whether two sketches are of texts that are mostly the same."""
    if not one or not other:
        return False
    union = sorted({*one, *other})[: min(len(one), len(other), _SKETCH)]
    return len({*one} & {*other} & {*union}) >= _COPY * len(union)
