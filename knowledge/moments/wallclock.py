"""Windows of wall clock: «last Tuesday afternoon», «yesterday between 10 and 12», «कल शाम»."""

import re
from datetime import datetime, timedelta

from knowledge.moments.dates import DATE, MONTH, SURE, WEEKDAY, Window, midnight, window
from knowledge.moments.numbers import LENGTH, NUMBER, length, number
from knowledge.moments.reading import Reading, inner, rule

_PARTS: dict[tuple[int, int], str] = {
    (5, 12): r"mornings?|सुबह|सवेरे|सुबह-सुबह|subah|savere",
    (12, 17): r"afternoons?|दोपहर(?: बाद)?|dopahar|dopehar",
    (17, 21): r"evenings?|शाम|सायं|shaam|sham",
    (21, 29): r"nights?|रात|raat",
}
_PART = "(?:" + "|".join(_PARTS.values()) + ")"
_HINDI_PART = r"(?:सुबह|सवेरे|दोपहर|शाम|रात|subah|savere|dopahar|dopehar|shaam|sham|raat)"
_MERIDIEM = r"(?:a\.?m\.?|p\.?m\.?)"
_MARKED = (
    rf"(?:\d{{1,2}}(?::[0-5]\d)? ?{_MERIDIEM}|{NUMBER} o'?clock(?: in the {_PART})?|(?:12 )?noon|midday|midnight|"
    rf"(?:{_HINDI_PART} )?(?:\d{{1,2}}:[0-5]\d|{NUMBER}) (?:बजे|baje))"
)
_CLOCK = rf"(?:{_MARKED}|\d{{1,2}}:[0-5]\d|\d{{1,2}}|{NUMBER})"
_BEFORE = r"(?:before|until|till|by|up to)"
_SIDES = r"(?P<side>before|until|till|by(?! (?:april|may|june|august|march)(?! \d))|after|since|from|as of)"
_BEFORE_HINDI, _AFTER_HINDI = r"(?:से पहले|तक|se pehle|se pahle|tak)", r"(?:के बाद|से|ke baad|se)"

_DAY_RANGE = rule(
    rf"(?:between|from) (?P<first>{DATE}) (?:and|to|until|till|through|-) (?P<last>{DATE})|"
    rf"(?P<first2>{DATE}) (?:से|और|se|aur) (?P<last2>{DATE}) (?:तक|के बीच|tak|ke beech)"
)
_SIDED = rule(rf"(?<!day\s){_SIDES} (?P<date>{DATE})(?:'s)?(?! ?(?:of|minutes?|seconds?))")
_SIDED_HINDI = rule(rf"(?P<date>{SURE}|{WEEKDAY}) (?P<side>{_BEFORE_HINDI}|{_AFTER_HINDI})")
_NAMED = rule(
    r"(?<!even\s)(?! ?(?:आज|aaj) (?:भी|bhi))"
    rf"(?:(?:on|in|during|of|for|throughout|from) )?(?:the )?(?P<date>{SURE})(?:'s)?"
    r"(?: (?:को|के दिन|की|में|का|के|ko|ke din|ki|mein|me|ka|ke))?(?!-)"
)
_COUNTED = r"(?! (?:people|persons|men|women|steps|dollars|rupees|years|words|points|times|students|votes|km|miles))"
_LED = rule(
    rf"(?:on|in|during|since|of|throughout) (?:the (?=\d{1, 2}(?!\d)|year))?(?P<date>{DATE})(?:'s)?{_COUNTED}|"
    rf"(?P<possessive>{WEEKDAY})'s|(?P<parted>{WEEKDAY})(?= {_PART})|"
    rf"(?P<hindi>{WEEKDAY}) (?:को|के दिन|की|ko|ke din|ki)(?= )|"
    rf"(?P<month>(?:19|20)\d\d|{MONTH}(?: (?:19|20)\d\d)?) (?:में|के दौरान|mein|me)"
)
_TODAY_PART = rule(rf"this (?P<part>{_PART})|(?P<night>tonight)|(?P<last>last night)|(?P<first>early this morning)")
_DAY_PART = rule(rf"(?:(?:in|during|late|early) (?:the )?)?(?P<part>{_PART})(?: (?:को|में|के समय|ko|mein|me|ke samay))?")
_LONG_AGO = rule(
    rf"(?:about |around )?(?P<length>{LENGTH}) (?:ago|(?:पहले|pehle|pahle)(?=\W*$|,| (?:क्या|कौन|किस|what|kya|kaun|kis)))"
)
_PAST_LENGTH = rule(
    rf"(?:(?:in|over|during|within) )?(?:the )?(?P<word>past|last|पिछले|pichhle|pichle) (?P<length>{LENGTH})"
    r"(?: (?:में|mein|me))?"
)
_CLOCKS = (
    rule(rf"(?:between|from) (?P<first>{_CLOCK}) ?(?:and|to|until|till|-) ?(?P<last>{_CLOCK})"),
    rule(
        rf"(?P<first>(?:{_HINDI_PART} )?(?:{_CLOCK})) (?:से|और|se|aur) (?P<last>{_MARKED})"
        r"(?: (?:के बीच(?: में)?|तक|ke beech(?: mein| me)?|tak))?"
    ),
    rule(rf"(?P<first>{_CLOCK}) ?(?:to|-) ?(?P<last>{_MARKED})"),
)
_ONE_CLOCK = (
    rule(
        r"(?P<side>before|until|till|by|after|since|from|at|around|about) (?:about )?"
        rf"(?P<clock>{_MARKED}|\d{{1,2}}:[0-5]\d|\d{{1,2}}(?!\d|:| ?%)(?=\W*$|,| (?:yesterday|today|on)))"
    ),
    rule(rf"(?P<clock>{_MARKED})(?: (?P<side>{_BEFORE_HINDI}|{_AFTER_HINDI}|के आसपास|पर|ke aaspaas|par))?"),
)
_AROUND = timedelta(minutes=15)
_LONG = 3 * 3600.0


