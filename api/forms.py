"""Forms with one file: the file becomes a passing medium, the fields a model; both end with the request."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from pydantic import BaseModel, ValidationError
from starlette.requests import Request

from api.deps import BenchDep
from api.failures import Malformed, from_validation
from api.uploads import Field, Upload, parts
from tools.errors import InvalidInput
from tools.media.container import HEAD, sniff
from tools.media.store import Media

F = TypeVar("F", bound=BaseModel)
T = TypeVar("T")


@dataclass(frozen=True)
class Received(Generic[F]):
    media: Media
    form: F


def receiver(field: str, form: type[F]) -> Callable[..., AsyncGenerator[Received[F], None]]:
    """A dependency that reads a form whose sound or video is called `field`, and drops it when the answer is sent."""

    async def receive(request: Request, bench: BenchDep) -> AsyncGenerator[Received[F], None]:
        values, media = dict[str, list[str]](), list[Media]()
        async with AsyncExitStack() as stack:
            async for part in parts(request):
                if isinstance(part, Field):
                    values.setdefault(part.name.removesuffix("[]"), []).append(part.value)
                elif part.name != field or media:
                    raise InvalidInput(
                        f"{part.name[:80]!r} is one file too many.", remedy=f"Send one file, as {field!r}."
                    )
                else:
                    name = part.filename[:200] or "unnamed"
                    media.append(await stack.enter_async_context(bench.media.passing(opened(part), name=name)))
            if not media:
                raise InvalidInput("The form has no file.", remedy=f"curl -F {field}=@speech.mp3 …", param=field)
            yield Received(media[0], parsed(form, values))

    return receive


async def opened(part: Upload) -> AsyncIterator[bytes]:
    """The upload's bytes, refused as soon as the first of them are no sound or video."""
    head, known = b"", False
    async for chunk in part.chunks:
        if not known:
            head += chunk[:HEAD]
            if len(head) >= HEAD:
                sniff(head, repr(part.filename[:80]))
                known = True
        yield chunk
    if not known:
        sniff(head, repr(part.filename[:80]))


def parsed(form: type[F], values: dict[str, list[str]]) -> F:
    given: dict[str, Any] = {}
    for name, each in values.items():
        kind = form.model_fields.get(name)
        several = kind is not None and "list" in str(kind.annotation)
        if several or each[-1] != "":
            given[name] = each if several else each[-1]
    try:
        return form.model_validate(given)
    except ValidationError as error:
        raise from_validation(error) from error


def openapi(field: str, form: type[BaseModel]) -> dict[str, Any]:
    """The form for `openapi_extra`."""
    schema = form.model_json_schema()
    file = {field: {"type": "string", "format": "binary"}}
    whole = {**schema, "properties": {**file, **schema["properties"]}, "required": [field, *schema.get("required", [])]}
    return {"requestBody": {"required": True, "content": {"multipart/form-data": {"schema": whole}}}}


async def while_there(request: Request, work: Coroutine[Any, Any, T]) -> T:
    """The result of some work, which is given up when the caller leaves."""
    task, gone = asyncio.ensure_future(work), asyncio.ensure_future(_gone(request))
    try:
        await asyncio.wait({task, gone}, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            return task.result()
        raise Malformed("The caller left before the answer was ready.")
    finally:
        for each in (task, gone):
            each.cancel()
            with suppress(asyncio.CancelledError, Exception):
                await each


async def _gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
