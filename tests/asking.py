"""Ask a question through a run, as every door does, and keep what it said and when."""

import time
from dataclasses import dataclass, field

from graphs.catalog import Ask
from graphs.events import Answer, Evidence, RunFinished, Step, Usage
from graphs.runs import Runs


@dataclass
class Asked:
    """Times are seconds after sending."""

    answer: Answer | None = None
    first_step: float = 0.0
    evidence: float = 0.0
    seconds: float = 0.0
    usage: Usage = field(default_factory=Usage)
    status: str = ""


async def ask(runs: Runs, question: str, knowledge_base: str) -> Asked:
    """One question in a thread of its own."""
    asked, started = Asked(), time.perf_counter()
    run = await runs.start("temporal", Ask(question=question, knowledge_bases=[knowledge_base]))
    async for _, event in runs.stream(run):
        now = time.perf_counter() - started
        if isinstance(event, Step) and not asked.first_step:
            asked.first_step = now
        elif isinstance(event, Evidence) and not asked.evidence:
            asked.evidence = now
        elif isinstance(event, Answer):
            asked.answer = event
        elif isinstance(event, RunFinished):
            asked.seconds, asked.usage, asked.status = now, event.usage, event.status
    return asked
