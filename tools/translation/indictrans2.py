"""IndicTrans2 by CTranslate2: English and the 22 scheduled languages of India (Gala et al. 2023,
https://arxiv.org/abs/2305.16307).

One model per direction, in the publisher's own folder of a CTranslate2 model, `vocab/model.SRC` beside it. What happens
to a text before and after is what the models were trained on: https://github.com/AI4Bharat/IndicTrans2, `inference/`.
"""

import re
from collections.abc import Mapping
from pathlib import Path

from tools.catalog import Row
from tools.errors import InvalidInput
from tools.speech.script import main_script
from tools.translation import ENGLISH, base, knows
from tools.translation.decoding import Decoder, cut, joined
from tools.translation.indic import from_devanagari, normalise, spaced, to_devanagari, unspaced
from tools.translation.placeholders import Held, hold

TAGS = {
    "as": "asm_Beng",
    "bn": "ben_Beng",
    "brx": "brx_Deva",
    "doi": "doi_Deva",
    "en": "eng_Latn",
    "gom": "gom_Deva",
    "gu": "guj_Gujr",
    "hi": "hin_Deva",
    "kn": "kan_Knda",
    "ks": "kas_Arab",
    "ks-Deva": "kas_Deva",
    "mai": "mai_Deva",
    "ml": "mal_Mlym",
    "mni": "mni_Mtei",
    "mni-Beng": "mni_Beng",
    "mr": "mar_Deva",
    "ne": "npi_Deva",
    "or": "ory_Orya",
    "pa": "pan_Guru",
    "sa": "san_Deva",
    "sat": "sat_Olck",
    "sd": "snd_Arab",
    "sd-Deva": "snd_Deva",
    "ta": "tam_Taml",
    "te": "tel_Telu",
    "ur": "urd_Arab",
}
"""The models' tags by language; where a language has two scripts, its usual one has no script behind it."""

_DIGITS = str.maketrans(
    {
        chr(zero + digit): str(digit)
        for zero in (0x660, 0x6F0, 0x966, 0x9E6, 0xA66, 0xAE6, 0xB66, 0xBE6, 0xC66, 0xCE6, 0xD66, 0x1C50, 0xABF0)
        for digit in range(10)
    }
)
_STRAIGHT = str.maketrans("`´‘‚’„“”«»–", "'''''\"\"\"\"\"-") | {ord("—"): " - ", ord("…"): "...", ord("\r"): ""}
_TIDY = (
    (re.compile("''"), '"'),
    (re.compile(r"\s*\(\s*"), " ("),
    (re.compile(r"\s*\)\s*"), ") "),
    (re.compile(r"\) (?=[.!:?;,])"), ")"),
    (re.compile(r" (?=[:;%?!])"), ""),
    (re.compile(r"\.{2,}"), "."),
    (re.compile(r"\"([,.]+)"), r'\1"'),
    (re.compile(r"\s+"), " "),
)


class IndicTrans2:
    """Options of the row: `direction` (`en-indic`, `indic-en`, `indic-indic`) and those of `Decoder`."""

    def __init__(self, row: Row, files: Mapping[str, Path], device: str) -> None:
        from sacremoses import MosesDetokenizer, MosesPunctNormalizer, MosesTokenizer
        from sentencepiece import SentencePieceProcessor

        self._row = row
        self._decoder = Decoder(row, files["model.bin"], device)
        self._pieces = SentencePieceProcessor(model_file=str(files["vocab/model.SRC"]))
        self._moses = (MosesPunctNormalizer(), MosesTokenizer(lang="en"), MosesDetokenizer(lang="en"))

    def translate(self, texts: list[str], source: str, target: str) -> list[str]:
        """Each text in the target language, all of them in one batch."""
        if not (knows(self._row, source, target) and target in TAGS and source in TAGS):
            raise InvalidInput(
                f"{self._row.title} does not translate {source!r} into {target!r}.",
                remedy=f"It goes {self._row.options.get('direction', 'both ways')}: {', '.join(self._row.languages)}.",
            )
        held = [hold(tidied(text)) for text in texts]
        done = self._pass([each.text for each in held], source, target, held)
        # a tag that got lost is a number or an address lost: the model may do better on the thing itself
        torn = [n for n, each in enumerate(held) if each.kept(done[n]) < len(each.entities)]
        plain = self._pass([tidied(texts[n]) for n in torn], source, target, [held[n] for n in torn]) if torn else []
        for n, again in zip(torn, plain, strict=True):
            if held[n].kept(again) > held[n].kept(done[n]):
                done[n] = again
        return done

    def _pass(self, texts: list[str], source: str, target: str, held: list[Held]) -> list[str]:
        cuts = cut([self._before(text, source) for text in texts], lambda text: self._pieces.encode(text, out_type=str))
        found = [_source_tag(source, texts[each.text]) for each in cuts]
        decoded = self._decoder.decode(
            [[tag, TAGS[target], *each.tokens] for tag, each in zip(found, cuts, strict=True)]
        )
        # the publisher's way to join pieces: their own model leaves spaces where it should not
        written = joined(len(texts), cuts, ["".join(tokens).replace("▁", " ") for tokens in decoded])
        return [self._after(each.restore(text), target) for each, text in zip(held, written, strict=True)]

    def _before(self, text: str, source: str) -> str:
        normaliser, tokenizer, _ = self._moses
        if source == ENGLISH:
            return " ".join(tokenizer.tokenize(normaliser.normalize(text), escape=False))
        script = _source_tag(source, text).partition("_")[2]
        return to_devanagari(spaced(normalise(text, script), script), script)

    def _after(self, text: str, target: str) -> str:
        if target == ENGLISH:
            return str(self._moses[2].detokenize(text.split()))
        script = TAGS[target].partition("_")[2]
        if script == "Arab":
            text = re.sub(" (?=[؟۔،])", "", text).replace("\u066e\u06ea", "\u0620")
        return unspaced(from_devanagari(text, script))


def tidied(text: str) -> str:
    """Straight quotes, single spaces, Western digits."""
    text = text.translate(_STRAIGHT)
    for pattern, instead in _TIDY:
        text = pattern.sub(instead, text)
    return text.translate(_DIGITS).strip()


def _source_tag(language: str, text: str) -> str:
    """The tag of the script that the text is in, where the language has several."""
    written = f"{base(language)}-{main_script(text)}"
    return TAGS[written] if written in TAGS else TAGS[language]
