"""Every failure leaves in OpenAI's shape: what was wrong, the value, the remedy."""

import logging
import math

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse

from tools.errors import Busy, Conflict, InvalidInput, NotFound, SutradharError, TooLarge

_log = logging.getLogger("sutradhar.api")


class MethodNotAllowed(SutradharError):
    """The path exists, the method does not."""

    status = 405
    code = "method_not_allowed"


class Malformed(SutradharError):
    """A body that is not what its content type says."""

    status = 400
    code = "malformed"


_BY_STATUS: dict[int, type[SutradharError]] = {
    400: Malformed,
    404: NotFound,
    405: MethodNotAllowed,
    409: Conflict,
    413: TooLarge,
    422: InvalidInput,
    429: Busy,
}


def failure_response(error: SutradharError) -> JSONResponse:
    """The error as a response, with `Retry-After` when it says when to come back."""
    headers = {}
    if error.retry_after is not None:
        headers["Retry-After"] = str(math.ceil(error.retry_after))
    if error.status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    return JSONResponse(error.body(), status_code=error.status, headers=headers)


def from_validation(error: RequestValidationError | ValidationError) -> SutradharError:
    """The first thing that did not fit, named and quoted."""
    first = error.errors()[0]
    place = first["loc"]
    # FastAPI says first where a parameter came in; a parameter may itself be called `query`
    named = place[1:] if len(place) > 1 and place[0] in ("body", "query", "path", "form") else place
    where = ".".join(str(step) for step in named if step not in ("body", "form")) or "body"
    if first["type"] == "json_invalid":
        return Malformed("The body is not valid JSON.", remedy="Send a JSON object.", param="body")
    value = "" if first["type"] == "missing" else f", got {ascii(first.get('input'))[:120]}"
    return InvalidInput(
        f"{where!r}: {first['msg']}{value}.", remedy="/openapi.json describes the parameters.", param=where
    )


def install(app: FastAPI) -> None:
    """Register one handler per kind of failure."""
    app.exception_handler(SutradharError)(_ours)
    app.exception_handler(RequestValidationError)(_validation)
    app.exception_handler(HTTPException)(_http)
    app.exception_handler(Exception)(_unexpected)


async def _ours(request: Request, error: SutradharError) -> JSONResponse:
    if error.status >= 500:
        _log.warning("%s %s: %s", request.method, request.url.path, error)
    return failure_response(error)


async def _validation(request: Request, error: RequestValidationError) -> JSONResponse:
    return failure_response(from_validation(error))


async def _http(request: Request, error: HTTPException) -> JSONResponse:
    kind = _BY_STATUS.get(error.status_code, SutradharError)
    said = str(error.detail)
    failure: SutradharError
    if kind is NotFound and said == "Not Found":
        failure = kind(f"There is nothing at {request.url.path!r}.", remedy="/openapi.json lists the endpoints.")
    elif kind is MethodNotAllowed:
        allowed = (error.headers or {}).get("Allow", "another method")
        failure = kind(f"{request.method} is not allowed at {request.url.path!r}.", remedy=f"Use {allowed}.")
    else:
        failure = kind(said)
    response = failure_response(failure)
    response.status_code = error.status_code
    response.headers.update(error.headers or {})
    return response


async def _unexpected(request: Request, error: Exception) -> JSONResponse:
    # the text of an unexpected error may hold paths or secrets: it goes to the log, not to the caller
    _log.error("%s %s failed", request.method, request.url.path, exc_info=error)
    identity = str(getattr(request.state, "request_id", ""))
    failure = SutradharError("Something broke on this host.", remedy=f"Its log has the cause, request id {identity!r}.")
    response = failure_response(failure)
    response.headers["X-Request-Id"] = identity
    return response
