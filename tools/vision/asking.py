"""Questions about images on their way to whoever can see: who that is, and many questions in one call.

Every bench holds a `Seers`, so what reads images and speaks to servers is imported when somebody asks.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace

from tools.batching import Coalescer
from tools.bench import Bench
from tools.capability import Lease, Part
from tools.catalog import Choice, Row
from tools.errors import InvalidInput, SutradharError
from tools.installed import first_installed, not_installed
from tools.vision import VISION_LANGUAGE, Question, VisionLanguage

SMALLEST = "llava-onevision-0.5b"
"""The row that is proposed where none is installed."""
_BATCH = 4
_AT_ONCE = 8
_SIDE = 1_280
_WINDOW = 0.03
"""Seconds for which a question waits for others; little beside the seconds that an answer takes."""

Hear = Callable[[str], None]
"""Told each new piece of an answer."""


@dataclass(frozen=True)
class _Asked:
    lease: Lease[VisionLanguage]
    question: Question
    hear: Hear
    given_up: asyncio.Event


@dataclass
class Seers:
    """The models that see: questions to one of them that arrive together go through it in one call. One per bench."""

    lines: dict[str, Coalescer[_Asked, str | SutradharError]] = field(default_factory=dict)
    turns: dict[str, asyncio.Semaphore] = field(default_factory=dict)

    async def ask(
        self, bench: Bench, choice: Choice, questions: Sequence[Question], hear: Callable[[int, str], None]
    ) -> list[str]:
        """The answers in order; `hear` is told the number of a question and the next piece of its answer.

        Raises `InvalidInput` for more images than the model takes in one question.
        """
        row = choice.row
        fitted = [fit(row, question) for question in questions]
        async with bench.models.use(row.id, bench.emit) as lease:
            given_up = asyncio.Event()
            asked = [
                _Asked(lease, question, lambda piece, number=number: hear(number, piece), given_up)  # type: ignore[misc]
                for number, question in enumerate(fitted)
            ]
            if row.isolation in {"server", "remote"}:
                return await self._serve_all(asked)
            most = int(row.options.get("batch", _BATCH))
            line = self.lines.setdefault(row.id, Coalescer(_together, window=_WINDOW, hold=_WINDOW, most=most))
            try:
                answers = await line(asked)
            finally:
                given_up.set()
        for answer in answers:
            if isinstance(answer, SutradharError):
                raise answer
        return [answer for answer in answers if isinstance(answer, str)]

    async def _serve_all(self, asked: list[_Asked]) -> list[str]:
        tasks = [asyncio.create_task(self._serve(each)) for each in asked]
        try:
            return list(await asyncio.gather(*tasks))
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)

    async def _serve(self, asked: _Asked) -> str:
        from tools.vision.served import answer_served

        # the server batches by itself what it is sent at once
        turn = self.turns.setdefault(asked.lease.row.id, asyncio.Semaphore(_AT_ONCE))
        async with turn, aclosing(answer_served(asked.lease, asked.question)) as pieces:
            return await _heard(pieces, asked.hear)


SEERS: Part[Seers] = Part("seers")


async def _together(asked: list[_Asked]) -> Sequence[str | SutradharError]:
    """One call of the engine; where a question cannot be taken, each is asked alone, so that only that one fails."""
    try:
        return await _stream(asked)
    except InvalidInput as error:
        if len(asked) == 1:
            return [error]
    return [answer for each in asked for answer in await _together([each])]


async def _stream(asked: list[_Asked]) -> list[str]:
    texts = [""] * len(asked)
    stream = asked[0].lease.stream(VisionLanguage.answer, [each.question for each in asked])
    async with aclosing(stream) as pieces:  # type: ignore[type-var]
        async for step in pieces:
            if all(each.given_up.is_set() for each in asked):
                # leaving stops the engine, too
                break
            for number, piece in enumerate(step):
                if piece:
                    texts[number] += piece
                    asked[number].hear(piece)
    return [text.strip() for text in texts]


async def _heard(pieces: AsyncGenerator[str, None], hear: Hear) -> str:
    text = ""
    async for piece in pieces:
        text += piece
        hear(piece)
    return text.strip()


def fit(row: Row, question: Question) -> Question:
    """The question as the row can take it; raises `InvalidInput` for too many images.

    Options of a row: `side`, the longest side in pixels (1280); `images` in one question (16); `frames` of a clip (16);
    `grid`: a clip is shown as one image of its frames, each with its time; `batch`: questions in one call (4).
    """
    from tools.vision.pictures import grid, reduced

    side, most = int(row.options.get("side", _SIDE)), int(row.options.get("images", 16))
    if question.times is not None:
        if row.options.get("grid"):
            return replace(question, images=[grid(question.images, question.times or [], side)], times=None)
    elif len(question.images) > most:
        raise InvalidInput(
            f"{row.title} sees {most} {'image' if most == 1 else 'images'} at a time, not {len(question.images)}.",
            remedy="Ask about fewer, or name another `model`.",
            param="images",
        )
    return replace(question, images=[reduced(image, side) for image in question.images])


def fit_frames(row: Row, count: int) -> list[int]:
    """Which of so many frames of a clip the row is shown, evenly from the first to the last."""
    from tools.vision.pictures import spread

    return spread(count, int(row.options.get("frames", 16)))


def choose_seer(bench: Bench, model: str | None = None) -> Choice:
    """The row that sees: the named one, else the first of the profile that is installed and fits, else another such,
    else the chat model of the role `vision`.

    Blocking: it looks at the disk. Raises `NotInstalled` with the command that installs one.
    """
    profile = bench.catalog.profile(bench.settings.profile)
    role = bench.settings.roles.get("vision") or profile.roles.get("vision")
    chat = bench.catalog.resolve(role) if role is not None else None
    if model is not None:
        named = bench.catalog.resolve(model)
        return named if chat and named.row.id == chat.row.id else bench.choose(VISION_LANGUAGE, model=model)
    if (choice := first_installed(bench, VISION_LANGUAGE)) is not None:
        return choice
    if chat is not None and (chat.row.commercial or not bench.settings.commercial):
        return chat
    raise not_installed(bench, VISION_LANGUAGE, SMALLEST, "so nobody can say what is on an image")


def seers(bench: Bench) -> Seers:
    """The bench's; a bench without one gathers only the questions of one request."""
    return bench.part(SEERS) if SEERS.name in bench.parts else Seers()
