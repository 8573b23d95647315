"""Signs, numbers, dates and money as words of a language. Words and grammar of the numbers are indic-numtowords's."""

import re
import tomllib
import unicodedata
from collections.abc import Callable
from functools import lru_cache
from importlib.resources import files

from pydantic import BaseModel, ConfigDict

_SCALES = (
    "thousand lakhs? crores? million billion लाख करोड़ हज़ार हजार कोटी কোটি লাখ লক্ষ ਲੱਖ ਕਰੋੜ લાખ કરોડ ଲକ୍ଷ କୋଟି"
    " லட்சம் கோடி లక్షల కోట్ల ಲಕ್ಷ ಕೋಟಿ ലക്ഷം കോടി لاکھ کروڑ"
)
_MONEY = re.compile(
    r"(?P<sign>₹|৳|\$|€|£|Rs\.?(?=\s?\d)|INR(?=\s?\d))\s?(?P<sum>\d[\d,]*(?:\.\d+)?)"
    rf"(?P<scale>\s(?:{'|'.join(unicodedata.normalize('NFC', each) for each in _SCALES.split())})(?!\w))?"
)
_DATE = re.compile(
    r"\b(?:(?P<y1>[12]\d{3})-(?P<m1>\d{1,2})-(?P<d1>\d{1,2})|(?P<d2>\d{1,2})[/.-](?P<m2>\d{1,2})[/.-](?P<y2>[12]\d{3}))\b"
)
_CLOCK = re.compile(r"\b([01]?\d|2[0-3]):([0-5]\d)\b")
_INDIAN = re.compile(r"\b\d{1,2}(?:,\d{2})+,\d{3}\b")
_NUMBER = re.compile(r"(?<![\w.])(?P<minus>[-−])?(?P<whole>\d{1,3}(?:,\d{2,3})+|\d+)(?:\.(?P<part>\d+))?")
_LINK = re.compile(r"https?://(?:www\.)?([\w.-]+)\S*")
_MARKS = re.compile(r"[*_#`~|<>\[\]{}\\^=]+")
_SPACE = re.compile(r"[^\S\n]+")
_DIGIT_BY_DIGIT = 10**9


class Words(BaseModel):
    """The table of one language in `words.toml`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    months: str
    point: str
    minus: str
    percent: str
    currency: dict[str, str]
    short: dict[str, str]


@lru_cache(maxsize=1)
def _tables() -> dict[str, Words]:
    text = files("tools.voice.text").joinpath("words.toml").read_text(encoding="utf-8")
    return {language: Words.model_validate(table) for language, table in tomllib.loads(text).items()}


def spell(text: str, language: str) -> str:
    """The text with nothing left that a voice would trip over."""
    text = "".join(_plain(each) for each in unicodedata.normalize("NFC", text))
    text = _MARKS.sub(" ", _LINK.sub(lambda link: link[1].replace(".", " dot "), text))
    words = _tables().get(language)
    if words is not None:
        text = _DATE.sub(lambda found: _date(found, words), text)
        text = _MONEY.sub(lambda found: _money(found, words), text)
        text = _CLOCK.sub(lambda found: f"{int(found[1])} {found[2]}" if int(found[2]) else str(int(found[1])), text)
        text = _shortened(text, words).replace("%", f" {words.percent} ")
        text = _numbers(text, language, words)
    return _SPACE.sub(" ", text).strip()


def _plain(letter: str) -> str:
    """Digits of every script as 0-9; emoji, controls and private signs as nothing."""
    if letter.isdecimal():
        return str(unicodedata.decimal(letter))
    if letter in "\n\u200c\u200d":
        return letter
    kind = unicodedata.category(letter)
    if kind in {"So", "Sk", "Cs", "Co", "Cn", "Cc", "Cf"} and letter != "°":
        return " "
    return letter if letter != "\ufe0f" else ""


def _date(found: re.Match[str], words: Words) -> str:
    day, month, year = (int(found[f"{each}1"] or found[f"{each}2"]) for each in "dmy")
    if not (1 <= day <= 31 and 1 <= month <= 12):
        return found[0]
    return f"{day} {words.months.split()[month - 1]} {year}"


def _money(found: re.Match[str], words: Words) -> str:
    sign = found["sign"] if found["sign"] in words.currency else "₹"
    return f"{found['sum']}{found['scale'] or ''} {words.currency[sign]}"


def _shortened(text: str, words: Words) -> str:
    for short, whole in words.short.items():
        before = r"(?<![\w])" if short[0].isalpha() else ""
        after = r"(?![\w])" if short[-1].isalpha() else ""
        text = re.sub(f"{before}{re.escape(short)}{after}", f" {whole} " if not short[0].isalpha() else whole, text)
    return text


def _numbers(text: str, language: str, words: Words) -> str:
    if language == "en":
        # eSpeak reads English numbers well, but not in lakh and crore
        return _INDIAN.sub(lambda found: in_words(int(found[0].replace(",", "")), "en"), text)
    return _NUMBER.sub(lambda found: _number(found, language, words), text)


def _number(found: re.Match[str], language: str, words: Words) -> str:
    digits = found["whole"].replace(",", "")
    long = len(digits) > 1 and digits[0] == "0"
    said = _one_by_one(digits, language) if long else in_words(int(digits), language)
    minus = f"{words.minus} " if found["minus"] else ""
    return f"{minus}{said} {words.point} {_one_by_one(found['part'], language)}" if found["part"] else f"{minus}{said}"


def in_words(number: int, language: str) -> str:
    """A number in words; digit by digit from a hundred crore on, as long numbers are mostly names of things."""
    if number >= _DIGIT_BY_DIGIT:
        return _one_by_one(str(number), language)
    return _speaker()(number, language)


def _one_by_one(digits: str, language: str) -> str:
    return " ".join(_speaker()(int(each), language) for each in digits)


@lru_cache(maxsize=1)
def _speaker() -> Callable[[int, str], str]:
    from indic_numtowords import num2words

    def say(number: int, language: str) -> str:
        try:
            return str(num2words(number, lang=language))
        except (IndexError, KeyError, TypeError, ValueError):
            # a hole in its tables: the engine reads digits in its own way
            return str(number)

    return say
