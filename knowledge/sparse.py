"""Words as sparse BM25 vectors, for every script that people here write in.

The tokenizers that come with the engine either drop numbers or cut Indian words at their vowel signs, so words are cut
and normalised here and only weighed and hashed by it. Besides each word stands its *sound*: the classes of its
consonants, the same in every script, so that «पैंथर्स» finds "Panthers".
"""

import re
import unicodedata
from collections import Counter
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from qdrant_edge import Bm25

Sparse = tuple[NDArray[np.uint32], NDArray[np.float32]]
"""Term numbers, ascending, and their weights."""

_LENGTH = 100.0
_SOUND_WEIGHT = 0.5

# letters and digits, and the vowel signs, viramas and joiners of the Indian blocks, which `\w` leaves out
_WORD = re.compile(r"[\w\u0900-\u0963\u0966-\u0df3\u200c\u200d]+")
_LATIN_MARKS = re.compile(r"[\u0300-\u036f]")
_POSSESSIVE = re.compile(r"['’]s\b")
_THOUSANDS = re.compile(r"(?<=\d),(?=\d)")
# within Devanagari: joiners and the nukta go, chandrabindu and a nasal before a consonant become anusvara
_JOINERS = re.compile(r"[\u200c\u200d\u093c]")
_NASAL = re.compile(r"[ङञणनम]\u094d(?=[क-ह])|\u0901")
_INDIC = range(0x0900, 0x0D80)

# Ramanathan and Rao, "A Lightweight Stemmer for Hindi" (2003)
_HINDI_ENDINGS = sorted(
    """
    ो े ू ु ी ि ा कर ाओ िए ाई ाए ने नी ना ते ीं ती ता ाँ ां ों ें ाकर ाइए ाईं ाया ेगी ेगा ोगी ोगे ाने ाना ाते ाती ाता तीं
    ाओं ाएं ुओं ुएं ुआं ाएगी ाएगा ाओगी ाओगे एंगी ेंगी एंगे ेंगे ूंगी ूंगा ातीं नाओं नाएं ताओं ताएं ियाँ ियों ियां
    ाएंगी ाएंगे ाऊंगी ाऊंगा
    """.split(),  # noqa: SIM905 - a list of two hundred quotation marks says nothing more
    key=len,
    reverse=True,
)

_HINDI_STOPWORDS = frozenset(
    """
    के का की में है हैं से को पर और ने यह वह कि एक था थे थी भी हो इस उस तो ही कर गया गई गए लिए जो या साथ द्वारा किया किए
    अपने रहा रहे रही होता होती होते जब तक करने करते करता करती वाले वाली वाला हुआ हुई हुए इन उन उनके उनकी इसके इसकी उसके
    उसकी जा जाता जाती जाते बाद कुछ सकता सकती सकते नहीं क्या कौन कब कहां क्यों कैसे कितने कितना कितनी किस किसने किसे किसका
    किसके किसकी कौनसा कौनसे कौनसी
    """.split()  # noqa: SIM905
)

_DEVANAGARI_SOUNDS = {
    **dict.fromkeys("कखगघक़ख़ग़", "k"),
    **dict.fromkeys("चछजझ", "j"),
    **dict.fromkeys("टठडढतथदधड़ढ़", "t"),
    **dict.fromkeys("पफबभ", "p"),
    **dict.fromkeys("ङञणनम\u0902", "n"),
    **dict.fromkeys("वऴ", "v"),
    **dict.fromkeys("रऱ", "r"),
    **dict.fromkeys("लळ", "l"),
    **dict.fromkeys("शषस", "s"),
    "ह": "h",
}
_LATIN_SOUNDS = str.maketrans(
    {
        **dict.fromkeys("kgqc", "k"),
        **dict.fromkeys("jz", "j"),
        **dict.fromkeys("td", "t"),
        **dict.fromkeys("pbf", "p"),
        **dict.fromkeys("nm", "n"),
        **dict.fromkeys("vw", "v"),
        **dict.fromkeys("aeiouyh", ""),
        "x": "ks",
    }
)
_LATIN_CLUSTERS = (
    ("ck", "k"), ("ch", "j"), ("sch", "s"), ("sh", "s"), ("ph", "p"), ("th", "t"), ("tion", "sn"),
    ("ce", "s"), ("ci", "s"), ("cy", "s"), ("ge", "j"), ("gi", "j"),
)  # fmt: skip


def words(text: str) -> list[str]:
    """Normalised words in their order; digits of every script are ASCII."""
    text = unicodedata.normalize("NFKC", text).casefold()
    text = _LATIN_MARKS.sub("", unicodedata.normalize("NFD", text))
    text = _NASAL.sub("\u0902", _JOINERS.sub("", _POSSESSIVE.sub("", _THOUSANDS.sub("", text))))
    return [_ascii_digits(word).strip("_") for word in _WORD.findall(text)]


