"""Text from one language into another."""

from typing import Protocol

from tools.capability import Capability
from tools.catalog import Row

ENGLISH = "en"


class Translation(Protocol):
    def translate(self, texts: list[str], source: str, target: str) -> list[str]:
        """Each text in the target language, all of them in one batch.

        A text is a sentence or a few: no line breaks, one language. Languages are those of the engine's row, with a
        script behind them where a language has several (`sd-Deva`). Raises `InvalidInput` for a pair it does not know.
        """
        ...


TRANSLATION: Capability[Translation] = Capability("translation", Translation)


def knows(row: Row, source: str, target: str) -> bool:
    """Whether the row translates this pair; its option `direction` says which of `en` and the others it is made for."""
    if not {base(source), base(target)} <= set(row.languages):
        return False
    # only models with a direction have languages in two scripts
    match row.options.get("direction"):
        case "en-indic":
            return source == ENGLISH != target
        case "indic-en":
            return target == ENGLISH != source
        case "indic-indic":
            return ENGLISH not in (source, target)
    return {source, target} <= set(row.languages)


def base(language: str) -> str:
    """The language without its script: `sd` of `sd-Deva`."""
    return language.partition("-")[0]
