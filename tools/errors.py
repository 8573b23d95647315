"""The errors a user can meet, by who must act. Each says what was wrong, quotes the value and names the remedy."""

from typing import Any, ClassVar


class SutradharError(Exception):
    """Base of every error that is meant to be read by a user.

    `status` is the HTTP status it becomes; `code` names it on every surface (HTTP, MCP, child processes).
    """

    status: ClassVar[int] = 500
    code: ClassVar[str] = "internal_error"

    def __init__(
        self, message: str, *, remedy: str = "", param: str | None = None, retry_after: float | None = None
    ) -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy
        self.param = param
        self.retry_after = retry_after

    def __str__(self) -> str:
        return f"{self.message} {self.remedy}".strip()

    def body(self) -> dict[str, Any]:
        """The error in OpenAI's shape; `remedy` and `retry_after` (seconds) are additions."""
        kind = "invalid_request_error" if self.status < 500 else "server_error"
        error: dict[str, Any] = {"message": str(self), "type": kind, "param": self.param, "code": self.code}
        if self.remedy:
            error["remedy"] = self.remedy
        if self.retry_after is not None:
            error["retry_after"] = self.retry_after
        return {"error": error}


class InvalidInput(SutradharError):
    """The caller sent something that cannot be worked with."""

    status = 422
    code = "invalid_input"


class Unauthorized(SutradharError):
    """No key, or a key nobody issued."""

    status = 401
    code = "unauthorized"


class Forbidden(SutradharError):
    """A known caller asked for something that policy does not allow."""

    status = 403
    code = "forbidden"


class NotFound(SutradharError):
    """There is no such thing, or it belongs to another tenant."""

    status = 404
    code = "not_found"


class Conflict(SutradharError):
    """The request does not fit the present state, such as resuming a finished run."""

    status = 409
    code = "conflict"


class TooLarge(SutradharError):
    """More bytes, pixels, seconds or entries than the configured limit."""

    status = 413
    code = "too_large"


class UnsupportedMedia(SutradharError):
    """Not a medium or document that we open, whatever its name says."""

    status = 415
    code = "unsupported_media"


class Busy(SutradharError):
    """Capacity is used up; `retry_after` says when to come back."""

    status = 429
    code = "busy"


class NotInstalled(SutradharError):
    """A model, engine or program that this machine does not have; the remedy installs it."""

    status = 501
    code = "not_installed"


class EngineFailed(SutradharError):
    """An engine crashed, timed out or answered nonsense."""

    status = 503
    code = "engine_failed"


class OutcomeUnknown(EngineFailed):
    """A call with an effect was sent, and nobody heard how it ended."""

    code = "outcome_unknown"


class BudgetSpent(SutradharError):
    """Steps, seconds or tokens ran out before the work was done."""

    status = 503
    code = "budget_spent"


def _descendants(base: type[SutradharError]) -> list[type[SutradharError]]:
    return [base, *(d for child in base.__subclasses__() for d in _descendants(child))]


def from_body(body: dict[str, Any]) -> SutradharError:
    """The error that another host or a child process put into `body()`."""
    error = body.get("error", {})
    kinds = {kind.code: kind for kind in _descendants(SutradharError)}
    kind = kinds.get(str(error.get("code")), SutradharError)
    remedy = str(error.get("remedy", ""))
    message = str(error.get("message", "the other side failed without saying why")).removesuffix(remedy).strip()
    return kind(message, remedy=remedy, param=error.get("param"), retry_after=error.get("retry_after"))
