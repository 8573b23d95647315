"""Questions about images to a model behind an OpenAI-compatible server (vLLM) or a provider's API.

An image goes as a JPEG in a `data:` address; a clip as its frames, each after the second it was taken at.
"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

from langchain_core.messages import BaseMessage, HumanMessage

from tools.capability import Lease
from tools.chat.answering import answers
from tools.errors import TooLarge
from tools.vision import Question
from tools.vision.pictures import data_uri

_BYTES = 24 << 20
"""Most that one request may weigh: servers refuse larger bodies with an answer that says nothing."""


async def answer_served(lease: Lease[Any], question: Question) -> AsyncGenerator[str, None]:
    """Pieces of the answer; raises what `tools.chat.answering.answers` raises, and `TooLarge` for too many bytes."""
    message = await asyncio.to_thread(as_message, question)
    asked = {"max_tokens": question.most_tokens, "temperature": 0.0}
    async with aclosing(answers(lease, [message], asked)) as pieces:
        async for piece in pieces:
            if piece.text:
                yield piece.text


def as_message(question: Question) -> BaseMessage:
    """Images first, as the models were trained, then the words."""
    parts, weight = list[str | dict[str, Any]](), 0
    for number, image in enumerate(question.images):
        if question.times is not None:
            parts.append({"type": "text", "text": f"At {question.times[number]:.1f} s:"})
        address = data_uri(image)
        weight += len(address)
        parts.append({"type": "image_url", "image_url": {"url": address}})
    if weight > _BYTES:
        raise TooLarge(
            f"{len(question.images)} images are {weight / 1e6:.0f} MB together; {_BYTES / 1e6:.0f} MB are allowed.",
            remedy="Ask about fewer, or smaller ones.",
            param="images",
        )
    parts.append({"type": "text", "text": question.text})
    return HumanMessage(content=parts)
