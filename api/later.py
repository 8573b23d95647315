"""The owner's endpoints whose engines are not built yet: parameters are checked as they will be, the answer is 501.

One row per endpoint; the table is the documentation and the OpenAPI.
"""

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from fastapi import APIRouter, File, Form, UploadFile
from pydantic import BaseModel, create_model

from tools.errors import NotInstalled

FileIn = Annotated[UploadFile, File()]


@dataclass(frozen=True)
class Later:
    """`parameters` maps a name to its type, or to (type, default). `instead` says what works today."""

    path: str
    summary: str
    parameters: dict[str, Any]
    instead: str


_NONE = "Nothing on this host does it yet."

LATER = (
    Later(
        "/api/v1/avatar/generate",
        "Make a talking head speak",
        {
            "audio_file": FileIn,
            "avatar_style": (Literal["realistic", "cartoon", "mesh"], "realistic"),
            "lip_sync": (bool, True),
            "portrait": (FileIn | None, None),
        },
        _NONE,
    ),
    Later("/api/v1/avatar/lip-sync", "Fit lips to speech", {"video_file": FileIn, "audio_file": FileIn}, _NONE),
)


def _answer(row: Later) -> Any:
    """The route of one row: its form or JSON body is validated by the row's model."""
    fields = {name: kind if isinstance(kind, tuple) else (kind, ...) for name, kind in row.parameters.items()}
    takes_files = any("UploadFile" in repr(kind) for kind, _ in fields.values())
    name = "".join(word.title() for word in row.path.replace("-", "/").split("/")[2:])
    model = create_model(name, __config__={"extra": "forbid"}, **fields)  # type: ignore[call-overload]
    body = Annotated[model, Form()] if takes_files else model

    async def answer(parameters: BaseModel) -> None:
        raise NotInstalled(f"{row.path} is not built yet: nothing here can do this.", remedy=row.instead)

    answer.__annotations__["parameters"] = body
    return answer


def later_router() -> APIRouter:
    router = APIRouter()
    for row in LATER:
        router.post(row.path, summary=row.summary, tags=["later"], status_code=501)(_answer(row))
    return router
