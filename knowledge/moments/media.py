"""Windows in the time of the medium: «in the first two minutes», «at 1:23», «आखिरी 30 सेकंड»."""

import re
from collections.abc import Callable

from knowledge.moments.condition import MediaWindow
from knowledge.moments.numbers import CODE, LENGTH, NUMBER, ORDINAL, UNIT, code, length, number, ordinal, unit
from knowledge.moments.reading import Reading, inner, rule

MEDIUM = (
    r"(?:video|clip|film|movie|recording|footage|talk|lecture|meeting|episode|podcast|lesson|presentation|session|"
    r"interview|conversation|call|audio|file|stream|speech|webinar|vlog|reel|tutorial|class|वीडियो|विडियो|फिल्म|क्लिप|"
    r"रिकॉर्डिंग|भाषण|व्याख्यान|बैठक|कक्षा)"
)
_OF_IT = rf"(?: of (?:(?:the|this|that|my|our) )?(?:{MEDIUM}|it))?(?! of )"
_UNIT_N = "(?:minute|second|hour|मिनट|सेकंड)"
_MINUTE_N = rf"(?:the )?{_UNIT_N} (?:number )?\d{{1,5}}|(?:the )?{ORDINAL} {_UNIT_N}"
POINT = rf"(?:{CODE}|{LENGTH}|{_MINUTE_N})"
_LAST_HOURS = 3 * 3600.0
_EDGE = 0.15
_FRACTIONS = {"half": 2, "third": 3, "quarter": 4, "fifth": 5, "tenth": 10}
_OPENING = (
    r"first|opening|initial|beginning|starting|पहले|पहला|पहली|शुरुआती|शुरूआती|शुरू के|शुरुआत के|आरंभिक|प्रारंभिक|प्रथम|"
    r"pehle|pahle|shuruaati|shuruati|shuru ke|shuruaat ke"
)
_CLOSING = (
    r"last|final|closing|ending|concluding|आखिरी|आखरी|अंतिम|आखिर के|अंत के|पिछले|aakhri|akhri|aakhiri|akhiri|antim|"
    r"aakhir ke|ant ke"
)
_IN = r"(?:(?:with)?in|during|over|for|at|of|throughout)"
_IN_HINDI = r"(?:में|मे|के दौरान|के अंदर|के भीतर|mein|mai|me|ke dauran|ke andar)"


def _tolerance(text: str) -> float:
    """How exactly people mean a point: a time code to a few seconds, «5 minutes» to a quarter of one."""
    if ":" in text or inner(r"\d(?:\.\d+)?s|sec|से[कक]|सेक").search(text):
        return 5.0
    return 60.0 if inner("hour|hr|घंट|घण्ट|ghant").search(text) else 15.0


def _seconds(text: str) -> float:
    if inner(CODE).fullmatch(text):
        return code(text)
    if named := inner(rf"(?:the )?(?P<unit>{UNIT}) (?:number )?(?P<number>\d+)").fullmatch(text):
        return float(named["number"]) * unit(named["unit"])
    return length(text)


def _around(text: str) -> MediaWindow:
    if nth := inner(rf"(?:the )?(?P<nth>{ORDINAL}) (?P<unit>{UNIT})").fullmatch(text):
        size = unit(nth["unit"])
        end = ordinal(nth["nth"]) * size
        return MediaWindow(start=max(end - size, 0.0), end=end)
    middle, around = _seconds(text), _tolerance(text)
    return MediaWindow(start=max(middle - around, 0.0), end=middle + around)


def _between(first: str, last: str) -> MediaWindow | None:
    named = inner(UNIT).search(last)
    if named and inner(ORDINAL).fullmatch(first):
        start = _around(f"{first} {named[0]}").start or 0.0
    elif inner(NUMBER).fullmatch(first):
        start = number(first) * (unit(named[0]) if named else 1.0)
    else:
        start = (_around(first).start or 0.0) if inner(ORDINAL).match(first) else _seconds(first)
    nth = inner(rf"(?:the )?{ORDINAL} {UNIT}").fullmatch(last)
    end = _around(last).end if nth else _seconds(last)
    return None if end is None or end <= start else MediaWindow(start=start, end=end)


def _edge(match: re.Match[str]) -> MediaWindow | None:
    spelled = match["length"]
    alone = inner(UNIT).match(spelled)
    seconds = unit(alone[0]) * (1.5 if "half" in spelled else 1.0) if alone else length(spelled)
    if seconds <= 0:
        return None
    side, beyond = match["edge"], (match["beyond"] or "").lower()
    if inner(_CLOSING).fullmatch(side):
        if seconds > _LAST_HOURS:
            return None
        ends = {"before": (None, -seconds), "until": (None, -seconds)}
        start, end = ends.get(beyond, (-seconds, 0.0))
        return MediaWindow(start=start, end=end, from_end=True)
    return MediaWindow(start=seconds) if beyond == "after" else MediaWindow(start=0.0, end=seconds)


