"""Answers from a child come as plain data; the method's own type hints say what to build from it."""

from collections.abc import Callable
from functools import lru_cache
from typing import Any, get_args, get_type_hints

from pydantic import ConfigDict, TypeAdapter, ValidationError

from tools.errors import EngineFailed


@lru_cache(maxsize=256)
def return_hint(method: Callable[..., Any]) -> Any:
    """What the method says it returns; Any when it says nothing."""
    return get_type_hints(method).get("return", Any)


@lru_cache(maxsize=256)
def item_hint(method: Callable[..., Any]) -> Any:
    """What the generator method says it yields."""
    return next(iter(get_args(return_hint(method))), Any)


@lru_cache(maxsize=256)
def _adapter(hint: Any) -> TypeAdapter[Any]:
    # inside a tuple, because pydantic takes no configuration for a bare dataclass
    return TypeAdapter(tuple[hint], config=ConfigDict(arbitrary_types_allowed=True))


def rebuild(hint: Any, value: Any, title: str) -> Any:
    """The value as the hint's type; raises `EngineFailed` when the child answered something else."""
    if hint is Any or hint is None or hint is type(None):
        return value
    try:
        return _adapter(hint).validate_python((value,))[0]
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise EngineFailed(
            f"{title} answered nonsense: {first['msg']} at {first['loc'][1:]}, got {str(first['input'])[:80]!r}."
        ) from error
