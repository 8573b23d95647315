"""Days, weeks, months and years as people name them, as half-open windows of wall clock."""

import re
from calendar import monthrange
from collections.abc import Callable
from datetime import datetime, timedelta

from knowledge.moments.numbers import NUMBER, number
from knowledge.moments.reading import inner

Window = tuple[datetime | None, datetime | None]
"""From (inclusive) and to (exclusive); None leaves that side open."""

_MONTHS = [
    "january|jan|जनवरी|janvari|janwari", "february|feb|फरवरी|farvari|farwari", "march|मार्च", "april|apr|अप्रैल|aprail",
    "may|मई", "june|jun|जून", "july|jul|जुलाई|julai", "august|aug|अगस्त|agast",
    "september|sept|sep|सितंबर|सितम्बर|sitambar", "october|oct|अक्टूबर|अक्तूबर|aktubar",
    "november|nov|नवंबर|नवम्बर|navambar", "december|dec|दिसंबर|दिसम्बर|disambar",
]  # fmt: skip
_WEEKDAYS = [
    "monday|सोमवार|somvar|somwar|somvaar", "tuesday|tues|tue|मंगलवार|mangalvar|mangalwar|mangalvaar",
    "wednesday|बुधवार|budhvar|budhwar|budhvaar", "thursday|thurs|thu|गुरुवार|गुरूवार|बृहस्पतिवार|guruvar|guruwar|guruvaar",
    "friday|fri|शुक्रवार|shukravar|shukrawar|shukravaar", "saturday|शनिवार|shanivar|shaniwar|shanivaar",
    "sunday|रविवार|इतवार|ravivar|raviwar|ravivaar|itwar|itvaar",
]  # fmt: skip
_PERIODS = {
    "day": "days?|दिन(?:ों)?|din|dino|dinon",
    "week": "weeks?|हफ्ता|हफ्ते|हफ्तों|सप्ताह|सप्ताहों|hafta|hafte|hafton|saptah",
    "month": "months?|महीना|महीने|महीनों|माह|mahina|mahine|mahinon",
    "year": "years?|साल|सालों|वर्ष|वर्षों|saal|saalon|varsh",
}
MONTH = "(?:" + "|".join(_MONTHS) + r")\.?"
WEEKDAY = "(?:" + "|".join(_WEEKDAYS) + ")"
_PERIOD = "(?:" + "|".join(_PERIODS.values()) + ")"
_YEAR = r"(?:19|20)\d\d"
_NTH = r"\d{1,2}(?:st|nd|rd|th)?"
_LAST = r"(?:last|previous|पिछले|पिछली|गत|बीते|pichhle|pichle|pichhli|pichli|gat|beete)"
_AGO = r"(?:ago|back|earlier|पहले|pehle|pahle)"
_THIS = r"(?:this|इस|is)"

_SHORT_PERIODS = {"day": timedelta(days=1), "week": timedelta(days=7)}


def _index(word: str, names: list[str]) -> int:
    return next(place for place, each in enumerate(names) if re.fullmatch(each, word.rstrip("."), re.IGNORECASE))


def midnight(moment: datetime) -> datetime:
    return moment.replace(hour=0, minute=0, second=0, microsecond=0)


def _day(day: datetime) -> Window:
    return midnight(day), midnight(day) + timedelta(days=1)


def _month(year: int, month: int, now: datetime) -> Window:
    start = midnight(now).replace(year=year, month=month, day=1)
    return start, start + timedelta(days=monthrange(year, month)[1])


def _year(year: int, now: datetime) -> Window:
    start = midnight(now).replace(year=year, month=1, day=1)
    return start, start.replace(year=year + 1)