def wall_clock(reading: Reading, now: datetime) -> Window:
    """The window of wall clock that the question names; its words are taken. A time without a day is the last such."""
    for read in (_length_of_now, _whole_days):
        if found := read(reading, now):
            return found
    day, owned = _day(reading, now)
    part = None
    if day is None and (today := _part_of_today(reading, now)):
        day, part = today
    if day is not None and part is None:
        part = _part_of(reading)
    clocks = None if owned else _clocks(reading, now, day, part)
    if clocks:
        return clocks
    if day is None:
        return None, None
    return _cut(day, part) if part else day


def _whole_days(reading: Reading, now: datetime) -> Window | None:
    """Dates with a side («since Monday») and from one date to another."""
    if match := reading.find(_DAY_RANGE):
        first = window(match["first"] or match["first2"], now)
        last = window(match["last"] or match["last2"], now)
        if first and last and first[0] and last[1] and first[0] < last[1]:
            reading.take(match)
            return first[0], last[1]
    for pattern in (_SIDED, _SIDED_HINDI):
        sided = reading.find(pattern)
        if sided and (day := window(sided["date"], now)):
            reading.take(sided)
            return _sided(sided["side"], day)
    return None


def _sided(side: str, day: Window) -> Window:
    side = " ".join(side.lower().split())
    if side in {"before", "से पहले", "se pehle", "se pahle"}:
        return None, day[0]
    if side in {"until", "till", "by", "up to", "तक", "tak"}:
        return None, day[1]
    return (day[1], None) if side in {"after", "के बाद", "ke baad"} else (day[0], None)


def _day(reading: Reading, now: datetime) -> tuple[Window | None, bool]:
    """The day, week, month or year; and whether it only tells which recording is meant («yesterday's meeting»)."""
    for pattern in (_NAMED, _LED):
        for match in pattern.finditer(reading.text):
            text = next(value for name, value in match.groupdict().items() if value)
            if day := window(text, now):
                reading.take(match)
                return day, "'s" in match[0]
    return None, False


def _length_of_now(reading: Reading, now: datetime) -> Window | None:
    """«20 minutes ago» and «the past two hours»; the last minutes of a question are those of the medium."""
    for past in _PAST_LENGTH.finditer(reading.text):
        seconds = length(past["length"])
        if seconds and (past["word"].lower() == "past" or seconds > _LONG):
            reading.take(past)
            return now - timedelta(seconds=seconds), now
    if match := reading.find(_LONG_AGO):
        seconds = length(match["length"])
        try:
            found = now - timedelta(seconds=1.25 * seconds), now - timedelta(seconds=0.75 * seconds)
        except OverflowError:
            return None
        if seconds:
            reading.take(match)
            return found
    return None


