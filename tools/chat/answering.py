"""One chat request to a leased engine, streamed, whatever protocol the engine speaks."""

import asyncio
import re
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import AsyncExitStack, aclosing, contextmanager
from importlib import import_module
from typing import Any, cast

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessageChunk, BaseMessage, convert_to_openai_messages
from langchain_core.messages.ai import UsageMetadata

from tools.capability import Lease
from tools.catalog import Row
from tools.chat import Chat
from tools.errors import Busy, EngineFailed, InvalidInput, SutradharError, TooLarge

_SILENT_SECONDS = 300.0

_SAMPLING = ("temperature", "top_p", "top_k", "seed")
"""Fields that a row with `sampling = false` refuses."""


async def prepare(row: Row) -> None:
    """Import the client that this row needs: seconds of reading modules, the first time, so not on the event loop."""
    if row.isolation in {"server", "remote"}:
        client = "langchain_anthropic" if row.options.get("provider") == "anthropic" else "langchain_openai"
        await asyncio.to_thread(import_module, client)


async def answers(
    lease: Lease[Chat], messages: list[BaseMessage], options: dict[str, Any]
) -> AsyncGenerator[AIMessageChunk]:
    """Pieces of the answer as they come; the last ones carry the usage.

    Raises `TooLarge` when the prompt exceeds the context, `Busy`, `InvalidInput` or `EngineFailed`.
    """
    async with AsyncExitStack() as stack:
        if lease.row.isolation in {"server", "remote"}:
            pieces = await _served(lease, messages, options, stack)
        else:
            pieces = _called(lease, messages, options)
        # closed at once when the reader leaves, so that nothing is written for nobody
        pieces = await stack.enter_async_context(aclosing(cast("Any", pieces)))
        with _translated(lease.row):
            async for piece in pieces:
                yield piece


async def _called(
    lease: Lease[Chat], messages: list[BaseMessage], options: dict[str, Any]
) -> AsyncIterator[AIMessageChunk]:
    sent = convert_to_openai_messages(messages)
    async with aclosing(cast("Any", lease.stream(Chat.reply, sent, options))) as pieces:
        async for piece in pieces:
            total = piece.prompt_tokens + piece.completion_tokens
            usage = UsageMetadata(
                input_tokens=piece.prompt_tokens, output_tokens=piece.completion_tokens, total_tokens=total
            )
            yield AIMessageChunk(content=piece.text, usage_metadata=usage if total else None)


async def _served(
    lease: Lease[Chat], messages: list[BaseMessage], options: dict[str, Any], stack: AsyncExitStack
) -> AsyncIterator[AIMessageChunk]:
    options = dict(options)
    offered = {name: options.pop(name) for name in ("tools", "tool_choice", "parallel_tool_calls") if name in options}
    await prepare(lease.row)
    if lease.row.options.get("provider") == "anthropic":
        model = _anthropic(lease, options)
        rest = {"response_format": options["response_format"]} if "response_format" in options else {}
    else:
        model = await _openai(lease, options, stack)
        rest = {}
    served = model if not offered else model.bind_tools(**offered)
    # our own model reports to the callbacks of the run; the one inside it must not report again
    return cast("AsyncIterator[AIMessageChunk]", served.astream(messages, config={"callbacks": []}, **rest))


async def _openai(lease: Lease[Chat], options: dict[str, Any], stack: AsyncExitStack) -> BaseChatModel:
    from langchain_openai import ChatOpenAI
    from openai import DefaultAsyncHttpxClient, DefaultHttpxClient

    endpoint, clients = lease.endpoint, {}
    if lease.row.isolation == "server":
        # loopback without TLS: no proxy from the environment, and no certificates to read for each call
        client = await stack.enter_async_context(DefaultAsyncHttpxClient(trust_env=False, verify=False))
        clients = {
            "http_async_client": client,
            "http_client": stack.enter_context(DefaultHttpxClient(trust_env=False, verify=False)),
        }
    if not lease.row.options.get("sampling", True):
        options = {name: value for name, value in options.items() if name not in _SAMPLING}
    responses = bool(lease.row.options.get("responses"))
    if responses and "response_format" in options:
        options["text"] = {"format": _flat(options.pop("response_format"))}
    known = {name: options.pop(name) for name in ("temperature", "max_tokens", "stop", "seed") if name in options}
    extra: dict[str, Any] = {
        # OpenAI's newest models call tools only through its responses API, which would keep what was asked
        "use_responses_api": responses,
        **({"store": False} if responses else {}),
        "model": endpoint.model,
        "api_key": endpoint.key,
        "base_url": endpoint.url or None,
        # all else goes into the body as it is: the library treats a `response_format` as its own and would raise
        # on an answer that is cut off, where we want the text
        "extra_body": options or None,
        "stream_usage": True,
        "timeout": _SILENT_SECONDS,
        "stream_chunk_timeout": _SILENT_SECONDS,
        "max_retries": 0 if lease.row.isolation == "server" else 2,
    }
    return ChatOpenAI(**known, **extra, **clients)


def _flat(form: dict[str, Any]) -> dict[str, Any]:
    """A `response_format` of chat completions as the responses API takes it."""
    return {"type": form["type"], **form.get("json_schema", {})}


def _anthropic(lease: Lease[Chat], options: dict[str, Any]) -> BaseChatModel:
    from langchain_anthropic import ChatAnthropic

    taken = ("temperature", "max_tokens", "stop") if lease.row.options.get("sampling", True) else ("max_tokens", "stop")
    known = {name: options[name] for name in taken if name in options}
    address = {"base_url": lease.endpoint.url} if lease.endpoint.url else {}
    extra: dict[str, Any] = {"model": lease.endpoint.model, "api_key": lease.endpoint.key, "timeout": _SILENT_SECONDS}
    return ChatAnthropic(**known, **extra, **address)


@contextmanager
def _translated(row: Row) -> Iterator[None]:
    """The client libraries' errors as ours, told by their package so that no library is imported for it."""
    try:
        yield
    except Exception as error:
        packages = {kind.__module__.partition(".")[0] for kind in type(error).__mro__}
        # a stream that breaks off is told by the HTTP library itself
        if packages & {"openai", "anthropic", "httpx", "httpx2", "httpcore", "httpcore2"} or isinstance(
            error, TimeoutError
        ):
            raise _meaning(row, error) from error
        raise


def _meaning(row: Row, error: Exception) -> SutradharError:
    status, text = getattr(error, "status_code", None), str(error)[:500]
    if status in {429, 529}:
        return Busy(f"{row.title} takes no more requests now: {text}", retry_after=_retry_after(error))
    if status in {401, 403}:
        return EngineFailed(f"{row.title} refused the key: {text}", remedy="Check its entry in SUTRADHAR_API_KEYS.")
    if status == 400 and "context" in text.lower():
        return TooLarge(f"The prompt is longer than {row.title} can read: {text}", remedy="Ask with less material.")
    if status is not None and 400 <= status < 500:
        return InvalidInput(f"{row.title} refused the request: {text}")
    return EngineFailed(f"{row.title} failed: {text or type(error).__name__}", remedy="Try again.")


def _retry_after(error: Exception) -> float:
    told = getattr(getattr(error, "response", None), "headers", {}).get("retry-after", "")
    return min(float(told), 3_600.0) if re.fullmatch(r"\d+(\.\d+)?", told) else 10.0


def is_unreachable(error: EngineFailed) -> bool:
    """Whether nobody was there to ask, as opposed to a request that failed or took too long."""
    kinds = [kind.__name__ for kind in type(error.__cause__).__mro__]
    return "APIConnectionError" in kinds and "APITimeoutError" not in kinds
