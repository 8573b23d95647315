"""Answers in other languages than the one that the rules speak, where a translation model is installed."""

from collections.abc import Sequence

from graphs.video.state import Chapter, Scene, Section, Statement, VideoResult
from graphs.video.telling import OURS
from ingestion.timeline import Timeline
from tools.bench import Bench
from tools.translating import TranslateInput, translate
from tools.voice.casting import NAMES

SPOKEN = "en"
_AT_ONCE, _CHARACTERS = 500, 100_000


async def check_language(bench: Bench, language: str | None) -> None:
    """Raise `NotInstalled` for a language that nothing here can answer in."""
    if language not in (None, SPOKEN):
        await _translated(bench, ["The camera pans left."], language)


async def translated(bench: Bench, result: VideoResult, language: str) -> VideoResult:
    """The result with every sentence of ours translated; names and ids stay."""
    texts = list(dict.fromkeys(_texts(result)))
    told = dict(zip(texts, await _translated(bench, texts, language), strict=True))

    def of(statements: Sequence[Statement]) -> list[Statement]:
        return [each.model_copy(update={"text": told[each.text]}) for each in statements]

    def scene(each: Scene) -> Scene:
        return each.model_copy(update={"statements": of(each.statements)})

    def chapter(each: Chapter) -> Chapter:
        return each.model_copy(update={"statements": of(each.statements), "title": told[each.title]})

    def section(each: Section) -> Section:
        return each.model_copy(update={"statements": of(each.statements), "heading": told[each.heading]})

    return result.model_copy(
        update={
            "language": language,
            "overview": of(result.overview),
            "scenes": [scene(each) for each in result.scenes],
            "chapters": [chapter(each) for each in result.chapters],
            "sections": [section(each) for each in result.sections],
            "limits": [told[each] for each in result.limits],
        }
    )


def _texts(result: VideoResult) -> list[str]:
    said = [each.text for each in result.statements]
    titles = [each.title for each in result.chapters] + [each.heading for each in result.sections]
    return [*said, *titles, *result.limits]


async def headings_in(bench: Bench, language: str) -> dict[str, str]:
    """The few words of ours that are not part of the result."""
    return dict(zip(OURS, await _translated(bench, OURS, language), strict=True))


async def text_in(bench: Bench, text: str, language: str | None) -> str:
    """A finished piece in the language that was asked for."""
    return text if language in (None, SPOKEN) else (await _translated(bench, [text], str(language)))[0]


async def spoken_in(bench: Bench, timeline: Timeline, language: str) -> Timeline:
    """The timeline with what is said in another language, segment by segment, so that every time stays."""
    spoken = [each for each in timeline.segments if each.modality == "speech" and each.language != language]
    told = await _translated(bench, [each.text for each in spoken], language, source="auto")
    by_id = {each.id: text for each, text in zip(spoken, told, strict=True)}
    segments = [
        each.model_copy(update={"text": by_id[each.id], "language": language}) if each.id in by_id else each
        for each in timeline.segments
    ]
    note = f"What is said was translated into {NAMES.get(language, language)}."
    return timeline.model_copy(update={"segments": segments, "notes": [*timeline.notes, note]})


async def _translated(bench: Bench, texts: Sequence[str], language: str, source: str = SPOKEN) -> list[str]:
    """The texts in another language, asked for in as many calls as the tool's limits want."""
    found, batch = list[str](), list[str]()
    for text in [*texts, None]:
        full = len(batch) == _AT_ONCE or sum(map(len, batch)) + len(text or "") > _CHARACTERS
        if batch and (text is None or full):
            asked = TranslateInput(texts=batch, source=source, target=language)
            found += (await bench.call(translate, asked)).texts
            batch = []
        if text is not None:
            batch.append(text)
    return found