def _part(match: re.Match[str]) -> MediaWindow | None:
    parts = _FRACTIONS[match["part"].lower()]
    side = match["side"].lower()
    # games and companies have quarters of their own
    if parts == 4 and side not in {"last", "final"} and not inner(f".* of .*{MEDIUM}").fullmatch(match[0]):
        return None
    if side in {"last", "final", "latter", "closing"}:
        first = parts - 1
    elif side == "middle":
        return MediaWindow(start=round(0.5 - 0.5 / parts, 4), end=round(0.5 + 0.5 / parts, 4), unit="fraction")
    else:
        first = {"opening": 1, "initial": 1}.get(side) or ordinal(side)
        first -= 1
    if first >= parts:
        return None
    return MediaWindow(start=round(first / parts, 4), end=round((first + 1) / parts, 4), unit="fraction")


def _percent(match: re.Match[str]) -> MediaWindow | None:
    share = min(float(match["share"]) / 100, 1.0)
    side = (match["side"] or "").lower()
    if side in {"last", "final"}:
        return MediaWindow(start=round(1 - share, 4), end=1.0, unit="fraction")
    if side:
        return MediaWindow(start=0.0, end=share, unit="fraction")
    return MediaWindow(start=max(share - 0.02, 0.0), end=min(share + 0.02, 1.0), unit="fraction")


def _fixed(start: float, end: float) -> Callable[[re.Match[str]], MediaWindow]:
    return lambda match: MediaWindow(start=start, end=end, unit="fraction")


def _before_end(match: re.Match[str]) -> MediaWindow:
    back, around = length(match["length"]), _tolerance(match["length"])
    return MediaWindow(start=-back - around, end=min(-back + around, 0.0), from_end=True)


def _open(match: re.Match[str]) -> MediaWindow | None:
    point, side = match["point"], match["side"].lower()
    after = inner("after|past|beyond|since|from|के बाद|से आगे|ke baad|se aage").fullmatch(side)
    window = _around(point) if inner(rf"(?:the )?{ORDINAL} .*").fullmatch(point) else None
    start, end = (window.start, window.end) if window else (_seconds(point), _seconds(point))
    return MediaWindow(start=end) if after else MediaWindow(start=0.0, end=start)


def _point(match: re.Match[str]) -> MediaWindow:
    return _around(match["point"])


_START, _END = _fixed(0, _EDGE), _fixed(1 - _EDGE, 1)
_MIDDLE, _AROUND_MIDDLE = _fixed(0.45, 0.55), _fixed(0.35, 0.65)
_BEYOND = "(?P<beyond>after|before|until)"
_EDGES = rf"(?P<edge>{_OPENING}|{_CLOSING})"
_SCENES = "(?:moments|minutes|scenes?|shots?|frames?)"
_DOES_IT = rf"(?:does|did|do|how) (?:(?:the|this) {MEDIUM}|it)"
_HALF_HINDI = "(?:आधे|आधी|aadhe|adhe)(?: (?:भाग|हिस्से|bhaag|hisse))?"
_RANGES = (
    rf"(?:from|between|around|at|in|during) (?:the )?(?P<first>{POINT}|{ORDINAL}|{NUMBER}) ?"
    rf"(?:to|and|until|till|through|-) ?(?:the )?(?P<last>{POINT})(?: mark)?",
    rf"(?P<first>{CODE}) ?(?:to|until|till|through|-|से) ?(?P<last>{CODE})(?: तक| के बीच| tak| ke beech)?",
    rf"(?P<first>{POINT}|{NUMBER}) (?:से|और|se|aur) (?P<last>{POINT}) ?"
    r"(?:तक|के बीच(?: में)?|में|tak|ke beech(?: mein| me)?|mein|me)",
)
_NUMBERED = rule(r"(?:from |between |in )?minutes (?P<first>\d{1,4}) ?(?:to|and|through|until|-) ?(?P<last>\d{1,4})")

