"""Places in time that other things mark («just before the applause»), and which time of several is meant."""

import re

from knowledge.moments.condition import Relation
from knowledge.moments.numbers import LENGTH, ORDINAL, length, ordinal
from knowledge.moments.reading import Reading, inner, rule

_NEAR = (
    r"just|right|shortly|immediately|directly|soon|moments|seconds|ठीक|तुरंत|फौरन|जस्ट|थोड़ा|थोड़ी देर|कुछ देर|एकदम|theek|"
    r"thik|turant|fauran|thoda|ekdam|thodi der"
)
_ASKS = (
    r"what|who|whom|whose|which|where|when|why|how|tell|show|find|describe|list|summari[sz]e|explain|क्या|कौन|किसने|किस|"
    r"कहां|कब|कैसे|क्यों|kya|kaun|kisne|kahan|kab|kaise|kyun|kyon"
)
_ANCHOR = r"(?P<anchor>[^,;?!।\x00]{1,160}?)"
_CLAUSE_END = r"(?=[,;?!।\x00]|\.(?:\s|$)|$|\s(?:what|where|when|why|how)(?!['\w]))"
_LATER = r"(?=[,;?!।\x00]|\.(?:\s|$)|$)"
_NOT_EVENTS = inner(
    r"(?:me|us|you|him|her|them|it|that|this|all|noon|long|hand|effect|school|work|"
    r"(?:the |a )?(?:court|judge|jury|committee|king|queen|congress|parliament|law|god|lord|fact|other|another)|"
    r"(?:day|week|year|month|time|one)(?: after .*)?)(?:\s.*)?"
)
_TALKED = (
    r"look(?:s|ed|ing)?|named|call(?:ed)?|ask(?:s|ed|ing)?|tak(?:e|es|ing)|took|sought|go(?:es)?|going|run(?:s|ning)?|"
    r"model(?:l?ed)?|one|day|week|year|time|a|the|an|this|that|quite|worth|morning|soon|ever|shortly|long|an? hour"
)
_PAIRS = (
    r"difference|differences|relationship|relation|conversation|connection|comparison|distance|link|deal|war|match|agreement|"
    r"gap|meeting|debate|discussion|fight|battle|border|choose|choice|distinguish|compare|contrast|similarit(?:y|ies)|"
    r"interview|dialogue|exchange|trade|correlation|interaction|balance|bond|rivalry|game|line|boundary|interplay|tension"
)
_WHEN_ASKED = rule(
    r"(?:(?:at|by) (?:what|which) (?:time|point|moment|minute|second|timestamp|time ?code)|(?:in|during) which minute|"
    r"(?:since|until|till) when|how (?:far|long|many (?:minutes|seconds)) (?:in|into)(?: the video)?|"
    r"what time(?: ?stamp)?)"
    r"(?: (?:does|did|do|is|was|are|were|will|has|have))?|"
    r"कितने बजे|किस समय|किस वक्त|किस मिनट(?: में| पर)?|कौन से मिनट (?:में|पर)|कब|"
    r"kab|kitne baje|kis samay|kis waqt|kis minute(?: mein| me)?"
)
_WHEN_FIRST = rule(
    r"(?:and |so |ok(?:ay)?,? |hi,? |hello,? )?when (?:exactly )?"
    r"(?:does|did|do|is|was|are|were|will|has|have|can|in)"
)
_WHEN_TOLD = rule(
    r"(?:(?:tell|show)(?: me| us)?|find(?: out)?|know|say|list|remember|the (?:moment|time|point|part|minute)s?|"
    r"exactly|timestamps? (?:of|for)|and) when(?: exactly)?"
)
_TIME = r"(?:time(?! lords?)|occurrence|instance|mention|appearance)(?: (?:that|of|when))?"
_OCCURRENCES: tuple[tuple[re.Pattern[str], int | None], ...] = (
    (rule(rf"(?:(?:for|at) )?the (?:very )?last {_TIME}"), -1),
    (rule(rf"(?:(?:for|at) )?the (?:very )?(?P<nth>{ORDINAL}) {_TIME}"), None),
    (rule(r"(?:आखिरी|आखरी|अंतिम|aakhri|akhri|aakhiri|akhiri|antim) (?:बार|दफा|baar|bar)"), -1),
    (rule(rf"(?P<nth>{ORDINAL}) (?:बार|दफा|baar|bar)"), None),
)
_FIRST_DONE = rule(
    r"(?:is|was|are|were|does|did|do|he|she|they|it|has|have|been|that)\b[^,;?!।\x00]{0,60}?(?P<nth> (?:first|last))"
    r"(?= (?:mention|see|say|said|show|appear|spoke|speak|introduc|talk|heard|hear|use|discuss|named|occur|happen|"
    r"state|refer|display|smile|laugh|visible|arriv|enter)\w*)"
)
_ROMAN = _ANCHOR.replace("anchor", "roman")
_EVENT_HINDI = (
    (
        rule(
            rf"{_ANCHOR} (?:से|के) (?:(?P<near>{_NEAR}) )?पहले|"
            rf"{_ROMAN} (?:se|ke) (?:(?P<near2>{_NEAR}) )?(?:pehle|pahle)"
        ),
        "before",
    ),
    (rule(rf"{_ANCHOR} के (?:(?P<near>{_NEAR}) )?बाद|{_ROMAN} ke (?:(?P<near2>{_NEAR}) )?(?:baad|bad)"), "after"),
    (rule(rf"{_ANCHOR} के (?:दौरान|समय|वक्त)|{_ROMAN} ke (?:dauran|samay|waqt|time)"), "during"),
)
_BETWEEN_HINDI = rule(
    rf"{_ANCHOR} (?:और|aur) {_ANCHOR.replace('anchor', 'last')} (?:के बीच|ke beech)(?: (?:में|mein|me))?"
)
_WHILE_HINDI = rule(
    rf"(?:जब|jab) {_ANCHOR}(?=[,;?!।\x00]| (?:तब|तो|उस समय|उस वक्त|tab|toh|to) |$)(?:,? ?(?:तब|तो|tab|toh|to)(?= ))?"
)
_SUBJECT_HINDI = inner(
    r"^(?:.*\s)?(?:(?:उस|इस|किस|उन्हों|इन्हों|मैं|हम|तुम|आप)?ने|को|में|"
    r"(?:us|is|kis|unho|unhon|mai|hum|tum|aap)?ne|ko|mein) "
)

