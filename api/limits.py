"""What one request may cost before any route sees it: size and depth of JSON, streams open at once."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from pydantic_core import from_json
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.failures import Malformed, failure_response
from tools.errors import Busy, SutradharError, TooLarge

JSON_BYTES = 10 * 1024**2
FORM_PREFIX = "multipart/form-data"
_INLINE = 64 * 1024


class Streams:
    """Admission of streams (SSE and WebSocket); one more than the limit is refused with a retry time."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.open = 0

    def admit(self) -> None:
        """Raise `Busy` when no further stream would be admitted; for use before a response has started."""
        if self.open >= self.limit:
            raise Busy(
                f"{self.open} streams are open, the limit is {self.limit}.",
                remedy="Come back later, or raise SUTRADHAR_SERVER__STREAMS.",
                retry_after=5,
            )

    @contextmanager
    def one(self) -> Iterator[None]:
        self.admit()
        self.open += 1
        try:
            yield
        finally:
            self.open -= 1


class BodyLimit:
    """Pure ASGI middleware: bodies other than uploads are read here, bounded, and checked to be plain, shallow JSON."""

    def __init__(self, app: ASGIApp, *, upload_bytes: int, json_bytes: int = JSON_BYTES) -> None:
        self.app = app
        self._upload_bytes = upload_bytes
        self._json_bytes = json_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] in ("GET", "HEAD", "OPTIONS"):
            return await self.app(scope, receive, send)
        headers = Headers(scope=scope)
        is_form = headers.get("content-type", "").startswith(FORM_PREFIX)
        try:
            self._check_declared(headers, self._upload_bytes if is_form else self._json_bytes)
            if is_form:
                return await self.app(scope, _counted(receive, self._upload_bytes), send)
            body = await self._read(receive)
            if body and "json" in headers.get("content-type", "json"):
                await _check(body)
        except SutradharError as error:
            return await failure_response(error)(scope, receive, send)
        return await self.app(scope, _replay(body, receive), send)

    def _check_declared(self, headers: Headers, limit: int) -> None:
        declared = headers.get("content-length", "0")
        if declared.isdigit() and int(declared) > limit:
            raise _too_large(limit)

    async def _read(self, receive: Receive) -> bytes:
        chunks, size, more = list[bytes](), 0, True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise Malformed("The caller left before the body was complete.")
            chunks.append(message.get("body", b""))
            size += len(chunks[-1])
            if size > self._json_bytes:
                raise _too_large(self._json_bytes)
            more = message.get("more_body", False)
        return b"".join(chunks)


def _too_large(limit: int) -> TooLarge:
    remedy = "Upload media as multipart/form-data, or split it."
    return TooLarge(f"The body is larger than {limit:,} bytes.", remedy=remedy)


def _counted(receive: Receive, limit: int) -> Receive:
    size = 0

    async def counted() -> Message:
        nonlocal size
        message = await receive()
        size += len(message.get("body", b""))
        if size > limit:
            raise _too_large(limit)
        return message

    return counted


async def _check(body: bytes) -> None:
    """Raise for anything but strict JSON: NaN, lone surrogates, nesting beyond 200 or integers beyond 4300 digits."""
    try:
        if len(body) <= _INLINE:
            from_json(body, allow_inf_nan=False)
        else:
            await asyncio.to_thread(from_json, body, allow_inf_nan=False)
    except ValueError as error:
        said = f"The body is not valid JSON: {error}."
        raise Malformed(said, remedy="Send one JSON object.", param="body") from error


def _replay(body: bytes, receive: Receive) -> Receive:
    sent = False

    async def replayed() -> Message:
        nonlocal sent
        if sent:
            return await receive()
        sent = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replayed