_WINDOWS: tuple[tuple[re.Pattern[str], Callable[[re.Match[str]], MediaWindow | None]], ...] = (
    (_NUMBERED, lambda m: _between(f"minute {m['first']}", f"minute {m['last']}")),
    *((rule(text), lambda m: _between(m["first"], m["last"])) for text in _RANGES),
    (rule(rf"(?P<length>{LENGTH}) (?:before|from) (?:the )?(?:very )?(?:end|close|finish){_OF_IT}"), _before_end),
    (
        rule(rf"(?:{_BEYOND}|{_IN})? ?(?:the |its )?(?:very )?{_EDGES} (?P<length>{LENGTH})(?: {_IN_HINDI}|{_OF_IT})"),
        _edge,
    ),
    (
        rule(
            rf"(?:{_BEYOND}|in|during|within|throughout) (?:the )?(?:very )?{_EDGES} "
            rf"(?P<length>{UNIT}(?: and a half)?){_OF_IT}(?!')"
        ),
        _edge,
    ),
    (rule(rf"(?P<beyond>){_EDGES} (?P<length>{UNIT}) {_IN_HINDI}"), _edge),
    (
        rule(
            r"(?:in|during|over|from|throughout) (?:the )?(?P<side>first|second|third|fourth|last|final|middle|latter|"
            rf"opening) (?P<part>half|third|quarter|fifth|tenth){_OF_IT}"
        ),
        _part,
    ),
    (
        rule(
            r"(?:in |during |at |around )?(?:the )?(?P<side>first|last|final|opening)? ?(?P<share>\d{1,3}) ?"
            rf"(?:%|percent|per cent)(?: mark)? ?(?:of|into|through) (?:the )?{MEDIUM}"
        ),
        _percent,
    ),
    (rule(rf"(?:half ?way|midway)(?: through| into)?(?: (?:the |this )?{MEDIUM}| it)?"), _MIDDLE),
    (rule(rf"(?:around|near|in|at|towards?) (?:the )?(?:very )?(?:middle|mid ?point|centre){_OF_IT}"), _AROUND_MIDDLE),
    (rule(rf"(?:पहले|पहली|शुरुआती|pehle|pahle) {_HALF_HINDI} {_IN_HINDI}"), _fixed(0, 0.5)),
    (rule(rf"(?:दूसरे|आखिरी|बाद के|अंतिम|doosre|dusre|aakhri|baad ke) {_HALF_HINDI} {_IN_HINDI}"), _fixed(0.5, 1)),
    (
        rule(
            r"(?:(?:right |just )?(?:at|in|near|from|towards?|around) (?:the )?(?:very )?"
            rf"(?:beginning|start|opening|outset)|early on|to begin with|to start with){_OF_IT}"
        ),
        _START,
    ),
    (
        rule(
            r"(?:right |just )?(?:at|near|towards?|by|around) (?:the )?(?:very )?(?:end|close|conclusion|finish)"
            rf"{_OF_IT}"
        ),
        _END,
    ),
    (rule(rf"(?:in )?the (?:opening|first|initial) {_SCENES}{_OF_IT}"), _START),
    (rule(rf"(?:in )?the (?:closing|final|last) {_SCENES}{_OF_IT}"), _END),
    (rule(rf"{_DOES_IT} (?P<taken>(?:begin|start|open)s?)"), _START),
    (rule(rf"{_DOES_IT} (?P<taken>(?:end|finish|conclude|close)s?)"), _END),
    (
        rule(
            rf"(?:{MEDIUM} (?:की|के) )?(?:बिल्कुल )?(?:शुरू|शुरुआत|शुरूआत|आरंभ|प्रारंभ) में|"
            r"(?:video (?:ki|ke) )?(?:shuru|shuruaat|shuruat|aarambh) (?:mein|me)"
        ),
        _START,
    ),
    (
        rule(
            rf"(?:{MEDIUM} के |(?<!के\s))(?<!सबसे\s)(?:बिल्कुल )?(?:अंत|आखिर|समाप्ति) (?:में|पर)|"
            r"(?:video ke )?(?:ant|aakhir|akhir) (?:mein|me)"
        ),
        _END,
    ),
    (rule(rf"{MEDIUM} के बीच में|(?<!के\s)बीच में|(?<!ke\s)beech (?:mein|me)"), _AROUND_MIDDLE),
    (
        rule(
            rf"(?P<side>after|past|beyond|since|from) (?:the )?(?P<point>{POINT})(?: mark)?"
            rf"(?: (?:of (?:the )?{MEDIUM}|onwards?|on))?(?! of )"
        ),
        _open,
    ),
    (
        rule(
            rf"(?P<side>before|until|till|up to|by) (?:the )?(?P<point>{POINT})(?: mark)?"
            rf"(?: of (?:the )?{MEDIUM})?(?! of )"
        ),
        _open,
    ),
    (rule(rf"(?P<point>{POINT}) (?P<side>के बाद|से आगे|ke baad|se aage)"), _open),
    (rule(rf"(?P<point>{POINT}) (?P<side>से पहले|तक|se pehle|se pahle|tak)"), _open),
    (
        rule(rf"(?:at|around|about|near|in|on) (?:about |exactly )?(?P<point>{CODE}|{_MINUTE_N})(?: mark)?{_OF_IT}"),
        _point,
    ),
    (
        rule(
            rf"(?:at|around|about|near) (?:about |exactly )?(?P<point>{LENGTH})"
            rf"(?=\W*$| in(?:to)? | of )(?: in(?:to)?)?{_OF_IT}"
        ),
        _point,
    ),
    (rule(rf"(?:(?:at|around|near) )?(?:the )?(?P<point>{LENGTH}|{CODE}) mark"), _point),
    (rule(rf"(?P<point>{LENGTH}|{CODE}) in(?:to)?(?: (?:the|this) {MEDIUM}|(?=\W*$)|(?=,))"), _point),
    (rule(rf"(?P<point>{CODE}|{LENGTH}|{ORDINAL} (?:मिनट|सेकंड|minute)) (?:पर|पे|में|par|pe)"), _point),
    (rule(r"(?P<point>\d{1,2}:[0-5]\d:[0-5]\d|0\d?:[0-5]\d)"), _point),
)


def media_window(reading: Reading) -> MediaWindow | None:
    """The window that the question names; its words are taken."""
    for pattern, build in _WINDOWS:
        match = reading.find(pattern)
        if match and (window := build(match)):
            reading.take(match, "taken" if "taken" in pattern.groupindex else 0)
            return window
    return None
