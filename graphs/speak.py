"""One call of a chat model from a node: streamed, counted, bounded, cleaned; whatever the model does, it ends."""

import asyncio
import re
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from typing import Any, cast

from langchain_core.messages import AIMessageChunk, BaseMessage

from graphs.context import Context, guess_tokens
from graphs.events import Token
from tools.chat import Role
from tools.chat.roles import chat_model
from tools.errors import EngineFailed, SutradharError

IDLE_SECONDS = 120.0
"""Longest wait for the next piece of a text; two cores read a long prompt for most of a minute."""

# a link or an image in an answer can carry what was read here to another host when the answer is shown
_LEAVES = re.compile(r"\]\(|\]:|//|www\.|<[a-z/!]|javascript:|data:", re.IGNORECASE)


def harmless(word: str, quotable: str) -> bool:
    """Whether a word may stand in an answer; a bare address may when the evidence has the same one."""
    if not _LEAVES.search(word):
        return True
    bare = word.strip(".,;:()«»\"'")
    return not re.search(r"\]\(|\]:|<", word) and bare in quotable.split()


class Cleaner:
    """Cleans a text that comes in pieces: no thoughts in tags, no links, only whole words."""

    def __init__(self, quotable: str = "") -> None:
        self._quotable = quotable
        self._rest = ""
        self._thinking = False

    def feed(self, piece: str) -> str:
        """What can be shown after this piece."""
        self._rest += piece
        shown = ""
        while match := re.search(r"\s", self._rest):
            word, self._rest = self._rest[: match.start()], self._rest[match.end() :]
            shown += self._word(word, match.group())
        return shown

    def end(self) -> str:
        """What can be shown of the last word."""
        word, self._rest = self._rest, ""
        return self._word(word, "")

    def _word(self, word: str, space: str) -> str:
        if "</think>" in word:
            self._thinking, word = False, word.partition("</think>")[2]
        if "<think>" in word:
            word, _, _ = word.partition("<think>")
            self._thinking = True
            return word
        if self._thinking or not harmless(word, self._quotable):
            return ""
        return word + space


async def speak(
    context: Context,
    role: Role,
    messages: Sequence[BaseMessage],
    *,
    most_tokens: int,
    quotable: str = "",
    aloud: bool = False,
) -> str:
    """The model's cleaned answer of about `most_tokens` tokens at most; with `aloud` it is streamed as it comes.

    Raises `EngineFailed` when the model fails before it said anything, `BudgetSpent` when the call cannot be afforded.
    """
    prompt = guess_tokens("\n".join(message.text for message in messages))
    context.ledger.admit(prompt)
    cleaner, said, whole = Cleaner(quotable), list[str](), AIMessageChunk(content="")
    try:
        model = chat_model(context.bench, role)
        async with aclosing(cast("Any", model.astream(list(messages), max_tokens=most_tokens))) as stream:
            async for chunk in _bounded(stream, most_tokens):
                whole = AIMessageChunk(content="", usage_metadata=chunk.usage_metadata or whole.usage_metadata)
                _say(context, cleaner.feed(chunk.text), said, aloud)
    except SutradharError:
        if not said:
            raise
    except Exception as error:
        if not said:
            raise EngineFailed(f"The chat model failed: {type(error).__name__}.", remedy="Ask again.") from error
    finally:
        _say(context, cleaner.end(), said, aloud)
        context.ledger.enter_message(whole, prompt_guess=prompt, completion_guess=guess_tokens("".join(said)))
    return "".join(said).strip()


def _say(context: Context, text: str, said: list[str], aloud: bool) -> None:
    if text:
        said.append(text)
        if aloud:
            context.emit(Token(text=text))


async def _bounded(stream: AsyncIterator[AIMessageChunk], most_tokens: int) -> AsyncIterator[AIMessageChunk]:
    """The stream's pieces until it ends, falls silent, or has said more than was asked for."""
    length = 0
    while length < most_tokens * 8:
        try:
            async with asyncio.timeout(IDLE_SECONDS):
                chunk = await anext(stream)
        except StopAsyncIteration:
            return
        except TimeoutError as error:
            raise EngineFailed(f"The chat model said nothing for {IDLE_SECONDS:g} s.", remedy="Ask again.") from error
        length += max(len(chunk.text), 1)
        yield chunk
