"""The steps of the video agent. A rule makes every statement; a model may shorten speech, and is held to it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from typing import Any, Literal, Protocol

from langgraph.runtime import Runtime
from langgraph.types import Command

from graphs.context import Context
from graphs.events import Answer, Evidence
from graphs.video import answering, joining, telling
from graphs.video.asking import task_of
from graphs.video.condensing import telling as most_telling
from graphs.video.medium import find_medium
from graphs.video.progress import Progressing
from graphs.video.seeing import keep_timeline, seen_by
from graphs.video.state import Chapter, State, Statement, Watched
from graphs.video.translating import check_language
from ingestion.stages import OnProgress, unheard
from ingestion.timeline import Timeline
from tools.bench import Bench
from tools.chat.roles import chat_model
from tools.errors import BudgetSpent, EngineFailed, InvalidInput, NotInstalled
from tools.media.store import Media

RESERVE = 0.25
"""Share of a run's seconds that is left for writing when watching takes too long."""
_LEAST_SECONDS = 40.0
"""Seconds that must be left for one more call of a model."""

CALLS = {"short": 0, "medium": 4, "long": 10}
"""Chapters that a model condenses for a summary of this length; the whole takes one call more."""
_SENTENCES = {"short": 2, "low": 2, "medium": 3, "high": 4, "long": 4}


class Watch(Protocol):
    """Watches a medium: yields the timeline after each pass, the last with all that will be known."""

    def __call__(
        self,
        media: Media,
        bench: Bench,
        *,
        name: str | None = None,
        budget: float | None = None,
        progress: OnProgress = unheard,
    ) -> AsyncIterator[Timeline]: ...


async def plan(state: State, runtime: Runtime[Context]) -> Command[Literal["watch", "__end__"]]:
    """Find the video that is meant and what is to be done with it; refuse before anything is watched."""
    bench, options = runtime.context.bench, state["options"]
    task = options.task or task_of(state["question"])
    await check_language(bench, options.language)
    try:
        media = await find_medium(bench, state["question"], state["sources"], state["knowledge_bases"])
    except InvalidInput as error:
        # nobody can say it in a chat but the one who asks: it is an answer, not a failure
        return Command(update={"answer": Answer(text=str(error), answered=False, citations=[])}, goto="__end__")
    return Command(update={"task": task, "media": media.sha256, "name": media.name}, goto="watch")


def watcher_of(watch: Watch) -> Callable[..., Awaitable[Any]]:
    """The node that watches by `watch`; what it saw lies in the media store, pass by pass, and outlives a kill."""

    async def run(state: State, runtime: Runtime[Context]) -> Command[Literal["observe"]]:
        context, options = runtime.context, state["options"]
        media = (await context.bench.media.get(state["media"])).model_copy(update={"name": state["name"]})
        progress = Progressing(context, media.sha256)
        latest: Timeline | None = None
        unfinished, left = "", context.ledger.budget.seconds * (1 - RESERVE) - context.ledger.seconds
        try:
            async with asyncio.timeout(max(left, 1.0)):
                passes: Any = watch(
                    media, context.bench, name=media.name, budget=options.budget, progress=progress.heard
                )
                async with aclosing(passes) as timelines:
                    async for latest in timelines:
                        context.emit(Evidence(moments=answering.glimpses(latest)))
        except TimeoutError:
            unfinished = f"The run's {context.ledger.budget.seconds:g} s ended the watching early."
        if latest is None:
            raise BudgetSpent(unfinished, remedy="Raise `budget.seconds`.") if unfinished else _unseen()
        ref = await keep_timeline(context.bench, latest)
        return Command(
            update={"watched": Watched(media=media.sha256, name=media.name, timeline=ref, unfinished=unfinished)},
            goto="observe",
        )

    return run


def _unseen() -> EngineFailed:
    return EngineFailed("The watching ended without a timeline.", remedy="Ask again.")


async def observe(state: State, runtime: Runtime[Context]) -> Command[Literal["condense", "tell", "compose"]]:
    """Make statements of what was watched, and see where a model would be of use."""
    seen = await seen_by(runtime.context.bench, state["watched"].timeline, state["options"])
    if state["task"] == "generate":
        return Command(update={"chapters": _kept(seen.chapters)}, goto="compose")
    left = _to_condense(state, seen.chapters, _least(runtime.context.bench))
    return Command(
        update={"chapters": _kept(seen.chapters), "left": left, "condensed": {}}, goto="condense" if left else "tell"
    )


def _kept(chapters: list[Chapter]) -> list[Chapter]:
    """The chapters as the state keeps them: small, for every checkpoint holds them."""
    return [each.model_copy(update={"statements": most_telling(each.statements, 16)}) for each in chapters]


def _least(bench: Bench) -> int | None:
    """The words of speech from which the chat model is asked; None where there is none, which a video does not need."""
    try:
        return joining.LONG_ON_CPU if chat_model(bench, "writing").row.device == "cpu" else joining.LONG
    except NotInstalled:
        return None


def _to_condense(state: State, chapters: list[Chapter], least: int | None) -> list[int]:
    """The numbers of the chapters whose speech is long, the longest first where not all can be; then 0, the whole."""
    every = [one for each in chapters for one in each.statements]
    if state["task"] == "analyze" and state["options"].analysis_type not in ("comprehensive", "narrative"):
        return []
    if least is None or not joining.worth_shortening(every, least):
        return []
    long = [each for each in chapters if joining.worth_shortening(each.statements, joining.LONG)]
    calls = CALLS[state["options"].summary_length] if state["task"] == "summarize" and len(chapters) > 1 else 0
    chosen = sorted(long, key=lambda each: -sum(len(one.text) for one in each.statements))[:calls]
    return [*sorted(each.number for each in chosen), 0]


async def condense(state: State, runtime: Runtime[Context]) -> Command[Literal["condense", "tell"]]:
    """Have one chapter shortened, the whole last; what does not stand on a statement is not taken."""
    context, options = runtime.context, state["options"]
    if context.ledger.budget.seconds - context.ledger.seconds < _LEAST_SECONDS:
        return Command(goto="tell")
    number, left = state["left"][0], state["left"][1:]
    size = options.summary_length if state["task"] == "summarize" else options.detail_level
    told = await joining.shortened(context, _material(state, number), _SENTENCES[size] if number == 0 else 2)
    condensed = {**state["condensed"], number: told} if told else state["condensed"]
    return Command(update={"condensed": condensed, "left": left}, goto="condense" if left else "tell")


def _material(state: State, number: int) -> list[Statement]:
    """What is to be shortened: a chapter's speech, or of the whole what its chapters came to."""
    chapters, focus = state["chapters"], state["options"].focus_areas
    if number:
        chosen = next(each for each in chapters if each.number == number)
        return _speech(chosen.statements)
    every = [one for each in chapters for one in (state["condensed"].get(each.number) or _speech(each.statements))]
    return most_telling(every, 12, focus)


def _speech(statements: list[Statement]) -> list[Statement]:
    return [each for each in statements if each.about == "speech"]


async def tell(state: State, runtime: Runtime[Context]) -> State:
    """Put the result together, in the language that was asked for, with its files."""
    bench, options = runtime.context.bench, state["options"]
    seen = await seen_by(bench, state["watched"].timeline, options)
    unfinished = " ".join(filter(None, [state["watched"].unfinished, answering.uncondensed(state)]))
    result = await asyncio.to_thread(telling.result_of, seen, options, state["task"], state["condensed"], unfinished)
    return {"answer": await answering.answer_of(bench, seen, options, result)}
