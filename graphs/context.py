"""What a graph's nodes get at run time, and the ledger that holds a run to its budget."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from langchain_core.messages import AIMessage

from graphs.events import AgentEvent, Usage
from tools.bench import Bench
from tools.errors import BudgetSpent
from tools.settings import Budget


def hush(event: AgentEvent) -> None:
    """The listener of a run that nobody watches."""


class Ledger:
    """What a run has used. Every chat call is entered here; the entry that breaks the budget raises `BudgetSpent`."""

    def __init__(self, budget: Budget) -> None:
        self.budget = budget
        self.steps = 0
        self.chat_calls = 0
        self.prompt_tokens = 0
        self.completion_tokens = 0
        self._started = time.monotonic()

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._started

    @property
    def tokens(self) -> int:
        return self.prompt_tokens + self.completion_tokens

    @property
    def usage(self) -> Usage:
        return Usage(
            steps=self.steps,
            chat_calls=self.chat_calls,
            prompt_tokens=self.prompt_tokens,
            completion_tokens=self.completion_tokens,
            seconds=round(self.seconds, 3),
        )

    def admit(self, prompt_tokens: int) -> None:
        """Raise `BudgetSpent` when a call with a prompt of this size cannot be afforded any more."""
        if self.tokens + prompt_tokens > self.budget.tokens:
            raise BudgetSpent(
                f"The next chat call would pass the run's {self.budget.tokens} tokens ({self.tokens} are used).",
                remedy="Raise `budget.tokens`.",
            )

    def enter(self, prompt_tokens: int, completion_tokens: int) -> None:
        self.chat_calls += 1
        self.prompt_tokens += prompt_tokens
        self.completion_tokens += completion_tokens

    def enter_usage(self, usage: Usage) -> None:
        """Enter what another run used for this one."""
        self.enter(usage.prompt_tokens, usage.completion_tokens)
        self.chat_calls += usage.chat_calls - 1

    def enter_message(self, message: AIMessage, *, prompt_guess: int, completion_guess: int) -> None:
        """Enter a finished call by its usage metadata, or by these guesses when the server told none."""
        usage = message.usage_metadata
        if usage is None:
            self.enter(prompt_guess, completion_guess)
        else:
            self.enter(usage["input_tokens"], usage["output_tokens"])


def guess_tokens(text: str) -> int:
    """About how many tokens a text has, for servers that do not count: 4 bytes each, which is high for English."""
    return len(text.encode()) // 4 + 1


@dataclass(frozen=True)
class Context:
    """`emit` reaches the run's listeners at once. It is not LangGraph's stream writer because a token through that
    costs five times as much; what tools write there is joined into the same stream."""

    bench: Bench
    ledger: Ledger = field(default_factory=lambda: Ledger(Budget()))
    emit: Callable[[AgentEvent], None] = hush
