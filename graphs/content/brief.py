"""What is wanted, by rules: the kind, the length, the language and the topic itself."""

import re
from collections.abc import Mapping

from graphs.content.kinds import KINDS, POST_CHARACTERS, SIZES, ContentType
from graphs.content.options import ContentOptions
from graphs.content.state import Brief
from tools.languages import tell_language

_SAID: Mapping[ContentType, str] = {
    "blog_post": r"blog(?:\s*-?post)?",
    "social_post": r"(?:social(?:\s*-?media)?\s*-?post|tweet|linkedin\s+post|post\s+for\s+\w+|instagram\s+caption)",
    "newsletter": r"newsletter",
    "tutorial": r"tutorial",
    "manual": r"(?:user\s+)?manual",
    "guide": r"guide|how-?to",
    "report": r"report",
    "essay": r"essay",
    "story": r"(?:short\s+)?story|tale",
    "script": r"script|screenplay",
    "poem": r"poem|sonnet|verses",
    "article": r"article",
}
_ASKED = re.compile(
    r"^\W*(?:please\s+|can you\s+|could you\s+|now\s+)*(?:write|draft|compose|create|make|produce|prepare|generate)\b"
    r"(?:\s+(?:me|us))?\s+(?P<what>[^.?!\n]{0,80}?)\s+"
    r"(?:about|on|of|for|explaining|describing|that explains)\s+(?P<topic>.+)",
    re.IGNORECASE | re.DOTALL,
)
_WORDS = re.compile(r"\b(?:(?:in|of|with|about|around)\s+)*(?P<count>\d{2,4})[\s-]words?\b", re.IGNORECASE)


def brief_of(topic: str, options: ContentOptions, *, grounded: bool) -> Brief:
    asked = _ASKED.match(topic)
    what = asked["what"] if asked else topic[:120]
    kind = options.content_type or _kind(what)
    counted = _WORDS.search(topic[:300])
    length = options.length
    if counted and "length" not in options.model_fields_set and 20 <= int(counted["count"]) <= 3_000:
        length = int(counted["count"])
    plain = _WORDS.sub("", asked["topic"] if asked and _kind_named(what) else topic).strip(" .,:;\n")
    words = length if isinstance(length, int) else KINDS[kind].words[SIZES.index(length)]
    return Brief(
        topic=plain or topic,
        kind=kind,
        style=options.style,
        language=options.language or _language(topic),
        words=words,
        planned=words,
        characters=_characters(length) if KINDS[kind].shape == "post" else None,
        keywords=list(dict.fromkeys(options.keywords)),
        audience=options.audience,
        grounded=grounded,
    )


def _kind(what: str) -> ContentType:
    return _kind_named(what) or "article"


def _kind_named(what: str) -> ContentType | None:
    found = [
        (match.start(), kind)
        for kind, pattern in _SAID.items()
        if (match := re.search(rf"\b(?:{pattern})\b", what, re.IGNORECASE))
    ]
    return min(found)[1] if found else None


def _language(topic: str) -> str:
    language, sure = tell_language(topic)
    latin = all(ord(character) < 0x250 for character in topic if character.isalpha())
    # a few Latin words are no proof: «a» is Portuguese too
    doubtful = latin and (sure < 0.4 or len(topic.split()) < 12)
    return "en" if language is None or doubtful else language.removesuffix("-Latn")


def _characters(length: str | int) -> int:
    """The most characters of a post; about 7.5 for each word that was asked for."""
    return POST_CHARACTERS[length] if length in POST_CHARACTERS else round(int(length) * 7.5)  # type: ignore[index]
