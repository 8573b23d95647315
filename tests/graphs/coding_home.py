"""A home for the coding agent that fits into a test: a scripted model, a library for its files, the real sandbox."""

import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from graphs.catalog import Ask
from graphs.coding.state import CodeResult
from graphs.events import AgentEvent, Answer, RunFinished, Step
from graphs.runs import Runs, open_runs
from knowledge.library import LIBRARY, open_library
from tests.graphs.conftest import ending, heard
from tools.catalog import load_catalog
from tools.chat.scripted import with_script
from tools.open import open_bench
from tools.settings import Budget, Settings


@dataclass(frozen=True)
class Coded:
    """What came of one request."""

    answer: Answer
    end: RunFinished
    events: list[AgentEvent]

    @property
    def result(self) -> CodeResult:
        return CodeResult.model_validate(self.answer.result)

    @property
    def nodes(self) -> list[str]:
        return [each.node for each in self.events if isinstance(each, Step) and each.state == "started"]


@asynccontextmanager
async def coding(settings: Settings, script: Sequence[dict[str, Any]] = ()) -> AsyncIterator[Runs]:
    """Runs with a scripted model; an empty script is a model that talks and writes no code."""
    path = Path(settings.home.parent) / "script.json"
    path.write_text(json.dumps(list(script) or [{}]), encoding="utf-8")
    catalog = with_script(load_catalog(), path)
    async with (
        open_bench(settings, catalog=catalog) as bench,
        open_library(settings.home / "library.sqlite") as library,
    ):
        ready = replace(bench, parts={**bench.parts, LIBRARY.name: library})
        async with open_runs(ready) as runs:
            yield runs


async def coded(runs: Runs, prompt: str, *, budget: Budget | None = None, seconds: float = 60, **options: Any) -> Coded:
    """Put one request to the agent and wait for its end."""
    run = await runs.start("coding", Ask(question=prompt, options=options), budget=budget)
    numbered = await heard(runs, run, seconds=seconds)
    (answer,) = [event for _, event in numbered if isinstance(event, Answer)] or [
        Answer(text="", answered=False, citations=[])
    ]
    return Coded(answer, ending(numbered), [event for _, event in numbered])


def said(code: str, language: str = "python") -> str:
    """An answer of a model that keeps to the form."""
    return f"```{language}\n{code}\n```"