def _period(name: str, back: int, now: datetime) -> Window:
    """The calendar day, week (from Monday), month or year that lies so many of them back."""
    kind = next(kind for kind, names in _PERIODS.items() if re.fullmatch(names, name, re.IGNORECASE))
    if kind == "day":
        return _day(now - timedelta(days=back))
    if kind == "week":
        start = midnight(now) - timedelta(days=now.weekday() + 7 * back)
        return start, start + timedelta(days=7)
    if kind == "month":
        months = now.year * 12 + now.month - 1 - back
        return _month(months // 12, months % 12 + 1, now)
    return _year(now.year - back, now)


def _ago(match: re.Match[str], now: datetime) -> Window:
    return _period(match["period"], round(_count(match)), now)


def _count(match: re.Match[str]) -> float:
    spelled = (match["count"] or "").lower()
    return 1.0 if spelled in {"", "a", "an"} else number(spelled.replace("a couple of", "couple").replace(" of", ""))


def _past(match: re.Match[str], now: datetime) -> Window:
    """«the last three weeks» reach up to now; whole days, because nobody counts hours there."""
    count, name = round(_count(match)), match["period"]
    kind = next(kind for kind, names in _PERIODS.items() if re.fullmatch(names, name, re.IGNORECASE))
    if kind in _SHORT_PERIODS:
        return midnight(now - count * _SHORT_PERIODS[kind]), now
    months = now.year * 12 + now.month - 1 - count * (12 if kind == "year" else 1)
    year, month = months // 12, months % 12 + 1
    return midnight(now).replace(year=year, month=month, day=min(now.day, monthrange(year, month)[1])), now


def _weekday(match: re.Match[str], now: datetime) -> Window:
    """The last such day that was; `last` never means today."""
    back = (now.weekday() - _index(match["day"], _WEEKDAYS)) % 7
    if back == 0 and match["last"]:
        back = 7
    return _day(now - timedelta(days=back))


def _dated(match: re.Match[str], now: datetime) -> Window:
    parts = match.groupdict()
    month = int(parts["number"]) if parts.get("number") else _index(parts["month"], _MONTHS) + 1
    day = int(re.sub(r"\D", "", parts["nth"]))
    if parts.get("year"):
        year = int(parts["year"])
        return _day(midnight(now).replace(year=year + 2000 if year < 100 else year, month=month, day=day))
    this_year = midnight(now).replace(month=month, day=day)
    return _day(this_year if this_year <= now else this_year.replace(year=now.year - 1))


def _named_month(match: re.Match[str], now: datetime) -> Window:
    month = _index(match["month"], _MONTHS) + 1
    if match["year"]:
        return _month(int(match["year"]), month, now)
    last = match["last"] and month == now.month
    return _month(now.year - 1 if month > now.month or last else now.year, month, now)


def _back(days: int) -> Callable[[re.Match[str], datetime], Window]:
    return lambda match, now: _day(now - timedelta(days=days))


_FORMS: tuple[tuple[str, Callable[[re.Match[str], datetime], Window]], ...] = (
    (r"(?P<year>\d{4})-(?P<number>\d{2})-(?P<nth>\d{2})", _dated),
    (r"(?P<nth>\d{1,2})[/.](?P<number>\d{1,2})[/.](?P<year>\d{4}|\d{2})", _dated),
    (rf"(?:the )?(?P<nth>{_NTH})(?: of)? (?P<month>{MONTH}),?(?: (?P<year>\d{{4}}))?", _dated),
    (rf"(?P<month>{MONTH}) (?P<nth>{_NTH})(?!\d)(?:,? (?P<year>\d{{4}}))?", _dated),
    (r"(?:the )?day before yesterday|परसों|parson|parso", _back(2)),
    (r"yesterday|कल|kal", _back(1)),
    (r"today|आज|aaj", _back(0)),
    (rf"(?P<count>an?|(?:a )?(?:couple|few)(?: of)?|{NUMBER}) (?P<period>{_PERIOD}) {_AGO}", _ago),
    (rf"(?:the )?(?:{_LAST}|past) (?P<count>(?:couple of|few)|{NUMBER}) (?P<period>{_PERIOD})", _past),
    (rf"(?:the )?past (?P<count>)(?P<period>{_PERIOD})", _past),
    (rf"(?P<last>{_LAST} )(?P<day>{WEEKDAY})", _weekday),
    (rf"(?P<last>)(?:{_THIS} )?(?P<day>{WEEKDAY})", _weekday),
    (rf"(?:the )?{_LAST} (?P<period>{_PERIOD})", lambda match, now: _period(match["period"], 1, now)),
    (rf"{_THIS} (?P<period>{_PERIOD})", lambda match, now: _period(match["period"], 0, now)),
    (rf"(?P<last>{_LAST} )?(?P<month>{MONTH})(?:,? (?:of )?(?P<year>{_YEAR}))?", _named_month),
    (r"(?P<year>\d{4})-(?P<number>\d{2})", lambda match, now: _month(int(match["year"]), int(match["number"]), now)),
    (rf"(?:the year )?(?P<year>{_YEAR})", lambda match, now: _year(int(match["year"]), now)),
    (
        r"(?:the )?(?P<year>(?:19|20)\d0)'?s",
        lambda match, now: (_year(int(match["year"]), now)[0], _year(int(match["year"]) + 9, now)[1]),
    ),
)  # fmt: skip
_COMPILED = tuple((inner(form), build) for form, build in _FORMS)
_NAMED = re.compile(r"\?P<\w+>")

DATE = "(?:" + "|".join(_NAMED.sub("?:", form) for form, _ in _FORMS) + ")"
"""Matches any date that `window` reads; a bare weekday, month or year needs a word before it to be sure of."""

SURE = (
    "(?:"
    + "|".join(
        _NAMED.sub("?:", form)
        for form in (
            *(form for form, _ in _FORMS[:10]),
            rf"(?:{_LAST}|this) {WEEKDAY}",
            rf"(?:the )?{_LAST} {_PERIOD}",
            rf"(?:this|इस) {_PERIOD}|is (?:hafte|saptah|mahine|saal)",
            rf"{MONTH} {_YEAR}",
            rf"{_LAST} {MONTH}",
        )
    )
    + ")"
)
"""Matches what is a date wherever it stands."""


def window(text: str, now: datetime) -> Window | None:
    """The window of a date that `DATE` matched; None when there is no such day."""
    for form, build in _COMPILED:
        if match := form.fullmatch(text):
            try:
                return build(match, now)
            except (ValueError, OverflowError):
                return None
    return None
