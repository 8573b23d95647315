"""Values of examples, written as literals of each language and compared with what a program showed."""

import ast
import json
import math
from typing import Any

from tools.sandbox.languages import Language

_NAMES = {"True": "true", "False": "false", "None": "null"}


class Unwritable(ValueError):
    """The language has no literal for the value at this type."""


def arguments(call: str) -> list[Any] | None:
    """The values of a call's arguments when all of them are literals."""
    try:
        tree = ast.parse(call, mode="eval").body
        if not isinstance(tree, ast.Call) or tree.keywords or not isinstance(tree.func, ast.Name | ast.Attribute):
            return None
        return [ast.literal_eval(each) for each in tree.args]
    except (SyntaxError, ValueError):
        return None


def value(expression: str) -> Any:
    """A literal's value; raises `ValueError` for what is none."""
    try:
        return ast.literal_eval(expression)
    except SyntaxError as error:
        raise ValueError(expression) from error


def written(value: Any, language: Language, kind: str = "") -> str:
    """The value as the language writes it where a `kind` is wanted; raises `Unwritable`."""
    kind = kind.replace("const", "").replace("&", "").replace("final", "").strip()
    if language in {"javascript", "typescript"}:
        return json.dumps(value, ensure_ascii=False)
    if language == "java":
        return _java(value, kind)
    if language == "cpp":
        return _cpp(value)
    if language == "go":
        return _go(value, kind)
    if language == "shell":
        return "'" + str(value).replace("'", "'\\''") + "'"
    return repr(value)


def _scalar(value: Any, nothing: str) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case None:
            return nothing
        case float() if not math.isfinite(value):
            raise Unwritable(str(value))
        case int() | float():
            return repr(value)
        case str():
            return json.dumps(value, ensure_ascii=False)
    raise Unwritable(f"{value!r}")


def _java(value: Any, kind: str) -> str:
    if isinstance(value, list | tuple):
        if kind.endswith("[]"):
            return f"new {kind}{{{', '.join(_java(each, kind[:-2]) for each in value)}}}"
        inner = kind.partition("<")[2].rpartition(">")[0]
        items = ", ".join(_java(each, inner) for each in value)
        if kind.startswith("Set"):
            return f"new java.util.LinkedHashSet<>(java.util.Arrays.asList({items}))"
        return f"new java.util.ArrayList<>(java.util.Arrays.asList({items}))"
    if isinstance(value, str) and kind in {"char", "Character"} and len(value) == 1:
        return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"
    text = _scalar(value, "null")
    if isinstance(value, int) and not isinstance(value, bool):
        suffix = {"long": "L", "Long": "L", "double": ".0", "Double": ".0", "float": "f"}
        return text + suffix.get(kind, "" if abs(value) < 2**31 else "L")
    return text


def _cpp(value: Any) -> str:
    if isinstance(value, list | tuple | set):
        return f"{{{', '.join(map(_cpp, value))}}}"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{{{_cpp(key)}, {_cpp(each)}}}' for key, each in value.items())}}}"
    text = _scalar(value, "nullptr")
    if isinstance(value, str):
        # in a list of two, bare literals would be taken for a range of characters
        return f"std::string({text})"
    return text + "LL" if isinstance(value, int) and abs(value) >= 2**31 else text


def _go(value: Any, kind: str) -> str:
    if isinstance(value, list | tuple):
        if not kind.startswith("[]"):
            raise Unwritable(f"{value!r} as {kind!r}")
        return f"{kind}{{{', '.join(_go(each, kind[2:]) for each in value)}}}"
    return _scalar(value, "nil")


def matches(shown: str, expected: str) -> bool:
    """Whether a value that a program showed as JSON is the expected literal."""
    try:
        want = ast.literal_eval(expected)
    except (SyntaxError, ValueError):
        return shown.strip() == expected.strip()
    try:
        got = json.loads(shown)
    except ValueError:
        return str(want) == shown.strip()
    return _same(got, want)


def _same(got: Any, want: Any) -> bool:
    if isinstance(got, bool) or isinstance(want, bool):
        return type(got) is type(want) and bool(got == want)
    if isinstance(got, int | float) and isinstance(want, int | float):
        return math.isclose(got, want, rel_tol=1e-6, abs_tol=1e-6)
    if isinstance(want, list | tuple) and isinstance(got, list):
        return len(got) == len(want) and all(map(_same, got, want))
    if isinstance(want, set) and isinstance(got, list):
        return sorted(map(str, got)) == sorted(map(str, want))
    return bool(got == want)
