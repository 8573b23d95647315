"""Logging in to the console: a key in, a signed cookie out."""

from importlib.resources import files
from typing import Annotated

from fastapi import APIRouter, Form
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from api.auth import COOKIE, SESSION_SECONDS, Keys
from tools.errors import Unauthorized

router = APIRouter(include_in_schema=False)


@router.get("/login")
async def login_page() -> HTMLResponse:
    return _page("")


@router.post("/login", response_model=None)
async def log_in(request: Request, key: Annotated[str, Form(max_length=1_000)]) -> Response:
    keys: Keys = request.app.state.keys
    try:
        session = keys.session(key)
    except Unauthorized:
        return _page("This key was not issued here.", status=401)
    response = RedirectResponse("/", status_code=303)
    response.set_cookie(
        COOKIE,
        session,
        max_age=SESSION_SECONDS,
        httponly=True,
        samesite="strict",
        secure=request.url.scheme == "https",
    )
    return response


@router.post("/logout")
async def log_out() -> RedirectResponse:
    response = RedirectResponse("/login", status_code=303)
    response.delete_cookie(COOKIE)
    return response


def _page(message: str, status: int = 200) -> HTMLResponse:
    text = files("api").joinpath("console", "login.html").read_text(encoding="utf-8")
    return HTMLResponse(text.replace("{{message}}", message), status_code=status)
