"""M2M100 by CTranslate2: a hundred languages, each with each other (Fan et al. 2020, https://arxiv.org/abs/2010.11125).

The publisher's sentencepiece model makes the pieces; the languages are tokens such as `__hi__`, the source's in front
of the text, the target's in front of the translation.
"""

from collections.abc import Mapping
from pathlib import Path

from tools.catalog import Row
from tools.errors import InvalidInput
from tools.translation.decoding import Decoder, cut, joined

_END = "</s>"


class M2M100:
    """Options of the row: those of `Decoder`."""

    def __init__(self, row: Row, files: Mapping[str, Path], device: str) -> None:
        from sentencepiece import SentencePieceProcessor

        self._row = row
        self._decoder = Decoder(row, files["model.bin"], device)
        self._pieces = SentencePieceProcessor(model_file=str(files["sentencepiece.bpe.model"]))

    def translate(self, texts: list[str], source: str, target: str) -> list[str]:
        """Each text in the target language, all of them in one batch."""
        first, begin = self._token(source), self._token(target)
        cuts = cut(texts, lambda text: list(self._pieces.encode(text, out_type=str)))
        decoded = self._decoder.decode([[first, *each.tokens, _END] for each in cuts], [begin])
        return joined(len(texts), cuts, [str(self._pieces.decode_pieces(tokens)) for tokens in decoded])

    def _token(self, language: str) -> str:
        if language not in self._row.languages:
            raise InvalidInput(
                f"{self._row.title} does not know the language {language!r}.",
                remedy=f"It knows {', '.join(self._row.languages)}.",
            )
        return f"__{language}__"
