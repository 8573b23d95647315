"""The tools that say what is on images and in clips, by a vision-language model."""

import asyncio
from collections.abc import Callable
from contextlib import aclosing
from functools import cache
from importlib.resources import files
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from tools.bench import Bench
from tools.media.images import open_images
from tools.served import MediaRef, ModelInput, ModelOutput, served
from tools.toolbox import tool
from tools.vision import Image, Question
from tools.vision.asking import choose_seer, fit_frames, seers

Detail = Literal["low", "medium", "high"]
Wording = Annotated[str, Field(min_length=1, max_length=4_000)]
Tokens = Annotated[int, Field(ge=1, le=4_096)]

_TOKENS: dict[Detail, int] = {"low": 64, "medium": 192, "high": 512}
_ASKED_TOKENS = 512


class DescribeImagesInput(ModelInput):
    images: Annotated[list[MediaRef], Field(min_length=1, max_length=64)]
    detail: Detail = "medium"
    most_tokens: Tokens | None = Field(None, description="Longest description; by default the detail's.")


class AskImagesInput(ModelInput):
    question: Wording
    images: Annotated[list[MediaRef], Field(min_length=1, max_length=16)] = Field(
        description="What the question is about, all of them together."
    )
    most_tokens: Tokens = _ASKED_TOKENS


class DescribeClipInput(ModelInput):
    """Frames of one clip and the second of each, rising."""

    images: Annotated[list[MediaRef], Field(min_length=1, max_length=512)]
    times: Annotated[list[Annotated[float, Field(ge=0, le=604_800)]], Field(min_length=1, max_length=512)]
    question: Wording | None = Field(None, description="What to answer about it, instead of describing it.")
    detail: Detail = "medium"
    most_tokens: Tokens | None = None

    @model_validator(mode="after")
    def _each_frame_has_its_time(self) -> Self:
        if len(self.times) != len(self.images):
            raise ValueError(f"{len(self.images)} images have {len(self.times)} times")
        if any(later <= earlier for earlier, later in zip(self.times, self.times[1:], strict=False)):
            raise ValueError("the times must rise")
        return self


class DescribedImage(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    image: str
    text: str


class DescribedImages(ModelOutput):
    images: list[DescribedImage] = Field(description="In the order in which they were asked for.")


class Answered(ModelOutput):
    text: str


class DescribedClip(ModelOutput):
    text: str
    start: float
    end: float
    times: list[float] = Field(description="Seconds of the frames that the model was shown.")


@tool(title="Describe images")
async def describe_images(input: DescribeImagesInput, bench: Bench) -> DescribedImages:
    """Describe what is on each of some images, such as photographs, diagrams or video frames."""
    choice = await asyncio.to_thread(choose_seer, bench, input.model)
    words, most = prompt(f"image_{input.detail}"), input.most_tokens or _TOKENS[input.detail]
    described, team = list[DescribedImage](), seers(bench)
    async with aclosing(open_images(bench.media, input.images, bench.settings.limits)) as batches:
        async for images in batches:
            begun = len(described)
            questions = [Question(words, [image], most_tokens=most) for image in images]
            answers = await team.ask(bench, choice, questions, _telling(bench, begun))
            for ref, text in zip(input.images[begun:], answers, strict=False):
                described.append(DescribedImage(image=ref, text=text))
            bench.progress(fraction=round(len(described) / len(input.images), 4))
    return DescribedImages(images=described, **served(choice))


@tool(title="Answer about images")
async def ask_images(input: AskImagesInput, bench: Bench) -> Answered:
    """Answer a question about one image or about several together."""
    choice = await asyncio.to_thread(choose_seer, bench, input.model)
    words = prompt("image_question").format(question=input.question)
    question = Question(words, await _opened(bench, input.images), most_tokens=input.most_tokens)
    (text,) = await seers(bench).ask(bench, choice, [question], _telling(bench))
    return Answered(text=text, **served(choice))


@tool(title="Describe a clip")
async def describe_clip(input: DescribeClipInput, bench: Bench) -> DescribedClip:
    """Say what happens in a video clip, or answer a question about it, from frames and their times."""
    choice = await asyncio.to_thread(choose_seer, bench, input.model)
    shown = fit_frames(choice.row, len(input.images))
    times = [input.times[place] for place in shown]
    when = f", taken at {', '.join(f'{time:.1f}' for time in times)} seconds"
    if input.question is None:
        words, most = prompt(f"clip_{input.detail}").format(when=when), _TOKENS[input.detail]
    else:
        words, most = prompt("clip_question").format(when=when, question=input.question), _ASKED_TOKENS
    images = await _opened(bench, [input.images[place] for place in shown])
    question = Question(words, images, times, input.most_tokens or most)
    (text,) = await seers(bench).ask(bench, choice, [question], _telling(bench))
    return DescribedClip(text=text, start=input.times[0], end=input.times[-1], times=times, **served(choice))


@cache
def prompt(name: str) -> str:
    return files("tools.vision").joinpath(f"prompts/{name}.md").read_text(encoding="utf-8").strip()


async def _opened(bench: Bench, refs: list[str]) -> list[Image]:
    async with aclosing(open_images(bench.media, refs, bench.settings.limits)) as batches:
        return [image async for images in batches for image in images]


def _telling(bench: Bench, first: int = 0) -> Callable[[int, str], None]:
    """Reports pieces of the answers as progress."""
    return lambda number, piece: bench.progress(data={"answer": first + number, "piece": piece})


TOOLS = (describe_images, ask_images, describe_clip)
