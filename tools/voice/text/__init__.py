"""A text made ready to be spoken: signs and numbers in words, sentences, and who reads which script."""

from dataclasses import dataclass

from tools.voice.text.scripts import spans
from tools.voice.text.sentences import sentences
from tools.voice.text.spell import spell


@dataclass(frozen=True)
class Span:
    """A stretch of one sentence in one language."""

    text: str
    language: str


@dataclass(frozen=True)
class Prepared:
    """Sentences as spans; `unread` are the scripts (ISO 15924) that nobody here reads and that were left out."""

    sentences: list[list[Span]]
    unread: list[str]


def prepare(text: str, language: str) -> Prepared:
    """What is to be spoken of a text in `language`; no sentence where there is nothing but signs and emoji."""
    prepared, unread = list[list[Span]](), set[str]()
    for sentence in sentences(spell(text, language)):
        found, left_out = spans(sentence, language)
        unread |= left_out
        if found:
            prepared.append([Span(words, spoken) for words, spoken in found])
    return Prepared(prepared, sorted(unread))
