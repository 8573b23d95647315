"""Answers of a fixed form from models of any size: a schema that cannot run on, one repair, then the fallback."""

import logging
import re
from collections.abc import Callable, Sequence
from importlib.resources import files
from typing import Any, TypeVar

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage
from pydantic import BaseModel, ValidationError

from tools.errors import EngineFailed

T = TypeVar("T", bound=BaseModel)

_log = logging.getLogger(__name__)
_THOUGHT = re.compile(r"<think(?:ing)?>.*?(?:</think(?:ing)?>|\Z)", re.DOTALL)
_MOST_CHARACTERS = 400
_MOST_ITEMS = 16
# keywords whose value maps names to schemas, holds a list of schemas, or is one
_NAMED = ("properties", "$defs", "definitions", "patternProperties")
_LISTED = ("anyOf", "oneOf", "allOf", "prefixItems")
_SINGLE = ("items", "additionalProperties", "not")


async def structured(
    model: BaseChatModel,
    messages: Sequence[BaseMessage],
    schema: type[T],
    *,
    fallback: Callable[[], T] | None = None,
    heard: Callable[[AIMessage], None] | None = None,
    **options: Any,
) -> T:
    """The model's answer as `schema`; `options` are request fields such as `max_tokens`.

    When the answer does not fit, it is asked for once more. Then, or when the engine fails, `fallback` answers;
    without one `EngineFailed` is raised. `heard` is told each answer, whether it fits or not.
    """
    form = {"name": schema.__name__, "schema": bounded(schema.model_json_schema()), "strict": False}
    bound = model.bind(response_format={"type": "json_schema", "json_schema": form}, **options)
    asked, reason = list(messages), ""
    try:
        for _ in range(2):
            answer = await bound.ainvoke(asked)
            if heard is not None:
                heard(answer)
            text = answer.text
            try:
                return schema.model_validate_json(json_in(text))
            except ValidationError as error:
                reason = _first(error)
                asked = [*messages, AIMessage(text[:2000] or "(nothing)"), HumanMessage(_repair(reason))]
        raise EngineFailed(f"The model did not answer as {schema.__name__!r} after two tries: {reason}")
    except EngineFailed as error:
        if fallback is None:
            raise
        _log.warning("falling back for %s: %s", schema.__name__, error)
        return fallback()


def bounded(schema: Any) -> Any:
    """A JSON schema in which every string and list ends: small models run on where nothing stops them."""
    if not isinstance(schema, dict):
        return schema
    result = dict(schema)
    for name in _NAMED:
        if name in result:
            result[name] = {key: bounded(each) for key, each in result[name].items()}
    for name in _LISTED:
        if name in result:
            result[name] = [bounded(each) for each in result[name]]
    for name in _SINGLE:
        if name in result:
            result[name] = bounded(result[name])
    kind = result.get("type")
    if kind == "string" and not result.keys() & {"maxLength", "enum", "const", "pattern", "format"}:
        result["maxLength"] = _MOST_CHARACTERS
    if kind == "array":
        result.setdefault("maxItems", _MOST_ITEMS)
    if kind == "object" and "properties" in result:
        result.setdefault("additionalProperties", False)
    return result


def json_in(text: str) -> str:
    """The JSON object in an answer, without thoughts and fences around it."""
    text = _THOUGHT.sub("", text)
    start, end = text.find("{"), text.rfind("}")
    return text[start : end + 1] if 0 <= start < end else text.strip()


def _first(error: ValidationError) -> str:
    first = error.errors(include_url=False)[0]
    where = ".".join(str(step) for step in first["loc"])
    return f"{where}: {first['msg']}" if where else str(first["msg"])


def _repair(reason: str) -> str:
    return files("tools.chat").joinpath("prompts/repair.md").read_text(encoding="utf-8").format(reason=reason)
