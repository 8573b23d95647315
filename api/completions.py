"""A run told in the words of OpenAI's chat completions; citations travel as an extra field."""

import json
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

from api.chat import Answered
from api.sse import Frames
from graphs.events import Answer, Failure, Question, RunFinished, Token, Usage
from graphs.log import Numbered
from tools.errors import from_body

DONE = b"data: [DONE]\n\n"


@dataclass(frozen=True)
class Completion:
    """The identity that all chunks of one answer share."""

    run: str
    model: str
    created: int = field(default_factory=lambda: int(time.time()))

    def whole(self, answered: Answered) -> dict[str, Any]:
        answer = answered.answer
        message = {"role": "assistant", "content": answer.text if answer else answered.reason, "refusal": None}
        reason = finish_reason(answered.status)
        return {
            **self._head("chat.completion"),
            "choices": [{"index": 0, "message": message, "finish_reason": reason, "logprobs": None}],
            "usage": _usage(answered.usage),
            "citations": [citation.model_dump() for citation in answer.citations] if answer else [],
            "thread": answered.thread,
        }

    def chunk(self, delta: dict[str, Any], finish: str | None = None, **extra: Any) -> bytes:
        choices = [{"index": 0, "delta": delta, "finish_reason": finish, "logprobs": None}]
        return data({**self._head("chat.completion.chunk"), "choices": choices, **extra})

    def counted(self, usage: Usage) -> bytes:
        return data({**self._head("chat.completion.chunk"), "choices": [], "usage": _usage(usage)})

    def _head(self, kind: str) -> dict[str, Any]:
        return {"id": f"chatcmpl-{self.run}", "object": kind, "created": self.created, "model": self.model}


def data(value: dict[str, Any]) -> bytes:
    return f"data: {json.dumps(value)}\n\n".encode()


def finish_reason(status: str) -> str:
    return "length" if status == "partial" else "stop"


async def completion_frames(completion: Completion, events: AsyncIterator[Numbered], *, counted: bool) -> Frames:
    """The run's prose as chunks. The answer is the truth: what it says beyond the streamed tokens is added."""
    yield completion.chunk({"role": "assistant", "content": ""})
    spoken, citations = "", list[dict[str, Any]]()
    async for _, event in events:
        if isinstance(event, Token):
            spoken += event.text
            yield completion.chunk({"content": event.text})
        elif isinstance(event, Answer):
            citations = [citation.model_dump() for citation in event.citations]
            rest = _beyond(spoken, event.text)
            if rest:
                yield completion.chunk({"content": rest})
        elif isinstance(event, Question):
            # this protocol has no way to ask back: it is told how to
            yield completion.chunk({"content": f"{event.text} (POST /api/v1/runs/{completion.run}/resume)"})
        elif isinstance(event, Failure):
            yield data(from_body({"error": event.model_dump()}).body())
        elif isinstance(event, RunFinished):
            yield completion.chunk({}, finish_reason(event.status), citations=citations)
            if counted:
                yield completion.counted(event.usage)
    yield DONE


def _beyond(spoken: str, answer: str) -> str:
    """What the answer adds to the tokens; an answer that was rewritten follows them whole."""
    if answer.strip().startswith(spoken.strip()):
        return answer.strip()[len(spoken.strip()) :] if spoken.strip() else answer
    return f"\n\n{answer}"


def _usage(usage: Usage) -> dict[str, int]:
    return {
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
        "total_tokens": usage.prompt_tokens + usage.completion_tokens,
    }
