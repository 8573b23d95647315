"""Pieces that need no model: the transcript, study notes, and the script of what was filmed."""

import re
from collections.abc import Mapping

from graphs.content.kinds import Size
from graphs.research.report import plain
from graphs.temporal.phrases import span
from graphs.temporal.words import content, names
from graphs.video.analysing import Observed
from graphs.video.condensing import telling, without_lead
from graphs.video.sayings import Saying
from graphs.video.state import Chapter, Statement
from graphs.video.telling import title_of
from knowledge.segment import moment
from tools.writing.finding import keywords_of
from tools.writing.text import words

_POINTS: Mapping[Size, int] = {"short": 2, "medium": 4, "long": 8}
_QUESTIONS: Mapping[Size, int] = {"short": 3, "medium": 6, "long": 12}
_PARAGRAPH = 90
"""Words after which a transcript begins a new paragraph."""
_NUMBER = re.compile(r"\b\d[\d.,]*\b")
_GAP, _BLANK = "\x00", "\\_\\_\\_\\_"


def transcript(seen: Observed) -> str:
    """What is said, in paragraphs with the time each begins; a speaker's name where one was told apart."""
    lines, run = [f"# {plain(title_of(seen.timeline.name))}"], list[Saying]()
    for each in seen.spoken:
        count = sum(len(words(one.text)) for one in run)
        if run and (run[-1].speaker != each.speaker or each.start - run[-1].end > 2.0 or count > _PARAGRAPH):
            lines.append(_paragraph(run))
            run = []
        run.append(each)
    return "\n\n".join([*lines, *([_paragraph(run)] if run else [])])


def _paragraph(run: list[Saying]) -> str:
    who = f" {plain(run[0].speaker)}:" if run[0].speaker else ""
    return f"**{moment(run[0].start)}**{who} {plain(' '.join(each.text for each in run))}"


def study_notes(seen: Observed, size: Size) -> str:
    """Key points by chapter, terms with where they come up, and questions whose answers are in the video."""
    pieces = [f"# {plain(title_of(seen.timeline.name))}", "## Key points"]
    for chapter in seen.chapters:
        points = telling([each for each in chapter.statements if each.about in _LEARNT], _POINTS[size])
        if points:
            pieces.append(_heading(chapter) if len(seen.chapters) > 1 else "")
            pieces.append("\n".join(_point(each) for each in points))
    terms = _terms(seen, 2 * _POINTS[size])
    pieces += ["## Terms", "\n".join(terms)] if terms else []
    asked = _questions(seen, _QUESTIONS[size])
    if asked:
        pieces += ["## Questions", "\n".join(f"{n}. {question}" for n, (question, _) in enumerate(asked, 1))]
        pieces += ["## Answers", "\n".join(f"{n}. {answer}" for n, (_, answer) in enumerate(asked, 1))]
    return "\n\n".join(each for each in pieces if each)


_LEARNT = frozenset({"speech", "text", "actions"})


def _heading(chapter: Chapter) -> str:
    return f"### {span(chapter.start, chapter.end)} {plain(chapter.title)}"


def _point(statement: Statement) -> str:
    bare = without_lead(statement.text).strip("“”") if statement.about == "speech" else statement.text
    return f"- {plain(bare)} ({moment(statement.moments[0].start)})"


def _terms(seen: Observed, most: int) -> list[str]:
    found, known = list[str](), set[str]()
    for term in keywords_of(" ".join(each.text for each in seen.spoken), most):
        stems = {*content(term)}
        places = [moment(each.start) for each in seen.spoken if stems <= {*content(each.text)}]
        if places and not stems & known:
            known |= stems
            found.append(f"- **{plain(term)}**: {', '.join(dict.fromkeys(places[:6]))}")
    return found


def _questions(seen: Observed, most: int) -> list[tuple[str, str]]:
    """Sentences with a number or a name left out; the answer is the sentence's own word."""
    found = list[tuple[str, str]]()
    for each in seen.spoken:
        blank = _to_leave_out(each.text)
        if blank and len(words(each.text)) >= 6:
            question = plain(f"{each.text[: blank[0]]}{_GAP}{each.text[blank[1] :]}").replace(_GAP, _BLANK)
            found.append((question, f"{plain(each.text[slice(*blank)])} ({moment(each.start)})"))
    step = max(len(found) / most, 1.0)
    return [found[int(at * step)] for at in range(min(len(found), most))]


def _to_leave_out(text: str) -> tuple[int, int] | None:
    if match := _NUMBER.search(text):
        return match.span()
    known = names(text)
    places = [
        each.span() for each in re.finditer(r"\w+", text) if content(each[0])[:1] and content(each[0])[0] in known
    ]
    capital = [place for place in places if text[place[0]].isupper()]
    return capital[-1] if capital else None


def script(seen: Observed) -> str:
    """The film as it is, in the form of a script: scenes with their times, what is seen, what is spoken. Nothing is
    made up."""
    pieces = [f"# {plain(title_of(seen.timeline.name))}"]
    for scene in seen.scenes:
        pieces.append(f"## SCENE {scene.number} - {span(scene.start, scene.end)}")
        seen_here = [plain(each.text) for each in scene.statements if each.about != "speech"]
        pieces += [" ".join(seen_here)] if seen_here else []
        for each in (one for one in scene.statements if one.about == "speech"):
            who = each.text.partition(", heard: ")[0] if ", heard: " in each.text else "VOICE"
            pieces.append(f"**{plain(who).upper()}:** {plain(without_lead(each.text).strip('“”'))}")
    return "\n\n".join(pieces)