def _part_of_today(reading: Reading, now: datetime) -> tuple[Window, tuple[int, int]] | None:
    match = reading.find(_TODAY_PART)
    if match is None:
        return None
    reading.take(match)
    today: Window = (midnight(now), midnight(now) + timedelta(days=1))
    if match["last"]:
        return (midnight(now) - timedelta(days=1), midnight(now)), (18, 29)
    if match["night"]:
        return today, (18, 29)
    return today, _hours(match["part"] or "morning")


def _part_of(reading: Reading) -> tuple[int, int] | None:
    match = reading.find(_DAY_PART)
    # «सुबह 10 बजे» is one time, which is read with its hour
    if match is None or inner(rf"(?:\d|{NUMBER}) ?(?:\S+ )?(?:बजे|baje|से|se)").match(
        reading.text[match.end() :].lstrip()
    ):
        return None
    reading.take(match)
    return _hours(match["part"])


def _hours(part: str) -> tuple[int, int]:
    return next(hours for hours, names in _PARTS.items() if re.fullmatch(names, part, re.IGNORECASE))


def _cut(day: Window, part: tuple[int, int]) -> Window:
    start, end = day
    if start is None or end is None or end - start > timedelta(days=1, hours=2):
        return day
    return start + timedelta(hours=part[0]), start + timedelta(hours=part[1])


def _clocks(reading: Reading, now: datetime, day: Window | None, part: tuple[int, int] | None) -> Window | None:
    for pattern in _CLOCKS:
        match = reading.find(pattern)
        if match and (day or inner(rf".*{_MARKED}.*").fullmatch(match[0])):
            hint = part or _hint(match["last"]) or _hint(match["first"])
            last = _time(match["last"], hint)
            first = _time(match["first"], hint, before=last)
            if first is not None and last is not None and first < last:
                reading.take(match)
                return _at(first, now, day), _at(first, now, day) + (last - first)
    for pattern in _ONE_CLOCK:
        match = reading.find(pattern)
        if match and (day or inner(_MARKED).fullmatch(match["clock"])):
            time = _time(match["clock"], part or _hint(match["clock"]))
            if time is not None:
                reading.take(match)
                return _beside(match["side"] or "at", _at(time, now, day), day)
    return None


def _beside(side: str, moment: datetime, day: Window | None) -> Window:
    bounds = day or (midnight(moment), midnight(moment) + timedelta(days=1))
    side = " ".join(side.lower().split())
    if re.fullmatch(inner(f"{_BEFORE}|{_BEFORE_HINDI}"), side):
        return bounds[0], moment
    if re.fullmatch(inner(rf"after|since|from|{_AFTER_HINDI}"), side):
        return moment, bounds[1]
    return moment - _AROUND, moment + _AROUND


def _at(time: timedelta, now: datetime, day: Window | None) -> datetime:
    if day and day[0]:
        return day[0] + time
    today = midnight(now) + time
    return today if today <= now else today - timedelta(days=1)


def _hint(text: str) -> tuple[int, int] | None:
    """The part of the day that a time is told with."""
    if meridiem := re.search(r"([ap])\.?m\b", text, re.IGNORECASE):
        return (0, 12) if meridiem[1].lower() == "a" else (12, 24)
    part = inner(_PART).search(text)
    return _hours(part[0]) if part else None


def _time(text: str, hint: tuple[int, int] | None, before: timedelta | None = None) -> timedelta | None:
    """The time of day; an hour up to 12 takes the half of the day that the hint or the end of its range asks for."""
    if inner("(?:12 )?noon|midday").fullmatch(text):
        return timedelta(hours=12)
    if inner("midnight").fullmatch(text):
        return timedelta(hours=24)
    clock = re.search(r"(\d{1,2}):(\d\d)", text)
    if clock:
        hours = int(clock[1]) + int(clock[2]) / 60
    elif spelled := inner(NUMBER).search(inner(_PART).sub(" ", text)):
        hours = number(spelled[0])
    else:
        return None
    if hours >= 25 or hours < 0:
        return None
    own = _hint(text) or hint
    if own and hours <= 12.99:
        hours = hours % 12 + (12 if own[0] >= 12 and not (own[0] >= 21 and hours % 12 < 5) else 0)
        hours += 24 if own[0] >= 21 and hours < 5 else 0
    if before is not None and hours * 3600 > before.total_seconds() and hours >= 12:
        hours -= 12
    return timedelta(seconds=round(hours * 3600))
