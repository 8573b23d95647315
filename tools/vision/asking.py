"""Questions about images on their way to whoever can see: who that is, and many questions in one call.

Every bench holds a `Seers`, so what reads images and speaks to servers is imported when somebody asks.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from importlib.util import find_spec

from tools.batching import Coalescer
from tools.bench import Bench
from tools.capability import Lease, Part
from tools.catalog import Choice, Row
from tools.errors import InvalidInput, NotInstalled, SutradharError
from tools.isolation.child import find
from tools.store import WeightStore
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
            asked = [
                _Asked(lease, question, lambda piece, number=number: hear(number, piece))  # type: ignore[misc]
                for number, question in enumerate(fitted)
            ]
            if row.isolation in {"server", "remote"}:
                return await self._serve_all(asked)
            most = int(row.options.get("batch", _BATCH))
            line = self.lines.setdefault(row.id, Coalescer(_together, window=_WINDOW, hold=_WINDOW, most=most))
            answers = await line(asked)
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
    """The row that sees: the named one, else the first of the profile that is installed and fits, else another such.

    Blocking: it looks at the disk. Raises `NotInstalled` with the command that installs one.
    """
    profile = bench.catalog.profile(bench.settings.profile)
    role = bench.settings.roles.get("vision") or profile.roles.get("vision")
    chat = bench.catalog.resolve(role) if role is not None else None
    if model is not None:
        named = bench.catalog.resolve(model)
        return named if chat and named.row.id == chat.row.id else bench.choose(VISION_LANGUAGE, model=model)
    listed = bench.candidates(VISION_LANGUAGE)
    passed = list[str]()
    for choice in [*listed, *_others(bench, {each.row.id for each in listed})]:
        if absent := _absent(bench, choice.row):
            passed.append(f"{choice.row.title} {absent}.")
        else:
            return choice.model_copy(update={"reason": " ".join([choice.reason, *passed]).strip()})
    if chat is not None and (chat.row.commercial or not bench.settings.commercial):
        return chat
    raise _nobody(bench, [each.row for each in listed])


def _others(bench: Bench, listed: set[str]) -> list[Choice]:
    """What somebody fetched is there to be used, also where the profile does not speak of it."""
    rows = (row for row in bench.catalog.models if row.capability == VISION_LANGUAGE.name and row.id not in listed)
    fetched = [row for row in rows if row.status == "ready" and row.files and _fits(bench, row)]
    return [Choice(row=row, asked=row.id) for row in fetched if not _absent(bench, row)]


def _fits(bench: Bench, row: Row) -> bool:
    devices = bench.catalog.profile(bench.settings.profile).devices | bench.settings.devices
    return row.memory <= devices.get(row.device, 0.0) and (row.commercial or not bench.settings.commercial)


def _absent(bench: Bench, row: Row) -> str:
    """What a row lacks here, as the end of a sentence; empty for one that can serve."""
    if row.isolation == "remote":
        return "" if str(row.options.get("provider", "openai")) in bench.settings.api_keys else "needs a key"
    if not _fits(bench, row):
        return f"does not fit on {row.device}"
    if row.isolation == "server":
        try:
            find(row.engine).command(row, {}, row.device, 0)
        except (NotInstalled, ImportError):
            return "needs a program that is not installed"
    elif (
        row.python is None
        and not row.requirements
        and not all(find_spec(each) for each in getattr(find(row.engine), "needs", ()))
    ):
        return "needs PyTorch and transformers, which are not installed"
    store = WeightStore(bench.settings.cache, offline=True)
    return "has not been fetched" if row.on_request and row.files and store.missing(row) else ""


def _nobody(bench: Bench, listed: list[Row]) -> NotInstalled:
    wanted = next((row for row in listed if row.files and _fits(bench, row)), None) or bench.catalog.row(SMALLEST)
    torch = "" if find_spec("torch") and find_spec("transformers") else "make gpu && "
    return NotInstalled(
        f"No vision-language model is installed, so nobody can say what is on an image "
        f"(profile {bench.settings.profile!r}).",
        remedy=f"Run `{torch}sutradhar models fetch {wanted.id}`.",
    )


def seers(bench: Bench) -> Seers:
    """The bench's; a bench without one gathers only the questions of one request."""
    return bench.part(SEERS) if SEERS.name in bench.parts else Seers()
