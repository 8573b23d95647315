"""Multipart uploads, streamed part by part: nothing is spooled, and limits hold while bytes arrive."""

from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import ClientDisconnect, Request

from api.failures import Malformed

if TYPE_CHECKING:
    from python_multipart.multipart import MultipartCallbacks

_FIELD_BYTES = 64 * 1024
_PARTS = 1_000


@dataclass(frozen=True)
class Field:
    """A form value that is not a file."""

    name: str
    value: str


@dataclass(frozen=True)
class Upload:
    """A file on its way in. Its `chunks` must be read to their end before the next part is asked for."""

    name: str
    filename: str
    chunks: AsyncIterator[bytes]


@dataclass(frozen=True)
class _Begin:
    name: str
    filename: str | None


class _End:
    """The part is complete."""


_Token = _Begin | bytes | _End


class _Parser:
    """python-multipart's callbacks as a list of tokens."""

    def __init__(self, boundary: bytes) -> None:
        self.tokens: list[_Token] = []
        self._header, self._value = b"", b""
        self._headers: dict[bytes, bytes] = {}
        self._parts = 0
        callbacks: MultipartCallbacks = {
            "on_part_begin": self._begin,
            "on_header_field": self._on_header,
            "on_header_value": self._on_value,
            "on_header_end": self._end_header,
            "on_headers_finished": self._open,
            "on_part_data": self._data,
            "on_part_end": lambda: self.tokens.append(_End()),
        }
        self._parser = MultipartParser(boundary, callbacks)

    def feed(self, chunk: bytes) -> list[_Token]:
        self.tokens = []
        try:
            self._parser.write(chunk)
        except FormParserError as error:
            raise Malformed(f"The form is not multipart/form-data: {error}.") from error
        return self.tokens

    def _begin(self) -> None:
        self._headers = {}
        self._parts += 1
        if self._parts > _PARTS:
            raise Malformed(f"The form has more than {_PARTS} parts.")

    def _on_header(self, data: bytes, start: int, end: int) -> None:
        self._header += data[start:end]

    def _on_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _end_header(self) -> None:
        self._headers[self._header.lower()] = self._value
        self._header, self._value = b"", b""

    def _open(self) -> None:
        _, options = parse_options_header(self._headers.get(b"content-disposition", b""))
        name = options.get(b"name", b"").decode("utf-8", "replace")
        filename = options.get(b"filename")
        self.tokens.append(_Begin(name, None if filename is None else filename.decode("utf-8", "replace")))

    def _data(self, data: bytes, start: int, end: int) -> None:
        self.tokens.append(data[start:end])


async def parts(request: Request) -> AsyncGenerator[Field | Upload, None]:
    """The parts of a multipart request, in their order."""
    kind, options = parse_options_header(request.headers.get("content-type", ""))
    if kind != b"multipart/form-data" or b"boundary" not in options:
        raise Malformed("An upload is sent as multipart/form-data with a boundary.", remedy="curl -F file=@film.mp4 …")
    tokens = _tokens(request, _Parser(options[b"boundary"]))
    async for token in tokens:
        if not isinstance(token, _Begin):
            continue
        if token.filename is None:
            yield Field(token.name, await _value(token.name, tokens))
        else:
            chunks = _chunks(tokens)
            yield Upload(token.name, token.filename, chunks)
            # a reader that stopped early must not make the rest of its file look like the next part
            async for _ in chunks:
                pass


async def _tokens(request: Request, parser: _Parser) -> AsyncGenerator[_Token, None]:
    ended = True
    try:
        async for chunk in request.stream():
            for token in parser.feed(chunk):
                ended = isinstance(token, _End)
                yield token
    except ClientDisconnect as error:
        raise Malformed("The caller left before the upload was complete.") from error
    if not ended:
        raise Malformed("The upload ends in the middle of a part.")


async def _chunks(tokens: AsyncIterator[_Token]) -> AsyncGenerator[bytes, None]:
    async for token in tokens:
        if isinstance(token, _End):
            return
        yield cast("bytes", token)


async def _value(name: str, tokens: AsyncIterator[_Token]) -> str:
    value = b""
    async for chunk in _chunks(tokens):
        value += chunk
        if len(value) > _FIELD_BYTES:
            raise Malformed(f"The field {name[:80]!r} is longer than {_FIELD_BYTES} bytes.", param=name)
    return value.decode("utf-8", "replace")
