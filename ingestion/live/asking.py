"""Conditions that only a model that sees can judge: it is asked about the newest frame, again and again."""

import asyncio
from contextlib import suppress
from functools import cache
from importlib.resources import files

from ingestion.live.alerts import Trigger
from ingestion.live.conditions import Asked
from ingestion.live.lookout import Lookout
from tools.bench import Bench
from tools.catalog import Choice
from tools.vision import Question
from tools.vision.asking import seers

_EVERY = 2.0
"""Seconds between two rounds at least."""


async def keep_asking(lookout: Lookout, choice: Choice, bench: Bench) -> None:
    """Ask each condition about the newest frame, until it ends; a frame is asked about once."""
    triggers = [each for each in lookout.triggers if isinstance(each.condition.test, Asked)]
    last = -1.0
    while not lookout.ended.is_set():
        shown = lookout.shown
        if shown is not None and shown[0] > last:
            last, image = shown
            questions = [Question(_wording(each), [image], most_tokens=5) for each in triggers]
            answers = await seers(bench).ask(bench, choice, questions, lambda number, piece: None)
            for trigger, answer in zip(triggers, answers, strict=True):
                holds = answer.strip().lower().startswith("yes")
                await lookout.judged(trigger, last, holds, f"{choice.row.title} says: {answer[:80]}")
        with suppress(TimeoutError):
            await asyncio.wait_for(lookout.ended.wait(), _EVERY)


def _wording(trigger: Trigger) -> str:
    test = trigger.condition.test
    return _prompt().format(condition=test.question if isinstance(test, Asked) else "")


@cache
def _prompt() -> str:
    return files("ingestion.live").joinpath("prompts/condition.md").read_text(encoding="utf-8").strip()
