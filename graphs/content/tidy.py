"""What a model writes beside the text that was asked for, taken out by rule: remarks, fences, repeats, links."""

import re
from collections.abc import Sequence

from graphs.content.kinds import Shape
from tools.writing.repetition import distinct, winds
from tools.writing.text import sentences, words

_FENCED = re.compile(r"\A\s*```(?:markdown|md|text|plaintext)?\s*\n(?P<inside>.*?)\n?\s*(?:```\s*\Z|\Z)", re.DOTALL)
_OPENING = re.compile(
    r"\A\W*(?:(?:sure|certainly|of course|absolutely|okay)\b[,!.][^\n]{0,160}?[:!.](?=\s)|"
    r"here(?:'s| is| are)\b[^\n]{0,160}?:(?=\s)|below is\b[^\n]{0,160}?[:.](?=\s)|"
    r"as (?:requested|an ai)\b[^\n]{0,160}?[,:.](?=\s)|(?:title|introduction|conclusion|section \d+|part \d+)\s*:)\s*",
    re.IGNORECASE,
)
_REMARK = re.compile(
    r"^\W*(?:sure\b|certainly\b|of course[,!]|here(?:'s| is) (?:a|an|the|your)\b.{0,80}:|i hope (?:this|that|you)|"
    r"(?:please )?let me know|feel free to|note:|word count|remember to (?:adjust|customi[sz]e)|\(?\d+ words\)?\W*$|"
    r"this (?:section|paragraph|poem|story|article|essay|post|piece|text|blog post|scene|newsletter)\b|as an ai\b|"
    r"in this (?:section|article|essay|report|guide|tutorial|manual|blog post|post)\b|"
    r"(?:best|kind|warm) regards|sincerely|yours (?:truly|faithfully)|\[?your name\]?|##? ?references|end of\b)",
    re.IGNORECASE,
)
_PLACEHOLDER = re.compile(r"\[(?!\d+\])[^\]\n]{0,60}\]|<[^>\n]{0,80}>")
_AUTHORITY = re.compile(
    r"\s*\((?:[A-Z][\w'’-]+(?:\s+(?:et al\.?|and|&)\s*(?:[A-Z][\w'’-]+)?)?,?\s+(?:19|20)\d\d[a-z]?(?:;\s*)?)+\)"
)
_BARE_LINK = re.compile(r"!?\[([^\]\n]*)\]\([^)\n]*\)|https?://\S+|www\.\S+")
_HEADING = re.compile(r"^\s{0,3}#{1,6}\s*(?P<text>.*?)\s*#*\s*$|^\s*\*\*(?P<bold>[^*\n]{1,90})\*\*:?\s*$")
_ITEM = re.compile(r"^\s*(?:[-*+]|\d{1,2}[.)])\s+")
_MARKS = re.compile(r"\s*\[\d+\]")
_ENDED = re.compile(r"[.!?।॥؟…:][\"'”’)*_]*(?:\s*\[\d+\])*\s*$")


def tidied(raw: str, shape: Shape, *, marks: bool, known: Sequence[str] = (), before: Sequence[str] = ()) -> str:
    """A part as it may stand in the piece.

    `marks` keeps citation marks; `known` are headings that stand elsewhere; `before` sentences that were said already.
    """
    text = raw.replace("\r", "")
    for _ in range(2):
        text = _OPENING.sub("", text.strip(), count=1)
        if fenced := _FENCED.match(text):
            text = fenced["inside"]
    text = "\n\n".join(each if each.startswith("```") else without_links(each, marks=marks) for each in blocks(text))
    if shape == "verse":
        return _verse(text, known)
    if shape == "scenes":
        return _scene(text)
    lines = _without_headings(text, known)
    return whole(unrepeated("\n".join(lines), before))


def without_links(block: str, *, marks: bool) -> str:
    """Without links, placeholders and authorities that nobody gave."""
    text = _BARE_LINK.sub(lambda match: match[1] or "", block).replace("![", "")
    text = _AUTHORITY.sub("", _PLACEHOLDER.sub("", text))
    text = re.sub(r"[ \t]+(?=[.,;:!?])", "", text)
    return text if marks else _MARKS.sub("", text)


