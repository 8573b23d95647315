"""The tool that translates."""

from collections import Counter
from dataclasses import dataclass
from typing import Annotated, Any, Self

from pydantic import Field, model_validator

from tools.bench import Bench
from tools.errors import InvalidInput, TooLarge
from tools.languages import script_of, tell_language
from tools.served import ModelInput, ModelOutput, served
from tools.toolbox import tool
from tools.translation import Translation
from tools.translation.routing import Leg, language_code, route
from tools.translation.sentences import Sentences, split

_CHARACTERS = 200_000
_AT_ONCE = 64
"""Sentences that an engine is given at once; between two such batches a translation tells how far it is and may end."""

Text = Annotated[str, Field(max_length=100_000)]
LanguageName = Annotated[str, Field(min_length=2, max_length=40)]


class TranslateInput(ModelInput):
    """One text or several, and the languages."""

    text: Text | None = None
    texts: Annotated[list[Text], Field(min_length=1, max_length=1_000)] | None = Field(
        None, description="Instead of `text`, several at once."
    )
    source: LanguageName = Field("auto", description="Their language: ISO 639 code or name; `auto` tells it from each.")
    target: LanguageName = Field("en", description="The language wanted: ISO 639 code or name.")

    @model_validator(mode="after")
    def _either_one_or_several(self) -> Self:
        if (self.text is None) == (self.texts is None):
            raise ValueError("give either `text` or `texts`")
        return self

    @property
    def all(self) -> list[str]:
        return [self.text] if self.text is not None else list(self.texts or [])


class Served(ModelOutput):
    """Who translated one of the languages found; two where the way led through English."""

    source: str
    target: str
    engine: str
    licence: str
    commercial: bool = Field(description="Whether the licence permits commercial use.")


class Translated(ModelOutput):
    """The translations in the order of the texts; line breaks and paragraphs are the source's."""

    texts: list[str]
    text: str | None = Field(None, description="The translation, where one text was given.")
    source: str | None = Field(description="The language of most texts; none where no text has words.")
    sources: list[str | None] = Field(description="The language of each text.")
    target: str
    engine: str = ""
    licence: str = ""
    commercial: bool = True
    served: list[Served] = Field([], description="Who translated, by source language.")


@tool(title="Translate text", idempotent=True)
async def translate(input: TranslateInput, bench: Bench) -> Translated:
    """Translate one text or several into another language, sentence by sentence, keeping lines and paragraphs."""
    texts = input.all
    if (characters := sum(map(len, texts))) > _CHARACTERS:
        raise TooLarge(
            f"The texts have {characters:,} characters together; {_CHARACTERS:,} are allowed.",
            remedy="Send them in parts.",
        )
    target = language_code(input.target, bench, "target")
    sources = [_language(text, input.source, bench) for text in texts]
    jobs = await _jobs(texts, sources, target, input.model, bench)
    done, total = dict(enumerate(texts)), sum(len(job.sentences) for job in jobs)
    before = 0
    for job in jobs:
        done |= await job.run(bench, before, total)
        before += len(job.sentences)
    return _translated(list(done.values()), input, sources, target, jobs)


async def render(texts: list[str], legs: list[Leg], bench: Bench) -> list[str]:
    """Texts of one language by the rows that `route` chose."""
    job = _Job(legs, {number: split(text) for number, text in enumerate(texts)})
    return list((await job.run(bench, 0, 0)).values())


@dataclass(frozen=True)
class _Job:
    """The texts of one source language by their number, and who translates them."""

    legs: list[Leg]
    texts: dict[int, Sentences]

    @property
    def source(self) -> str:
        return self.legs[0].source

    @property
    def sentences(self) -> list[str]:
        return [sentence for text in self.texts.values() for sentence in text.texts]

    async def run(self, bench: Bench, before: int, total: int) -> dict[int, str]:
        """The translated texts by their number; `before` of `total` sentences were done by other jobs."""
        sentences = self.sentences
        share = len(sentences) / len(self.legs)
        for number, leg in enumerate(self.legs if sentences else []):
            begun, translated = before + number * share, list[str]()
            async with bench.models.use(leg.choice.row.id, bench.emit) as engine:
                for start in range(0, len(sentences), _AT_ONCE):
                    batch = sentences[start : start + _AT_ONCE]
                    translated += await engine.call(Translation.translate, batch, leg.source, leg.target)
                    done = begun + len(translated) / len(self.legs)
                    if total:
                        bench.progress(fraction=round(done / total, 4))
            sentences = translated
        rest = iter(sentences)
        return {number: text.filled([next(rest) for _ in text.texts]) for number, text in self.texts.items()}


async def _jobs(
    texts: list[str], sources: list[str | None], target: str, model: str | None, bench: Bench
) -> list[_Job]:
    """One for each language that is not the target's; all are routed before the first of them begins."""
    languages = dict.fromkeys(source for source in sources if source is not None and source != target)
    return [
        _Job(
            await route(bench, language, target, model=model),
            {number: split(text) for number, text in enumerate(texts) if sources[number] == language},
        )
        for language in languages
    ]


def _language(text: str, asked: str, bench: Bench) -> str | None:
    """The text's language, none where it has no words; raises `InvalidInput` where nothing tells it."""
    if not any(map(str.isalpha, text)):
        return None
    if asked.strip().lower() != "auto":
        return language_code(asked, bench, "source")
    told, _ = tell_language(text)
    if told is not None and told.endswith("-Latn"):
        raise InvalidInput(
            f"{text[:60]!r} seems to be {told.removesuffix('-Latn')!r} in Latin letters, which no translator reads.",
            remedy="Write it in its own script, or name the `source`.",
            param="source",
        )
    if told is None:
        scripts = {script for character in text[:1_000] if (script := script_of(character))}
        raise InvalidInput(
            f"Nothing tells the language of {text[:60]!r} ({', '.join(sorted(scripts)) or 'unknown script'}).",
            remedy="Name the `source`.",
            param="source",
        )
    return language_code(told, bench, "source")


def _translated(
    texts: list[str], input: TranslateInput, sources: list[str | None], target: str, jobs: list[_Job]
) -> Translated:
    found = Counter(source for source in sources if source is not None)
    most = found.most_common(1)[0][0] if found else None
    main = next((job for job in jobs if job.source == most), jobs[0] if jobs else None)
    rest = {"model": "none", "reason": _WHY_NOT} if main is None else _who(main.legs[-1])
    return Translated(
        texts=texts,
        text=texts[0] if input.text is not None else None,
        source=most,
        sources=sources,
        target=target,
        served=[Served(source=leg.source, target=leg.target, **_who(leg)) for job in jobs for leg in job.legs],
        **rest,
    )


_WHY_NOT = "Nothing had to be translated: there are no words, or they are in the target language already."


def _who(leg: Leg) -> dict[str, Any]:
    row = leg.choice.row
    return {
        **served(leg.choice),
        "engine": row.engine.rpartition(":")[2],
        "licence": row.licence,
        "commercial": row.commercial,
    }


TOOLS = (translate,)
