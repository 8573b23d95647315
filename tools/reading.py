"""The tool that reads a page as a page: lines in reading order, tables, fields of forms."""

import asyncio
from contextlib import aclosing
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from tools.bench import Bench
from tools.describing import DescribeImagesInput, describe_images
from tools.looking import ReadInput, SeenText
from tools.media.images import open_images
from tools.served import MediaRef, ModelOutput, served
from tools.toolbox import tool
from tools.vision import TEXT_READING, Box, TextReading
from tools.vision.layout import Page, lay_out


class ReadPagesInput(ReadInput):
    images: Annotated[list[MediaRef], Field(min_length=1, max_length=64)]
    describe: bool = Field(
        False, description="Also say what diagrams and pictures show; needs a vision-language model."
    )


class ReadTable(BaseModel):
    """`box` is left, top, right, bottom as fractions of width and height."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    box: Box
    rows: list[list[str]] = Field(description="All of one length; a cell that is not there is empty.")


class ReadField(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    label: str
    value: str = Field(description="Empty where nothing was written.")
    box: Box


class ReadPage(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    image: str
    text: str = Field(description="All of it in reading order; blocks are parted by empty lines, cells by bars.")
    lines: list[SeenText] = Field(description="Outside tables, in reading order.")
    tables: list[ReadTable]
    fields: list[ReadField]
    description: str = Field("", description="What a vision-language model saw, where that was asked for.")


class ReadPages(ModelOutput):
    images: list[ReadPage] = Field(description="In the order in which they were asked for.")
    described_by: str = Field("", description="The catalogue's row that described them.")


@tool(title="Read pages")
async def read_page(input: ReadPagesInput, bench: Bench) -> ReadPages:
    """Read scanned or photographed pages, forms and tables: text in reading order, tables as rows, fields of forms."""
    choice = await asyncio.to_thread(bench.choose, TEXT_READING, model=input.model, language=input.language)
    descriptions, by = await _described(input, bench) if input.describe else ([""] * len(input.images), "")
    pages = list[ReadPage]()
    async with (
        bench.models.use(choice.row.id, bench.emit) as engine,
        aclosing(open_images(bench.media, input.images, bench.settings.limits)) as batches,
    ):
        async for images in batches:
            for image, lines in zip(images, await engine.call(TextReading.read, images, input.language), strict=True):
                place = len(pages)
                page = lay_out(lines, image.shape[1], image.shape[0])
                pages.append(_told(input.images[place], page, descriptions[place]))
            bench.progress(fraction=round(len(pages) / len(input.images), 4))
    return ReadPages(images=pages, described_by=by, **served(choice))


async def _described(input: ReadPagesInput, bench: Bench) -> tuple[list[str], str]:
    answer = await bench.call(describe_images, DescribeImagesInput(images=input.images, detail="high"))
    return [each.text for each in answer.images], answer.model


def _told(ref: str, page: Page, description: str) -> ReadPage:
    return ReadPage(
        image=ref,
        text=page.text,
        lines=[SeenText(text=each.text, box=each.box, confidence=each.confidence) for each in page.lines],
        tables=[ReadTable(box=each.box, rows=each.rows) for each in page.tables],
        fields=[ReadField(label=each.label, value=each.value, box=each.box) for each in page.fields],
        description=description,
    )


TOOLS = (read_page,)