_EVENTS = (
    (
        rule(rf"(?:(?P<near>{_NEAR}) )?(?P<kind>before|prior to|ahead of) {_ANCHOR}{_CLAUSE_END}"),
        "before",
    ),
    (
        rule(rf"(?:(?P<near>{_NEAR}) )?(?<!the\s)(?P<kind>after|following|as soon as|once) {_ANCHOR}{_CLAUSE_END}"),
        "after",
    ),
    (rule(rf"(?P<kind>until|till|up to) {_ANCHOR}{_CLAUSE_END}"), "until"),
    (rule(rf"(?P<kind>during|while|whilst|throughout) {_ANCHOR}{_CLAUSE_END}"), "during"),
)
_WHEN_EVENT = rule(rf"(?P<kind>when|whenever|at the (?:moment|point|time)(?: (?:when|that|of))?) {_ANCHOR}{_LATER}")
_QUANTITY_ASKED = inner(r"\W*how (?:old|many|much|long|often|tall|far)(?!\w)")
_BETWEEN = rule(
    r"(?:in )?(?P<kind>between) (?P<anchor>(?:the|his|her|their|my) [^,;?!।\x00]{1,160}?) and "
    r"(?P<last>(?:the|his|her|their|my) [^,;?!।\x00]{1,160}?)(?=[,;?!।\x00]|\.(?:\s|$)|$)"
)
_OFFSET = rule(
    rf"(?:about |around |exactly |roughly )?(?P<length>{LENGTH}) (?P<kind>before|after) "
    rf"(?!(?:the )?(?:very )?(?:end|start|beginning|noon|midnight|\d)){_ANCHOR}{_CLAUSE_END}"
)
_OFFSET_HINDI = rule(rf"{_ANCHOR} (?:से|के|se|ke) (?P<length>{LENGTH}) (?P<kind>पहले|बाद|pehle|pahle|baad)")


def offset_relation(reading: Reading) -> Relation | None:
    """«two minutes after the goal»: read first, because the length alone would be a window of its own."""
    for pattern in (_OFFSET, _OFFSET_HINDI):
        match = reading.find(pattern)
        if match is None:
            continue
        start = _trim(reading, match) if pattern is _OFFSET_HINDI else match.start("anchor")
        anchor = reading.original(start, match.end("anchor"))
        if not anchor or _NOT_EVENTS.fullmatch(anchor):
            continue
        kind = match["kind"].lower()
        offset = length(match["length"])
        _take(reading, min(start, match.start("length")), match.end())
        before = kind in {"before", "पहले", "pehle", "pahle"}
        return Relation(kind="before" if before else "after", anchor=anchor, near=True, offset=offset)
    return None


def relation(reading: Reading) -> Relation | None:
    """What the question puts its moment before, after, into or between."""
    return _between(reading) or _english(reading) or _hindi(reading) or _when(reading)


