"""The measures of a text, as a tool."""

import asyncio
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from tools.bench import Bench
from tools.languages import tell_language
from tools.toolbox import tool
from tools.writing.finding import Finding, finding
from tools.writing.readability import Readability, readability, reading_minutes, sentences_of
from tools.writing.repetition import Repetition, repetition
from tools.writing.text import read, words


class MeasureTextInput(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    text: Annotated[str, Field(min_length=1, max_length=500_000, description="Markdown or plain text.")]
    language: Annotated[str, Field(max_length=16, description="ISO 639-1; told from the text when absent.")] = ""
    title: Annotated[str, Field(max_length=500, description="Its first heading when absent.")] = ""
    description: Annotated[str, Field(max_length=2_000)] = ""
    keywords: Annotated[list[Annotated[str, Field(min_length=1, max_length=100)]], Field(max_length=50)] = []


class Measures(BaseModel):
    """Figures of what people read: headings and prose, without code and citation marks."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    words: int
    sentences: int
    paragraphs: int
    characters: int
    reading_minutes: float
    readability: Readability
    repetition: Repetition
    finding: Finding


def measured(input: MeasureTextInput) -> Measures:
    text = read(input.text)
    language = input.language or (tell_language(text.whole)[0] or "en").removesuffix("-Latn")
    count = len(words(text.whole))
    title = input.title or next((heading for _, heading in text.headings), "")
    return Measures(
        words=count,
        sentences=len(sentences_of(text.prose)),
        paragraphs=len(text.paragraphs),
        characters=len(text.whole),
        reading_minutes=reading_minutes(count, language),
        readability=readability(text.prose, language),
        repetition=repetition(text.prose),
        finding=finding(text, title, input.description, input.keywords),
    )


@tool(title="Measure a text")
async def measure_text(input: MeasureTextInput, bench: Bench) -> Measures:
    """Measure how a text reads, how much it repeats itself, and how its title, headings and keywords will be found."""
    return await asyncio.to_thread(measured, input)


TOOLS = (measure_text,)
