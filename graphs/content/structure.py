"""A piece put together from its parts, and what its kind asks for that it has not."""

import re
from collections.abc import Mapping, Sequence

from graphs.content.kinds import KINDS
from graphs.content.state import Brief, Outline
from tools.writing.finding import keywords_of
from tools.writing.text import count_words, read

_SPOKEN = re.compile(r"^\*\*(?P<name>[^*:]+):\*\* ", re.MULTILINE)
_PLACE = re.compile(r"^(?:INT|EXT)\. .+ - \S.*$")
_TAG = re.compile(r"(?<!\w)#\w+")


def assembled(brief: Brief, outline: Outline, texts: Mapping[int, str], title: str = "") -> str:
    """The piece in Markdown. A post has no title; prose and verse have no other headings."""
    shape = KINDS[brief.kind].shape
    parts = [(part, texts.get(part.number, "").strip()) for part in outline.parts]
    if shape == "post":
        return with_tags(brief, parts[0][1])
    pieces = [f"# {title or outline.title}"]
    for part, text in parts:
        if not text:
            continue
        if shape == "scenes" or (shape == "sections" and len(parts) > 1):
            pieces.append(f"## {part.heading}")
        pieces.append(text)
    return "\n\n".join(pieces)


def headings_words(brief: Brief, outline: Outline) -> int:
    """The words that the piece has beside its parts."""
    return count_words(assembled(brief, outline, {part.number: "-" for part in outline.parts}))


def with_tags(brief: Brief, text: str) -> str:
    """A post with up to three hashtags of its keywords, as many as its characters allow."""
    bare = _TAG.sub(lambda match: match[0][1:], text).strip()
    tags = list[str]()
    for keyword in brief.keywords or keywords_of(f"{brief.topic}. {bare}", 3):
        tag = "#" + "".join(word[:1].upper() + word[1:] for word in re.split(r"[\s-]+", keyword))
        if len(tags) < 3 and brief.characters and len(" ".join([bare, *tags, tag])) + 1 <= brief.characters:
            tags.append(tag)
    return f"{bare}\n\n{' '.join(tags)}" if bare and tags else bare


def problems_of(brief: Brief, outline: Outline, piece: str) -> list[str]:
    """What the kind asks for and the piece has not; an empty list is a valid piece."""
    if not piece.strip():
        return ["There is no text."]
    shape = KINDS[brief.kind].shape
    if shape == "post":
        return _post(brief, piece)
    text = read(piece)
    levels = [level for level, _ in text.headings]
    problems = [] if levels[:1] == [1] and levels.count(1) == 1 else ["There is not exactly one title."]
    match shape:
        case "sections":
            problems += _sections(brief, outline, piece, levels)
        case "prose":
            problems += ["There are headings in it."] if len(levels) > 1 else []
            problems += [] if len(text.paragraphs) >= 2 else ["It is a single paragraph."]
            problems += ["There is a list in it."] if re.search(r"^(?:[-*+]|\d+\.) ", piece, re.MULTILINE) else []
        case "scenes":
            problems += _scenes(piece, [heading for level, heading in text.headings if level == 2])
        case "verse":
            problems += _verse(piece)
    return problems


def _sections(brief: Brief, outline: Outline, piece: str, levels: Sequence[int]) -> list[str]:
    least = 0 if len(outline.parts) == 1 else 2
    problems = [] if levels.count(2) >= least else ["There are fewer than two sections."]
    # sources that say nothing of a section are a reason to leave it out
    named = [] if brief.grounded else outline.parts
    missing = [part.heading for part in named if f"## {part.heading}\n" not in piece]
    problems += [f"The section {heading!r} is missing." for heading in missing]
    if KINDS[brief.kind].steps and not re.search(r"^\d+\. ", piece, re.MULTILINE):
        problems.append("There are no numbered steps.")
    return problems


def _scenes(piece: str, places: Sequence[str]) -> list[str]:
    problems = [] if places else ["There is no scene."]
    problems += [f"{place!r} is no scene heading." for place in places if not _PLACE.match(place)]
    spoken = [match["name"] for match in _SPOKEN.finditer(piece)]
    if len(spoken) < 4 or len({*spoken}) < 2:
        problems.append(f"There are {len(spoken)} lines of dialogue by {len({*spoken})} speakers; 4 by 2 are wanted.")
    return problems


def _verse(piece: str) -> list[str]:
    lines = [line for line in piece.split("\n")[1:] if line.strip()]
    problems = [] if len(lines) >= 4 else [f"It has {len(lines)} lines."]
    return problems + ([] if all(len(line) <= 120 for line in lines) else ["A line is longer than 120 characters."])


def _post(brief: Brief, piece: str) -> list[str]:
    problems = []
    if brief.characters and len(piece) > brief.characters:
        problems.append(f"It has {len(piece)} characters; {brief.characters} are allowed.")
    if re.search(r"^#{1,6} ", piece, re.MULTILINE):
        problems.append("There is a heading in it.")
    return problems if _TAG.search(piece) else [*problems, "It has no hashtag."]


def closed(text: str) -> str:
    """With a full stop where lines were trimmed after a comma."""
    return re.sub(r"[\s,;:–—-]+\Z", ".", text) if re.search(r"[,;:–—-]\s*\Z", text) else text


def as_steps(text: str) -> str:
    """The sentences as numbered steps, when a part that is to have steps has none."""
    from tools.writing.text import sentences

    if re.search(r"^\s*(?:\d{1,2}[.)]|[-*+]) ", text, re.MULTILINE):
        return re.sub(r"^(\s*)(\d{1,2})\) ", r"\1\2. ", text, flags=re.MULTILINE)
    said = [each for block in text.split("\n\n") for each in sentences(block)]
    if len(said) < 3:
        return text
    return "\n\n".join([said[0], "\n".join(f"{n}. {each}" for n, each in enumerate(said[1:], 1))])