def _ascii_digits(word: str) -> str:
    if word.isascii() or not any(map(str.isdecimal, word)):
        return word
    return "".join(str(unicodedata.decimal(each)) if each.isdecimal() else each for each in word)


@lru_cache(maxsize=65_536)
def stem(word: str) -> str:
    """The word without the ending of its case, number or tense, where the script is Devanagari."""
    if not "\u0900" <= word[:1] <= "\u097f":
        return word
    for ending in _HINDI_ENDINGS:
        if word.endswith(ending) and len(word) - len(ending) >= 2:
            return word[: -len(ending)]
    return word


@lru_cache(maxsize=65_536)
def sound(word: str) -> str:
    """The classes of the word's consonants, empty for a word that has too few of them to be told from others."""
    if word.isascii():
        if not word.isalpha():
            return ""
        for cluster, class_ in _LATIN_CLUSTERS:
            word = word.replace(cluster, class_)
        classes = word.translate(_LATIN_SOUNDS)
    else:
        # the Indian blocks are laid out alike, 128 code points each
        letters = (chr(0x0900 + (ord(each) & 0x7F)) if ord(each) in _INDIC else "" for each in word)
        classes = "".join(_DEVANAGARI_SOUNDS.get(each, "") for each in letters)
    classes = re.sub(r"(.)\1+", r"\1", classes.replace("h", ""))
    return classes if len(classes) >= 3 else ""


@lru_cache(maxsize=2)
def _weigher(stemmed: bool) -> "Bm25":
    from qdrant_edge import Bm25, Bm25Config, DisabledStemmer, StopwordsSet, TokenizerType

    tokenizer = TokenizerType.Whitespace
    if stemmed:
        return Bm25(Bm25Config(tokenizer=tokenizer, language="english", avg_len=_LENGTH))
    return Bm25(Bm25Config(tokenizer=tokenizer, stemmer=DisabledStemmer(), stopwords=StopwordsSet(), avg_len=_LENGTH))


def _terms(text: str) -> tuple[str, str]:
    kept = [word for word in words(text) if word not in _HINDI_STOPWORDS]
    # no word begins with a tilde, so a sound is never taken for one
    sounds = (f"~{heard}" for word in kept if (heard := sound(word)))
    return " ".join(map(stem, kept)), " ".join(sounds)


def document(text: str) -> Sparse:
    """The weights of a text's words and sounds, without their rarity, which the store knows."""
    kept, sounds = _terms(text)
    weights: dict[int, float] = {}
    for vector, scale in (
        (_weigher(True).embed_document(kept), 1.0),
        (_weigher(False).embed_document(sounds), _SOUND_WEIGHT),
    ):
        for term, weight in zip(vector.indices, vector.values, strict=True):
            weights[term] = weights.get(term, 0.0) + scale * weight
    order = sorted(weights)
    return np.array(order, dtype=np.uint32), np.array([weights[term] for term in order], dtype=np.float32)


def question(text: str) -> NDArray[np.uint32]:
    """The terms that a query asks for."""
    kept, sounds = _terms(text)
    terms = {*_weigher(True).embed_query(kept).indices, *_weigher(False).embed_query(sounds).indices}
    return np.array(sorted(terms), dtype=np.uint32)


class Rarity:
    """How many segments of each tenant hold each term: BM25's inverse document frequency over all parts together.

    The engine knows only one part at a time, whose small neighbours would weigh the same word differently; and the
    words of one tenant must not change the ranking of another.
    """

    def __init__(self) -> None:
        self._segments: Counter[str] = Counter()
        self._terms: dict[str, Counter[int]] = {}

    def add(self, tenant: str, terms: list[int], sign: int = 1) -> None:
        """Count one segment in, or out with `sign` -1."""
        self._segments[tenant] += sign
        counts = self._terms.setdefault(tenant, Counter())
        for term in terms:
            counts[term] += sign

    def weights(self, tenant: str, terms: NDArray[np.uint32]) -> NDArray[np.float32]:
        """log(1 + (N - n + 0.5) / (n + 0.5)) for each term."""
        counts = self._terms.get(tenant, Counter())
        n = np.array([counts[int(term)] for term in terms], dtype=np.float64)
        total = max(self._segments[tenant], 1)
        return np.log1p(np.maximum(total - n + 0.5, 0.5) / (n + 0.5)).astype(np.float32)

    def dump(self) -> dict[str, tuple[int, list[int], list[int]]]:
        return {
            tenant: (self._segments[tenant], list(counts), list(counts.values()))
            for tenant, counts in self._terms.items()
        }

    def merge(self, dumped: dict[str, tuple[int, list[int], list[int]]]) -> None:
        """Add what another `Rarity` counted."""
        for tenant, (segments, terms, counts) in dumped.items():
            self._segments[tenant] += segments
            self._terms.setdefault(tenant, Counter()).update(dict(zip(terms, counts, strict=True)))
