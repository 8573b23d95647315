"""The edge of every command: settings in, exit code out, standard output kept clean."""

import asyncio
import json
import logging
import sys
import traceback
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from typing import Any

import typer
from pydantic import BaseModel, ValidationError
from rich.console import Console

from tools.errors import SutradharError
from tools.settings import Settings

out = Console(highlight=False, soft_wrap=True)
err = Console(stderr=True, highlight=False)


def settings() -> Settings:
    """The settings of this call; a wrong one is a usage error (exit code 2)."""
    try:
        return Settings()
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        name = "SUTRADHAR_" + "__".join(str(step) for step in first["loc"]).upper()
        err.print(f"[red]{name}[/red]: {first['msg']}", markup=True)
        raise typer.Exit(2) from error


def run(work: Coroutine[Any, Any, None], *, as_json: bool = False) -> None:
    """Run a command to its end. Failures become a message and exit code 1, a broken-off one 130."""
    # a program reads standard output: whatever a library logs goes to standard error
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    with failing(as_json=as_json):
        asyncio.run(work)


@contextmanager
def failing(*, as_json: bool = False) -> Iterator[None]:
    """Turn what is raised into a message and an exit code."""
    try:
        yield
    except typer.Exit:
        raise
    except SutradharError as error:
        fail(error, as_json=as_json)
    except KeyboardInterrupt:
        raise typer.Exit(130) from None
    except Exception as error:  # noqa: BLE001 the edge: the traceback is for the report, the message for the user
        traceback.print_exc(file=sys.stderr)
        fail(SutradharError(f"{type(error).__name__}: {error}"), as_json=as_json)


def fail(error: SutradharError, *, as_json: bool) -> None:
    if as_json:
        say_json(error.body())
    else:
        err.print(f"[red]{error.code}[/red] ", end="")
        err.print(error.message, markup=False)
        if error.remedy:
            err.print(f"→ {error.remedy}", markup=False)
    raise typer.Exit(1)


def say_json(value: BaseModel | dict[str, Any]) -> None:
    """The one object of `--json`."""
    data = value.model_dump(mode="json") if isinstance(value, BaseModel) else value
    sys.stdout.write(json.dumps(data, ensure_ascii=False) + "\n")
    sys.stdout.flush()
