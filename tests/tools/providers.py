"""The chat APIs of OpenAI and Anthropic as local servers: their streaming formats, errors and usage, by script."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web


@dataclass
class Reply:
    """One answer: words and tool calls (name, arguments as JSON text), or a status, or a stream that breaks off."""

    text: str = ""
    calls: list[tuple[str, str]] = field(default_factory=list)
    status: int = 200
    cut: bool = False
    hang: bool = False
    headers: dict[str, str] = field(default_factory=dict)


@dataclass
class Provider:
    """Answers with its replies in order, the last one for ever; `seen` are the requests' bodies and headers."""

    replies: list[Reply]
    url: str = ""
    seen: list[tuple[dict[str, Any], dict[str, str]]] = field(default_factory=list)
    gone: int = 0

    async def openai(self, request: web.Request) -> web.StreamResponse:
        body, reply = await self._next(request)
        if reply.status != 200:
            kind = {401: "invalid_request_error", 429: "rate_limit_error"}.get(reply.status, "server_error")
            error = {"message": f"status {reply.status}", "type": kind, "param": None, "code": None}
            return web.json_response({"error": error}, status=reply.status, headers=reply.headers)
        model = body["model"]
        head = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": model}
        frames: list[dict[str, Any]] = [{"delta": {"role": "assistant", "content": ""}}]
        frames += [{"delta": {"content": word}} for word in _words(reply.text)]
        for index, (name, arguments) in enumerate(reply.calls):
            first: dict[str, Any] = {"index": index, "id": f"call_{index}", "type": "function"}
            frames.append({"delta": {"tool_calls": [{**first, "function": {"name": name, "arguments": ""}}]}})
            frames += [
                {"delta": {"tool_calls": [{"index": index, "function": {"arguments": piece}}]}}
                for piece in _pieces(arguments)
            ]
        frames.append({"delta": {}, "finish_reason": "tool_calls" if reply.calls else "stop"})
        chunks = [{**head, "choices": [{"index": 0, "finish_reason": None, **each}], "usage": None} for each in frames]
        usage = {"prompt_tokens": 11, "completion_tokens": 5, "total_tokens": 16}
        chunks.append({**head, "choices": [], "usage": usage})
        lines = [f"data: {json.dumps(each)}\n\n".encode() for each in chunks] + [b"data: [DONE]\n\n"]
        return await self._stream(request, reply, lines)

    async def responses(self, request: web.Request) -> web.StreamResponse:
        body, reply = await self._next(request)
        if reply.status != 200:
            error = {"message": f"status {reply.status}", "type": "error", "param": None, "code": None}
            return web.json_response({"error": error}, status=reply.status, headers=reply.headers)
        whole: dict[str, Any] = {
            "id": "resp_1",
            "object": "response",
            "created_at": 1,
            "model": body["model"],
            "output": [],
            "status": "in_progress",
            "parallel_tool_calls": True,
            "tool_choice": "auto",
            "tools": [],
        }
        events: list[dict[str, Any]] = [{"type": "response.created", "response": dict(whole)}]
        if reply.text:
            events += _said(reply.text)
        for index, (name, arguments) in enumerate(reply.calls, start=bool(reply.text)):
            events += _called(index, name, arguments)
        usage = {
            "input_tokens": 11,
            "input_tokens_details": {"cached_tokens": 0},
            "output_tokens": 5,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": 16,
        }
        done = [each["item"] for each in events if each["type"] == "response.output_item.done"]
        ended = {**whole, "status": "completed", "output": done, "usage": usage}
        events.append({"type": "response.completed", "response": ended})
        numbered = [{**each, "sequence_number": number} for number, each in enumerate(events)]
        lines = [f"event: {each['type']}\ndata: {json.dumps(each)}\n\n".encode() for each in numbered]
        return await self._stream(request, reply, lines)

    async def anthropic(self, request: web.Request) -> web.StreamResponse:
        body, reply = await self._next(request)
        if reply.status != 200:
            kind = {401: "authentication_error", 429: "rate_limit_error", 529: "overloaded_error"}
            error = {"type": kind.get(reply.status, "api_error"), "message": f"status {reply.status}"}
            return web.json_response({"type": "error", "error": error}, status=reply.status, headers=reply.headers)
        message = {
            "id": "msg_1",
            "type": "message",
            "role": "assistant",
            "model": body["model"],
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": {"input_tokens": 11, "output_tokens": 1},
        }
        events: list[dict[str, Any]] = [{"type": "message_start", "message": message}, {"type": "ping"}]
        blocks: list[tuple[dict[str, Any], list[dict[str, Any]]]] = []
        if reply.text:
            deltas = [{"type": "text_delta", "text": word} for word in _words(reply.text)]
            blocks.append(({"type": "text", "text": ""}, deltas))
        for index, (name, arguments) in enumerate(reply.calls):
            block = {"type": "tool_use", "id": f"toolu_{index}", "name": name, "input": {}}
            blocks.append((block, [{"type": "input_json_delta", "partial_json": each} for each in _pieces(arguments)]))
        for index, (block, deltas) in enumerate(blocks):
            events.append({"type": "content_block_start", "index": index, "content_block": block})
            events += [{"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas]
            events.append({"type": "content_block_stop", "index": index})
        ended = {"stop_reason": "tool_use" if reply.calls else "end_turn", "stop_sequence": None}
        events += [
            {"type": "message_delta", "delta": ended, "usage": {"input_tokens": 11, "output_tokens": 5}},
            {"type": "message_stop"},
        ]
        lines = [f"event: {each['type']}\ndata: {json.dumps(each)}\n\n".encode() for each in events]
        return await self._stream(request, reply, lines)

    async def _next(self, request: web.Request) -> tuple[dict[str, Any], Reply]:
        body = await request.json()
        self.seen.append((body, {name.lower(): value for name, value in request.headers.items()}))
        reply = self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]
        return body, reply

    async def _stream(self, request: web.Request, reply: Reply, lines: list[bytes]) -> web.StreamResponse:
        answer = web.StreamResponse(headers={"Content-Type": "text/event-stream", **reply.headers})
        await answer.prepare(request)
        try:
            for line in lines[: len(lines) // 2] if reply.cut or reply.hang else lines:
                await answer.write(line)
            if reply.hang:
                await asyncio.sleep(60)
        except (ConnectionError, asyncio.CancelledError):
            self.gone += 1
            raise
        if reply.cut and request.transport is not None:
            request.transport.abort()
        return answer


def _said(text: str) -> list[dict[str, Any]]:
    place = {"item_id": "msg_1", "output_index": 0, "content_index": 0}
    item = {"id": "msg_1", "type": "message", "role": "assistant", "status": "in_progress", "content": []}
    part = {"type": "output_text", "text": "", "annotations": []}
    whole = {**part, "text": f"{text} "}
    return [
        {"type": "response.output_item.added", "output_index": 0, "item": item},
        {"type": "response.content_part.added", **place, "part": part},
        *({"type": "response.output_text.delta", **place, "delta": word, "logprobs": []} for word in _words(text)),
        {"type": "response.output_text.done", **place, "text": f"{text} ", "logprobs": []},
        {"type": "response.content_part.done", **place, "part": whole},
        {
            "type": "response.output_item.done",
            "output_index": 0,
            "item": {**item, "status": "completed", "content": [whole]},
        },
    ]


def _called(index: int, name: str, arguments: str) -> list[dict[str, Any]]:
    place = {"item_id": f"fc_{index}", "output_index": index}
    item = {"id": f"fc_{index}", "type": "function_call", "call_id": f"call_{index}", "name": name, "arguments": ""}
    return [
        {"type": "response.output_item.added", "output_index": index, "item": {**item, "status": "in_progress"}},
        *({"type": "response.function_call_arguments.delta", **place, "delta": piece} for piece in _pieces(arguments)),
        {"type": "response.function_call_arguments.done", **place, "name": name, "arguments": arguments},
        {
            "type": "response.output_item.done",
            "output_index": index,
            "item": {**item, "status": "completed", "arguments": arguments},
        },
    ]


def _words(text: str) -> list[str]:
    return [f"{word} " for word in text.split(" ")] if text else []


def _pieces(text: str) -> list[str]:
    return [text[start : start + 4096] for start in range(0, len(text), 4096)] or [""]


@asynccontextmanager
async def provider(*replies: Reply) -> AsyncIterator[Provider]:
    """A provider on loopback; its `url` is the root, to which OpenAI's clients add `/v1`."""
    serving = Provider(list(replies))
    app = web.Application()
    app.add_routes(
        [
            web.post("/v1/chat/completions", serving.openai),
            web.post("/v1/responses", serving.responses),
            web.post("/v1/messages", serving.anthropic),
        ]
    )
    runner = web.AppRunner(app, handler_cancellation=True)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    server: Any = site._server
    serving.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield serving
    finally:
        await runner.cleanup()