def _english(reading: Reading) -> Relation | None:
    for pattern, kind in _EVENTS:
        for match in pattern.finditer(reading.text):
            if _is_event(reading, match):
                end = _anchor_end(reading, match)
                anchor = reading.original(match.start("anchor"), end)
                _take(reading, match.start(), end)
                near = "near" in match.groupdict() and match["near"] is not None
                return Relation.model_validate({"kind": kind, "anchor": anchor, "near": near})
    return None


def _anchor_end(reading: Reading, match: re.Match[str]) -> int:
    """Where the anchor ends: a question that begins with it goes on with an asking word («after the goal who …»)."""
    if not reading.text[: match.start()].strip(" \x00,") and (
        asked := inner(rf"(?P<anchor>.+?),? (?:{_ASKS})(?!['\w]).*").fullmatch(match["anchor"])
    ):
        return match.start("anchor") + asked.end("anchor")
    return match.end("anchor")


def _is_event(reading: Reading, match: re.Match[str]) -> bool:
    led = inner(rf"(?:^|.*\W)(?:{_TALKED}) ?$").match(reading.text[: match.start("kind")])
    near = match.groupdict().get("near")
    return not (led and not near) and not _NOT_EVENTS.fullmatch(match["anchor"].strip())


def _between(reading: Reading) -> Relation | None:
    match = reading.find(_BETWEEN)
    if match is None or inner(rf".*\W?(?:{_PAIRS})\W[^,;?!]*").match(reading.text[: match.start()] + " "):
        match = reading.find(_BETWEEN_HINDI)
        # «X और Y के बीच खेल» is a game of two, not a time between them
        if match is None or not inner(rf" ?(?:{_ASKS})").match(reading.text, match.end()):
            return None
        start = _trim(reading, match)
    else:
        start = match.start("anchor")
    first, last = reading.original(start, match.end("anchor")), reading.original(*match.span("last"))
    _take(reading, start if match.re is _BETWEEN_HINDI else match.start(), match.end())
    return Relation(kind="between", anchor=first, anchor_end=last)


def _hindi(reading: Reading) -> Relation | None:
    for pattern, kind in _EVENT_HINDI:
        match = reading.find(pattern)
        if match is None:
            continue
        group = "anchor" if match["anchor"] else "roman"
        start = _trim(reading, match, group)
        anchor = reading.original(start, match.end(group))
        if anchor.lower() in {"", "सब", "sab", "इस", "उस", "is", "us", "इन", "सभी"}:
            continue
        near = any(value for name, value in match.groupdict().items() if name.startswith("near"))
        _take(reading, start, match.end())
        return Relation.model_validate({"kind": kind, "anchor": anchor, "near": near})
    if match := reading.find(_WHILE_HINDI):
        anchor = reading.original(*match.span("anchor"))
        reading.take(match)
        return Relation(kind="during", anchor=anchor) if anchor else None
    return None


def _when(reading: Reading) -> Relation | None:
    match = reading.find(_WHEN_EVENT)
    if match is None or _QUANTITY_ASKED.match(reading.text):
        return None
    end = _anchor_end(reading, match)
    anchor = reading.original(match.start("anchor"), end)
    _take(reading, match.start(), end)
    return Relation(kind="during", anchor=anchor) if anchor else None


def _trim(reading: Reading, match: re.Match[str], group: str = "anchor") -> int:
    """Where the anchor begins behind the subject of the sentence: in «उसने तालियों से पहले» it is «तालियों»."""
    subject = _SUBJECT_HINDI.match(match[group])
    start = match.start(group)
    asked = list(inner(rf"(?:^|\s)(?:{_ASKS}) ").finditer(match[group] + " "))
    moved = max(subject.end() if subject else 0, asked[-1].end() if asked else 0)
    return start + moved if moved < len(match[group]) else start


def _take(reading: Reading, start: int, end: int) -> None:
    span = re.compile(r".*", re.DOTALL).match(reading.text, start, end)
    if span:
        reading.take(span)


def occurrence(reading: Reading) -> int | None:
    """Which time of several: 1 the first, -1 the last."""
    for pattern, value in _OCCURRENCES:
        if match := reading.find(pattern):
            reading.take(match)
            return value if value is not None else ordinal(match["nth"])
    if match := reading.find(_FIRST_DONE):
        reading.take(match, "nth")
        return 1 if match["nth"].strip().lower() == "first" else -1
    return None


def asks_when(reading: Reading) -> bool:
    """Whether a moment is asked for; the asking words are taken."""
    if match := reading.find(_WHEN_ASKED):
        reading.take(match)
        return True
    match = reading.find(_WHEN_FIRST)
    if match and not reading.text[: match.start()].strip(" \x00,:-"):
        reading.take(match)
        return True
    if match := reading.find(_WHEN_TOLD):
        reading.take(match)
        return True
    return False