def unrepeated(text: str, before: Sequence[str]) -> str:
    """Without the sentences, items and remarks that were said before or say nothing of the subject."""
    said, kept = list(before), list[str]()
    for block in blocks(text):
        if block.startswith("```"):
            kept.append(block)
            continue
        lines = list[str]()
        for line in block.split("\n"):
            item = _ITEM.match(line)
            lead, rest = (item.group(), line[item.end() :]) if item else ("", line)
            fresh = [each for each in distinct(sentences(rest), said) if not _REMARK.match(each) and not winds(each)]
            said += fresh
            if fresh:
                lines.append(lead + " ".join(fresh))
        if lines:
            kept.append("\n".join(lines))
    return "\n\n".join(kept)


def whole(text: str) -> str:
    """Without the unfinished sentence at its end."""
    pieces = blocks(text)
    if not pieces or pieces[-1].startswith("```") or _ENDED.search(pieces[-1]):
        return "\n\n".join(pieces)
    *before, last = pieces[-1].split("\n")
    said = sentences(last)
    lines = [*before, " ".join(said[:-1])] if len(said) > 1 else before
    if not lines and len(pieces) == 1:
        # nothing else is there: a sentence without its full stop is better than nothing
        return f"{last.rstrip(' ,;:-–')}." if words(last) else ""
    return "\n\n".join([*pieces[:-1], *(["\n".join(line for line in lines if line)] if any(lines) else [])])


def blocks(text: str) -> list[str]:
    """Paragraphs, lists and fenced code, in order."""
    found, fence = list[str](), list[str]()
    for piece in re.split(r"\n\s*\n", text.strip()):
        if fence:
            fence.append(piece)
            if "```" in piece:
                found.append("\n\n".join(fence))
                fence = []
        elif piece.lstrip().startswith("```") and piece.count("```") == 1:
            fence = [piece]
        elif piece.strip():
            found.append(piece.strip("\n"))
    return [*found, "\n\n".join(fence) + "\n```"] if fence else found


def _without_headings(text: str, known: Sequence[str]) -> list[str]:
    """The lines without headings that stand elsewhere; other headings become words in bold."""
    there = [words(each) for each in known]
    lines = list[str]()
    for line in text.split("\n"):
        heading = _HEADING.match(line)
        if heading is None:
            lines.append(line.rstrip())
            continue
        said = (heading["text"] or heading["bold"] or "").strip("*: ")
        if said and words(said) not in there and lines:
            lines += ["", f"**{said}.**", ""]
    return lines


def _verse(text: str, known: Sequence[str]) -> str:
    """Lines in stanzas; a line comes at most twice, as a refrain may."""
    there = [words(each) for each in known]
    counts = dict[str, int]()
    stanzas, stanza = list[str](), list[str]()
    for line in [*text.split("\n"), ""]:
        plain = re.sub(r"^\s*(?:#+|>|[-*+]|\d{1,2}[.)])\s*", "", line).strip(" *_")
        heading = _HEADING.match(line) is not None or words(plain) in there or re.match(r"(?i)stanza\b", plain)
        if not plain or heading or _REMARK.match(plain):
            if stanza and not plain:
                stanzas.append("  \n".join(stanza))
                stanza = []
            continue
        counts[plain.lower()] = counts.get(plain.lower(), 0) + 1
        if counts[plain.lower()] <= 2 and len(plain) <= 120:
            stanza.append(plain)
    return "\n\n".join(each for each in [*stanzas, "  \n".join(stanza)] if each)


_SPEAKER = re.compile(
    r"^\W*(?P<name>[^\W\d_][\w .'’-]{0,24}?)\s*(?:\((?P<how>[^)\n]{1,40})\))?\W{0,3}:\W{0,3}\s+(?P<words>\S.*)$"
)
_NO_SPEAKER = frozenset(
    {"scene", "title", "setting", "time", "characters", "note", "end", "action", "place", "dialogue"}
)


def _scene(text: str) -> str:
    """Action as paragraphs, dialogue as `**NAME:** words`; a line that was spoken already is left out."""
    lines, said = list[str](), list[str]()
    for line in text.split("\n"):
        plain = line.strip().strip("*_#").strip()
        if not plain or _REMARK.match(plain) or re.match(r"(?:INT|EXT)\b|(?:FADE|CUT) ", plain):
            continue
        speaker = _SPEAKER.match(line.strip())
        if speaker and speaker["name"].strip().lower() not in _NO_SPEAKER and len(speaker["name"].split()) <= 3:
            spoken = speaker["words"].strip().strip("*_").strip()
            how = f" *({speaker['how']})*" if speaker["how"] else ""
            plain = f"**{speaker['name'].strip().upper()}:**{how} {spoken}"
        if distinct([plain], said):
            said.append(plain)
            lines.append(plain)
    return "\n\n".join(lines)
