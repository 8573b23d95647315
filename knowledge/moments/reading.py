"""A question while it is being read: words that a rule has understood are hidden from the rules after it."""

import re
import unicodedata

_HIDDEN = "\x00"
# one spelling for what people write in several ways: digits of both scripts, nasal signs, dashes, quotation marks
_FOLDED = {
    **{chr(0x966 + digit): str(digit) for digit in range(10)},
    "\u0901": "\u0902",
    "–": "-",
    "—": "-",
    "’": "'",
    "‘": "'",
    "“": '"',
    "”": '"',
    "\u00a0": " ",
}
_DROPPED = {"\u093c", "\u200c", "\u200d"}
_QUOTED = re.compile(r'"[^"]*"|«[^»]*»|(?<!\w)\'[^\']{3,}\'(?!\w)')
_WORD = r"[\w\u0900-\u0963\u0966-\u097f]"
_LOOSE = re.compile(
    r"^[\s,;:.\-]+|(?:\s(?:at|in|on|of|the|from|by|during|was|is|did|does|में|को|के|का|की|पर|से|mein|me|ko))?[\s,;:\-]*$",
    re.IGNORECASE,
)


def rule(pattern: str) -> re.Pattern[str]:
    """A pattern over folded text that begins and ends at the edge of a word; a blank in it matches any white space."""
    return re.compile(rf"(?<!{_WORD})(?:{_spaced(pattern)})(?!{_WORD})", re.IGNORECASE)


def inner(pattern: str) -> re.Pattern[str]:
    """The same for the inside of what another rule has matched, where words may run together (`1m23s`)."""
    return re.compile(_spaced(pattern), re.IGNORECASE)


def _spaced(pattern: str) -> str:
    folded = _fold(unicodedata.normalize("NFC", pattern))[0]
    return folded.replace("[- ]", r"[-\s]").replace(" ?", r"\s*").replace(" ", r"\s+")


def _fold(text: str) -> tuple[str, list[int]]:
    kept = [(_FOLDED.get(char, char), place) for place, char in enumerate(text) if char not in _DROPPED]
    return "".join(char for char, _ in kept), [place for _, place in kept]


class Reading:
    """`text` is the folded question with what was understood, and what stands in quotation marks, blanked out."""

    def __init__(self, question: str) -> None:
        self._original = unicodedata.normalize("NFC", question).replace(_HIDDEN, " ")
        self.text, self._places = _fold(self._original)
        self._taken: list[tuple[int, int]] = []
        for quoted in _QUOTED.finditer(self.text):
            self._hide(*quoted.span())

    def find(self, pattern: re.Pattern[str]) -> re.Match[str] | None:
        """The first place where the pattern fits."""
        return pattern.search(self.text)

    def take(self, match: re.Match[str], group: int | str = 0) -> None:
        """Hide what a rule has understood."""
        start, end = match.span(group)
        if end > start:
            self._taken.append((start, end))
            self._hide(start, end)

    def original(self, start: int, end: int) -> str:
        """The words between two places of `text`, as the user wrote them."""
        first = self._places[start] if start < len(self._places) else len(self._original)
        last = self._places[end] if end < len(self._places) else len(self._original)
        return self._original[first:last].strip(" ,;:.?!।\n\t")

    def _hide(self, start: int, end: int) -> None:
        self.text = f"{self.text[:start]}{_HIDDEN * (end - start)}{self.text[end:]}"

    @property
    def matched(self) -> tuple[str, ...]:
        """What was understood, in the order of the question."""
        return tuple(self.original(start, end) for start, end in sorted(self._taken))

    @property
    def rest(self) -> str:
        """The question without what was understood; the whole question when nothing would be left."""
        kept, last = [], 0
        for start, end in sorted(self._taken):
            first = self._places[start]
            kept.append(self._original[last:first])
            last = self._places[end] if end < len(self._places) else len(self._original)
        text = " ".join("".join([*kept, " ", self._original[last:]] if kept else [self._original]).split())
        text = re.sub(r"\s+([,.?!।])", r"\1", text)
        bare = text.rstrip("?!।. ")
        while (trimmed := _LOOSE.sub("", bare)) != bare and self._taken:
            bare = trimmed
        return (bare if self._taken else text) or self._original.strip()
