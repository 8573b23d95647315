"""Answers in other languages than the one that the rules speak, where a translation model is installed."""

from collections.abc import Sequence

from graphs.video.state import Chapter, Scene, Section, Statement, VideoResult
from graphs.video.telling import OURS
from tools.bench import Bench
from tools.translating import TranslateInput, translate

SPOKEN = "en"
_AT_ONCE = 500


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


async def _translated(bench: Bench, texts: Sequence[str], language: str) -> list[str]:
    found = list[str]()
    for at in range(0, len(texts), _AT_ONCE):
        asked = TranslateInput(texts=list(texts[at : at + _AT_ONCE]), source=SPOKEN, target=language)
        found += (await bench.call(translate, asked)).texts
    return found
