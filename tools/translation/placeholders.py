"""What must come through a translation as it is: e-mail and web addresses, dates, times, percentages, handles.

IndicTrans2 was trained to carry tags such as `<ID1>` over; now and then it writes them in the target's script.
"""

import re
from dataclasses import dataclass

_EMAIL = r"[\w.%+-]+@[\w-]+(?:\.[\w-]+)*\.[A-Za-z]{2,}"
_URL = r"(?:(?:https?|ftp)://[^\s<>\"]+|\b(?:[\w-]+\.)+[a-z]{2,24}\b(?:[/?#][^\s<>\"]*)?)"
_NUMBER = (
    r"~?\d+(?:\.\d+)?\s?%?\s?-\s?~?\d+(?:\.\d+)?\s?%"  # 10-15 %
    r"|~?\d+(?:\.\d+)?%"
    r"|\d+[-/.,:'+]\d+[-/.,:'+]\d+(?:[-/.,:'+]\d+)*"  # 15/10/2023, 1,23,456
    r"|\d+[-/.:'+]\d+"  # 10:30, 3.14
)
_HANDLE = r"[A-Za-z0-9]*[#@]\w+"
_ENTITY = re.compile(rf"(?P<email>{_EMAIL})|(?P<url>{_URL})|(?P<number>{_NUMBER})|(?P<handle>{_HANDLE})", re.ASCII)
_SHORT = 4
"""Characters, spaces and points not counted, under which a number or an address is left to the model."""
_TRAILING = ".,;:!?'\")।॥"

_SPELT = (
    "ID", "आईडी", "आई डी", "आयडी", "आय डी", "आइडि", "आइ डी", "ऐटि", "ऐडि", "آی ڈی", "آئی ڈی", "ꯑꯥꯏꯗꯤ", "ᱟᱭᱰᱤ", "ᱟᱭᱰᱤ ᱾",
)  # fmt: skip
"""How the models write «ID» in their languages."""
_TAG = re.compile(
    r"[<\[]\s*(?:"
    + "|".join(r"\s*\.?\s*".join(map(re.escape, spelt.split())) + r"\s*\.?" for spelt in _SPELT)
    + r")\s*(\d+)\s*[>\]]",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Held:
    """A text with tags in place of its `entities`; the first is `<ID1>`."""

    text: str
    entities: tuple[str, ...]

    def restore(self, translated: str) -> str:
        """The translation with the entities in place of their tags."""

        def entity(tag: re.Match[str]) -> str:
            number = int(tag[1])
            return self.entities[number - 1] if 0 < number <= len(self.entities) else tag[0]

        return _TAG.sub(entity, translated)

    def kept(self, translated: str) -> int:
        """How many of the entities stand in a translation."""
        return sum(entity in translated for entity in self.entities)


def hold(text: str) -> Held:
    """Put tags in place of what must come through; what occurs twice has one tag."""
    entities: list[str] = []

    def tag(found: re.Match[str]) -> str:
        entity = found[0].rstrip(_TRAILING) if found["url"] else found[0].rstrip()
        if found.lastgroup in {"url", "number"} and len(re.sub(r"[\s.:]", "", entity)) < _SHORT:
            return found[0]
        if entity not in entities:
            entities.append(entity)
        return f"<ID{entities.index(entity) + 1}>{found[0][len(entity) :]}"

    held = _ENTITY.sub(tag, text)
    return Held(held, tuple(entities))
