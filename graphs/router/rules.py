"""Which agent a message is for, by rules: what it tells to be made, in English and Hindi."""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cache

from graphs.catalog import Turn
from graphs.router.cues import cue
from graphs.router.state import Part, Route

DEFAULT = "temporal"

MOST = 3
"""Parts of one message; what comes after them stays with the last."""

LONG = 2_000
"""Characters above which a message brings a text along: what it wants then stands at its beginning or its end."""

_POLITE = re.compile(
    r"^\W*(?:(?:please|kindly|hey|hi|hello|ok|okay|so|now|then|and|also|next|first|finally|"
    r"(?:can|could|would|will) you(?: please)?|i(?: woul|')d like you to|i want you to|i need you to|"
    r"help me(?: to)?|let's|go and|कृपया|ज़रा|जरा|kripya|zara|mere liye|मेरे लिए|मुझे|mujhe)\b\W*)+",
    re.IGNORECASE,
)
_CODE = re.compile(
    r"```|^\s*(?:def|class|import|from|function|const|let|var|public|#include)\b.*[:;({]\s*$", re.MULTILINE
)
_TRACE = re.compile(r"Traceback \(most recent call last\)|\b\w+(?:Error|Exception): |\bSegmentation fault\b")
_ABOUT = re.compile(
    r"^\W*(?:(?:me|us|something|a text|a piece|\d+ words|a few words|in \w+)\W+)*(?:about|on)\b", re.IGNORECASE
)
_TELL_A = re.compile(
    r"^\W*(?:tell|give|sing) (?:me|us) an? (?:\w+ ){0,2}(?:story|joke|poem|fairy tale|limerick|riddle)\b", re.IGNORECASE
)
_FILM_SCRIPT = re.compile(
    r"\bscripts? (?:for|of) (?:\w+[\s-]){0,4}?(?:video|film|movie|podcast|play|episode|ad|commercial|reel|scene)\b",
    re.IGNORECASE,
)
_FILM = r"(?:video|film|movie|clip|footage|recording)s?\b"
_WHOLE_FILM = re.compile(
    rf"(?:describe|summari[sz]e|sum up|analy[sz]e|watch)\s+(?:(?:the|this|that|my|our|whole|entire)\s+)*{_FILM}|"
    rf"(?:make|create|generate|prepare|write|give me|i need|i want)\s+(?:(?:the|a|an|me|some)\s+)*(?:srt |vtt )?"
    rf"(?:subtitles?|storyboard|chapter marks|study notes)\b[^.?!]*\b{_FILM}",
    re.IGNORECASE,
)
_HOW_TO = re.compile(
    r"^\W*(?:how (?:do|can|would|should) (?:i|we|you)|how to|what is the (?:best|right) way to|"
    r"why (?:does|is|do) (?:my|this))\b",
    re.IGNORECASE,
)
_SENTENCE = re.compile(r"(?<=[.!?;।])\s+|\n+")
_JOINT = re.compile(
    r",?\s+(?:and then|and also|and|then|after that|फिर उसके बाद|और फिर|और|फिर|aur phir|aur|phir)\s+|"
    r";\s*|,\s+(?=then\b)",
    re.IGNORECASE,
)
_WHICH = re.compile(r"\s(?:जो|जिसमें|जिससे|ताकि|कि|jo|jisme|jismein|taki|ki jo)\s")
_GOES_ON = re.compile(
    r"^\W*(?:and|but|also|or|what about|how about|what else|और|फिर|लेकिन|aur|phir|lekin)\b", re.IGNORECASE
)


_TOOL = re.compile(
    r"\b(?:use|using|call|with|via|through) (?:the |a |an |my |our )?(?:[\w-]+ )?(?:tools?|mcp)\b", re.IGNORECASE
)


@cache
def _uses(server: str) -> re.Pattern[str]:
    name = re.escape(server).replace("_", "[_ -]").replace("\\-", "[_ -]")
    return re.compile(
        rf"\b(?:use|using|with|via|through|ask|call|from|in|on|to) (?:the |my |our )?{name}\b|"
        rf"\b{name} (?:server|mcp)\b",
        re.IGNORECASE,
    )


@dataclass(frozen=True)
class Heard:
    """What the rules hear in a piece of a message; `agent` is empty where they cannot tell.

    `strong` is an order to make something, which needs nothing around it to be clear.
    """

    agent: str
    why: str
    strong: bool = False


