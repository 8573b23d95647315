"""One call of a chat model from a node: streamed, counted, bounded, cleaned; whatever the model does, it ends."""

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import aclosing
from typing import Any, TypeVar, cast

from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage
from pydantic import BaseModel

from graphs.context import Context, guess_tokens
from graphs.events import Token
from tools.chat import Role
from tools.chat.roles import chat_model
from tools.chat.structured import structured
from tools.errors import EngineFailed, SutradharError

T = TypeVar("T", bound=BaseModel)

IDLE_SECONDS = 120.0
"""Longest wait for the next piece of a text; two cores read a long prompt for most of a minute."""

# a link or an image in an answer can carry what was read here to another host when the answer is shown
_LEAVES = re.compile(r"\]\(|\]:|//|www\.|<[a-z/!]|javascript:|data:", re.IGNORECASE)

# a text without sentences is looked at after so many pieces
_LOOK = 64
_PAUSE = re.compile(r"[.!?।॥؟…\n]")


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


class Verbatim:
    """Passes a text on as it is, without thoughts in tags at its beginning."""

    def __init__(self) -> None:
        self._text = ""

    def feed(self, piece: str) -> str:
        """Nothing yet: only the whole text shows whether a thought has ended."""
        self._text += piece
        return ""

    def end(self) -> str:
        return re.sub(r"\A\s*<think(?:ing)?>.*?(?:</think(?:ing)?>|\Z)", "", self._text, flags=re.DOTALL)


async def speak(
    context: Context,
    role: Role,
    messages: Sequence[BaseMessage],
    *,
    most_tokens: int,
    quotable: str = "",
    aloud: bool = False,
    enough: Callable[[str], bool] | None = None,
    **options: Any,
) -> str:
    """The model's cleaned answer of about `most_tokens` tokens at most; with `aloud` it is streamed as it comes.

    `enough` is asked now and then, and after each sentence and line, whether what was said so far will do; it stops the
    model.
    `options` are request fields such as `temperature`.

    Raises `EngineFailed` when the model fails before it said anything, `BudgetSpent` when the call cannot be afforded.
    """
    said = await _said(context, role, messages, most_tokens, Cleaner(quotable), aloud=aloud, enough=enough, **options)
    return said.strip()


async def write(
    context: Context, role: Role, messages: Sequence[BaseMessage], *, most_tokens: int, **options: Any
) -> str:
    """The model's answer as it is, but for thoughts: for code, which may hold links and must not lose its spaces.

    It is never streamed. What is shown of it stands in a fence. `options` are request fields such as `temperature`.
    """
    return await _said(context, role, messages, most_tokens, Verbatim(), **options)


async def compose(
    context: Context, role: Role, messages: Sequence[BaseMessage], schema: type[T], *, most_tokens: int
) -> T:
    """The model's answer as `schema`, repaired at most once; raises `EngineFailed` when it does not come to fit.

    Both tries must be affordable before the first, and each is entered.
    """
    prompt = guess_tokens("\n".join(message.text for message in messages))
    context.ledger.admit(2 * prompt)

    def enter(answer: AIMessage) -> None:
        guess = guess_tokens(answer.text)
        context.ledger.enter_message(answer, prompt_guess=prompt, completion_guess=guess)

    try:
        async with asyncio.timeout(2 * IDLE_SECONDS):
            return await structured(
                chat_model(context.bench, role), messages, schema, heard=enter, max_tokens=most_tokens
            )
    except SutradharError:
        raise
    except Exception as error:
        raise EngineFailed(f"The chat model failed: {type(error).__name__}.", remedy="Ask again.") from error


async def _said(
    context: Context,
    role: Role,
    messages: Sequence[BaseMessage],
    most_tokens: int,
    cleaner: "Cleaner | Verbatim",
    *,
    aloud: bool = False,
    enough: Callable[[str], bool] | None = None,
    **options: Any,
) -> str:
    prompt = guess_tokens("\n".join(message.text for message in messages))
    context.ledger.admit(prompt)
    said, whole, pieces = list[str](), AIMessageChunk(content=""), 0
    try:
        model = chat_model(context.bench, role, **options)
        async with aclosing(cast("Any", model.astream(list(messages), max_tokens=most_tokens))) as stream:
            async for chunk in _bounded(stream, most_tokens):
                whole = AIMessageChunk(content="", usage_metadata=chunk.usage_metadata or whole.usage_metadata)
                _say(context, cleaner.feed(chunk.text), said, aloud)
                pieces += 1
                pause = pieces % _LOOK == 0 or _PAUSE.search(chunk.text)
                if enough is not None and pause and enough("".join(said)):
                    break
    except SutradharError:
        if not said:
            raise
    except Exception as error:
        if not said:
            raise EngineFailed(f"The chat model failed: {type(error).__name__}.", remedy="Ask again.") from error
    finally:
        _say(context, cleaner.end(), said, aloud)
        context.ledger.enter_message(whole, prompt_guess=prompt, completion_guess=guess_tokens("".join(said)))
    return "".join(said)


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
