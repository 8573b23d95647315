"""What a question asks for, by rules: its language, its kind, what to look for and what it refers back to."""

import re
from collections.abc import Sequence

from graphs.catalog import Turn
from graphs.temporal.state import Kind
from graphs.temporal.stopwords import FRAME, GENERAL, REFERS
from graphs.temporal.words import content, stem, words
from knowledge.moments import TimeCondition
from knowledge.segment import Modality
from tools.languages import tell_language

_QUOTED = re.compile(r"[\"“”«»„]([^\"“”«»„]{2,200})[\"“”«»„]|(?<!\w)['‘]([^'’]{2,200})['’](?!\w)")

_ASKS_WHEN = re.compile(
    r"^\W*(?:(?:and|so|then|please|tell me|can you (?:tell me|find)|find|show me)\W+)*"
    r"(?:when|at (?:what|which) (?:time|point|moment|second|minute|timestamp)|(?:what|which) (?:time|moment|timestamp)|"
    r"how (?:far|long|many (?:seconds|minutes)) into|where in the (?:video|clip|recording|film|audio)|"
    r"(?:in )?(?:what|which) (?:part|scene) of the (?:video|clip|recording|film))\b",
    re.IGNORECASE,
)
_IN_THE_MATERIAL = re.compile(
    r"\b(?:said|says?|saying|mention\w*|spoken|speaks?|talk(?:s|ing)?|told|tells?|heard?|announce[sd]?|introduce[sd]?|"
    r"discuss\w*|explain\w*|describ\w+|shown|shows?|appear(?:s|ing)?|visible|displayed|seen?|happen(?:s|ing)?|starts?|"
    r"begins?|ends?|on (?:the )?screen|in the (?:video|clip|recording|film|audio)|speaker|narrator|presenter)\b",
    re.IGNORECASE,
)
_PRESENT = re.compile(r"\b(?:when|point|moment|time)\W+(?:does|do|is|are|can|could)\b", re.IGNORECASE)
_ASKS_WHEN_INDIC = re.compile(r"कब|किस (?:समय|वक्त|वक़्त|पल|क्षण|मिनट|सेकंड)|\bkab\b", re.IGNORECASE)
_IN_THE_MATERIAL_INDIC = re.compile(
    r"कह[ातेी]|कहा|बोल|सुना|दिख|ज़िक्र|जिक्र|उल्लेख|स्क्रीन|वीडियो|बात (?:हो|कर)|आता|आती|आते|शुरू"
    r"|\b(?:bol|kah|dikh|sun|screen|video)"
)

# words that frame a question about a recording and are not what to look for in it
_FRAME = frozenset(stem(word) for word in FRAME)
_GENERAL = _FRAME | {stem(word) for word in GENERAL}

_GOES_ON = re.compile(r"^\W*(?:and|but|also|what about|how about|what else|और|फिर|aur)\b", re.IGNORECASE)

_HINTS: tuple[tuple[re.Pattern[str], tuple[Modality, ...]], ...] = (
    (
        re.compile(r"\b(?:said|says?|mention\w*|spoken|speaks?|talks?|heard|told|hear)\b|कह|बोल|सुना", re.IGNORECASE),
        ("speech",),
    ),
    (
        re.compile(
            r"\bon (?:the )?screen|\b(?:title|text|caption|slide|displayed|written|shown?)\b|स्क्रीन", re.IGNORECASE
        ),
        ("screen_text", "caption"),
    ),
)


def language_of(question: str) -> str:
    """The language to answer in; a few Latin words that nothing tells apart count as English."""
    language, sure = tell_language(question)
    latin = all(ord(character) < 0x250 for character in question if character.isalpha())
    if language is None or (latin and sure < 0.4):
        return "en"
    return language.removesuffix("-Latn")


def kind_of(question: str, language: str) -> Kind:
    """`moment` for «when does … happen», «when is … said»; «when was … built» asks for a fact."""
    when = bool(_ASKS_WHEN.search(question))
    if when and (_IN_THE_MATERIAL.search(question) or _PRESENT.search(question)):
        return "moment"
    if language != "en" and _ASKS_WHEN_INDIC.search(question) and _IN_THE_MATERIAL_INDIC.search(question):
        return "moment"
    return "fact"


def topic_of(question: str, kind: Kind) -> str:
    """What to look for: the quoted words when there are any, else the question without the words that only ask."""
    quoted = " ".join(one or other for one, other in _QUOTED.findall(question))
    if kind == "fact":
        return question
    if quoted:
        return quoted
    wanted = set(sought(question, kind))
    kept = [word for word in re.findall(r"\S+", question) if any(stem(each) in wanted for each in words(word))]
    return " ".join(kept).strip(" ?.!,।") or question


def sought(text: str, kind: Kind) -> list[str]:
    """Stems that a matching passage should have."""
    stems = content(text)
    if kind == "moment":
        stems = [word for word in stems if word not in _FRAME] or stems
    return stems


def general(question: str) -> bool:
    """Whether a question is about the material as a whole and names nothing in it: «where does this take place?»."""
    return not set(content(question)) - _GENERAL


def hinted(question: str) -> tuple[Modality, ...]:
    """Kinds of memory that the question's verbs speak of: said, or shown as text."""
    return tuple(modality for pattern, modalities in _HINTS if pattern.search(question) for modality in modalities)


def goes_on(question: str) -> bool:
    """Whether a question continues the one before it: «and …», «what about …», or a lone pronoun."""
    said = set(words(question))
    few = len(content(question)) <= 3
    refers = bool(said & REFERS)
    return bool(_GOES_ON.search(question)) or (few and refers) or len(content(question)) <= 1


def _standing(turns: Sequence[Turn]) -> str:
    """The last question with those before it that it went on from."""
    said = turns[-1].question
    for earlier, later in zip(turns[-2::-1], turns[:0:-1], strict=True):
        if not goes_on(later.question):
            break
        said = f"{earlier.question} {said}"
    return said


def resolve(question: str, times: TimeCondition, turns: Sequence[Turn], language: str) -> tuple[str, str, Kind]:
    """The question as it stands for itself, its topic and kind; a follow-up takes what it lacks from the last turn."""
    kind = kind_of(question, language)
    rest = times.rest.strip() or question
    if not turns or not goes_on(question):
        return question, topic_of(rest, kind) if not times.is_empty or kind == "moment" else question, kind
    before = _standing(turns)
    joined = f"{before} {question}"
    if kind == "fact":
        kind = kind_of(before, language)
    return joined, topic_of(rest if kind == "moment" and sought(rest, kind) else joined, kind), kind