def hear(piece: str, servers: Collection[str] = ()) -> Heard:
    """The agent of one piece, in time that does not grow with it; `servers` are those whose tools can be used."""
    if len(piece) <= LONG:
        return _hear(piece, servers)
    ends = piece[: LONG // 2], piece.rstrip()[-LONG // 4 :].rpartition("\n")[2]
    first, last = (_hear(each, servers) for each in ends)
    return first if first.strong or not last.strong else last


def _hear(piece: str, servers: Collection[str]) -> Heard:
    said = _POLITE.sub("", piece).strip()
    found = (
        _tool(piece, servers),
        _code(piece),
        _watched(said),
        _tale(said),
        _research(said),
        _made(said),
        _coded(said),
    )
    for heard in found:
        if heard is not None:
            return heard
    if cue("material").search(said):
        return Heard(DEFAULT, "it is about the material")
    if cue("make").match(said):
        return Heard("", "something to make that no rule knows")
    return Heard(DEFAULT, "a question" if _asks(said) else "nothing else is meant")


def _tool(piece: str, servers: Collection[str]) -> Heard | None:
    named = next((each for each in servers if _uses(each).search(piece)), None)
    why = f"it names the server {named}" if named else "it asks for a tool" if _TOOL.search(piece) else ""
    return Heard("assistant", why, strong=True) if why else None


def _code(piece: str) -> Heard | None:
    return Heard("coding", "it holds code", strong=True) if _CODE.search(piece) or _TRACE.search(piece) else None


def _watched(said: str) -> Heard | None:
    return Heard("video", "a whole video is to be told", strong=True) if _WHOLE_FILM.match(said) else None


def _tale(said: str) -> Heard | None:
    return Heard("content", "something to write", strong=True) if _TELL_A.search(said) else None


def _research(said: str) -> Heard | None:
    if cue("research").match(said) or cue("research_last").search(said):
        return Heard("research", "something to research", strong=True)
    if cue("literature").search(said) and not cue("material").search(said):
        return Heard("research", "what sources say", strong=True)
    return None


def _made(said: str) -> Heard | None:
    """An order to make a thing: the thing named first after an English verb, or last before a Hindi one, decides."""
    if verb := cue("make").match(said):
        rest = said[verb.end() :]
        if _ABOUT.search(rest):
            return Heard("content", "something to write", strong=True)
        said, last = _FILM_SCRIPT.sub("video script", rest), False
    elif verb := _last(cue("make_last"), said := _WHICH.split(said)[0]):
        said, last = said[: verb.start()], True
    else:
        return None
    things = {
        "coding": ("it asks for code", cue("code", "language")),
        "content": ("something to write", cue("content")),
        "research": ("a report to research", cue("research_thing")),
        DEFAULT: ("it recounts the material", cue("recount")),
    }
    found = [
        # of two that begin together the longer one is meant: a blog post is no post
        (match.start(), match.start() - match.end(), agent, why)
        for agent, (why, pattern) in things.items()
        for match in pattern.finditer(said)
    ]
    if not found:
        return None
    _, _, agent, why = max(found, key=lambda each: (each[0], -each[1])) if last else min(found)
    return Heard(agent, why, strong=agent != DEFAULT)


def _last(pattern: re.Pattern[str], said: str) -> re.Match[str] | None:
    """The last match, where hardly a word comes after it."""
    matches = list(pattern.finditer(said))
    return matches[-1] if matches and len(said[matches[-1].end() :].split()) <= 2 else None


def _coded(said: str) -> Heard | None:
    """Work on code: a programmer's verb with a programmer's thing, or how something is done in a language."""
    if cue("material").search(said):
        return None
    if re.match(r"(?:implement|debug|refactor|unit-test|lint|vectori[sz]e)\b", said, re.IGNORECASE):
        return Heard("coding", "it asks for code", strong=True)
    if cue("code_verb").match(said) and cue("code", "language").search(said):
        return Heard("coding", "it works on code", strong=True)
    if _HOW_TO.search(said) and cue("language").search(said):
        return Heard("coding", "how it is done in a language", strong=True)
    return None


def _asks(said: str) -> bool:
    return said.rstrip().endswith("?") or bool(cue("ask").match(said))


def pieces(message: str, servers: Collection[str] = ()) -> list[str]:
    """A message cut where a new order begins; what is no order or question of its own stays with what it follows."""
    if len(message) > LONG or _CODE.search(message) or _TRACE.search(message):
        return [message.strip()]
    cut = list[str]()
    for sentence in filter(None, map(str.strip, _SENTENCE.split(message))):
        start = 0
        for joint in [*_JOINT.finditer(sentence)]:
            if hear(sentence[joint.end() :], servers).strong and sentence[start : joint.start()].strip():
                cut.append(sentence[start : joint.start()].strip())
                start = joint.end()
        rest = sentence[start:].strip()
        # a sentence is a piece of its own when it says what it wants without the one before it
        alone = (
            not cut or hear(rest, servers).strong or (rest.endswith("?") and cut[-1].endswith("?") and not refers(rest))
        )
        if alone:
            cut.append(rest)
        else:
            cut[-1] = f"{cut[-1]} {rest}"
    return cut


def refers(piece: str) -> bool:
    """Whether a piece points to something said before it."""
    return bool(cue("refer").search(piece))


def continues(message: str, turns: Sequence[Turn]) -> bool:
    """Whether a message goes on with what the last agent did: «make it shorter», «now in JavaScript», «and for …?»."""
    if not turns or cue("material").search(message):
        return False
    said = _POLITE.sub("", message)
    short = len(message.split()) <= 12
    return short and bool(cue("edit").match(said) or cue("refer", "you").search(said) or _GOES_ON.search(message))


def default(among: Collection[str]) -> str:
    """Who answers what is meant for nobody else."""
    return DEFAULT if DEFAULT in among else next(iter(among))


def choose(message: str, turns: Sequence[Turn], among: Collection[str], servers: Collection[str] = ()) -> Route | None:
    """The parts of a message; None where the rules cannot tell."""
    before = _before(turns, among)
    cut = pieces(message, servers)
    heard = [hear(piece, servers) for piece in cut]
    if before and len(cut) == 1 and not _another(heard[0], before) and continues(message, turns):
        return Route(
            parts=(Part(agent=before, question=message, why="it goes on with the last answer", continues=True),)
        )
    if any(each.agent not in among for each in heard):
        known = [each if each.agent in among else Heard("", each.why) for each in heard]
        if len(cut) > 1 or not heard[0].agent:
            return None if not any(each.strong for each in known) else _one(message, known, among)
        return Route(parts=(Part(agent=default(among), question=message, why=f"there is no {heard[0].agent} agent"),))
    return Route(parts=_parts(_merged(cut, heard, message), turns))


def _before(turns: Sequence[Turn], among: Collection[str]) -> str:
    """The agent that answered last; a client that sends the conversation itself does not know it."""
    if not turns:
        return ""
    if turns[-1].agent:
        return turns[-1].agent if turns[-1].agent in among else ""
    route = choose(turns[-1].question, turns[:-1], among)
    return route.parts[-1].agent if route else ""


def _another(heard: Heard, before: str) -> bool:
    return heard.strong and heard.agent != before


def _one(message: str, heard: Sequence[Heard], among: Collection[str]) -> Route:
    strong = next(each for each in heard if each.strong and each.agent in among)
    return Route(parts=(Part(agent=strong.agent, question=message, why=strong.why),))


def _merged(cut: Sequence[str], heard: Sequence[Heard], message: str) -> list[tuple[str, Heard]]:
    """Neighbouring pieces for one maker are one order; only questions stay apart, and no more than `MOST` pieces."""
    merged = list[tuple[str, Heard]]()
    for piece, each in zip(cut, heard, strict=True):
        if merged and (len(merged) == MOST or (merged[-1][1].agent == each.agent != DEFAULT)):
            said, first = merged[-1]
            merged[-1] = (f"{said} {piece}" if said[-1] in ".!?।" else f"{said} and {piece}", first)
        else:
            merged.append((piece, each))
    return merged if len(merged) > 1 else [(message.strip(), merged[0][1])]


def _parts(merged: Sequence[tuple[str, Heard]], turns: Sequence[Turn]) -> tuple[Part, ...]:
    return tuple(
        Part(
            agent=heard.agent,
            question=piece,
            why=heard.why,
            after=number - 1 if number and refers(piece) else None,
            recalls=bool(not number and turns and heard.agent != turns[-1].agent and heard.strong and refers(piece)),
        )
        for number, (piece, heard) in enumerate(merged)
    )
