"""The few sentences that the agent itself says, by language; languages without their own get the English ones."""

from typing import Literal

from knowledge.segment import Modality, moment

Phrase = Literal[
    "nothing",
    "arriving",
    "quote",
    "only_english",
    "weak_model",
    "no_model",
    "said",
    "shown",
    "seen",
    "page",
    "cut",
    "too_early",
]

_PHRASES: dict[str, dict[Phrase, str]] = {
    "en": {
        "nothing": "The material does not say this.",
        "arriving": "Still being ingested: {names}.",
        "quote": "The material says: {quote}",
        "only_english": "The installed model writes only English, so here is what the material says: {quote}",
        "weak_model": "The model gave no answer that the material supports. The closest passage says: {quote}",
        "no_model": "No chat model could answer, so here is what the material says: {quote}",
        "said": "It is said at {time}: {quote}",
        "shown": "It is on screen at {time}: {quote}",
        "seen": "It is seen at {time}: {quote}",
        "page": "It is on page {time}: {quote}",
        "cut": "This is as far as the run came: {quote}",
        "too_early": "The run ended before it found anything.",
    },
    "hi": {
        "nothing": "सामग्री में यह नहीं मिला।",
        "arriving": "इन पर अभी काम चल रहा है: {names}।",
        "quote": "सामग्री में लिखा है: {quote}",
        "only_english": "यहाँ का मॉडल केवल अंग्रेज़ी लिखता है, इसलिए सामग्री के अपने शब्द: {quote}",
        "weak_model": "मॉडल से ऐसा उत्तर नहीं मिला जिसे सामग्री प्रमाणित करे। सबसे निकट का अंश: {quote}",
        "no_model": "कोई चैट मॉडल उत्तर नहीं दे सका, इसलिए सामग्री के अपने शब्द: {quote}",
        "said": "यह {time} पर कहा गया है: {quote}",
        "shown": "यह {time} पर स्क्रीन पर है: {quote}",
        "seen": "यह {time} पर दिखता है: {quote}",
        "page": "यह पृष्ठ {time} पर है: {quote}",
        "cut": "यहाँ तक का परिणाम: {quote}",
        "too_early": "कुछ मिलने से पहले ही काम रुक गया।",
    },
}

_BY_MODALITY: dict[Modality, Phrase] = {"speech": "said", "caption": "said", "screen_text": "shown", "page": "page"}


def say(phrase: Phrase, language: str, **values: str) -> str:
    return _PHRASES.get(language, _PHRASES["en"])[phrase].format(**values)


def at(modality: Modality) -> Phrase:
    """How something of this modality is there: said, shown, seen."""
    return _BY_MODALITY.get(modality, "seen")


def span(start: float, end: float | None) -> str:
    """`00:07-00:12`, or one time when both are the same second."""
    first, last = moment(start), moment(end if end is not None else start)
    return first if first == last else f"{first}-{last}"
