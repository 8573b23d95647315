"""Write `docs/configuration.md` from the settings: `python docs/configuration.py`."""

import types
from collections.abc import Iterator
from pathlib import Path

from pydantic import BaseModel

from tools.settings import Settings

_HEAD = """\
# Configuration

Made from `tools/settings.py` by `make docs`. Each setting is an environment variable, or a line of a `.env` file in
the folder that Sutradhar is started from. Dictionaries and lists are JSON.

| variable | default | meaning |
|---|---|---|
"""


def render() -> str:
    """The whole page."""
    return _HEAD + "\n".join(_rows("SUTRADHAR_", Settings)) + "\n"


def _rows(prefix: str, section: type[BaseModel]) -> Iterator[str]:
    for name, field in section.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and not isinstance(kind, types.GenericAlias) and issubclass(kind, BaseModel):
            yield from _rows(f"{prefix}{name.upper()}__", kind)
            continue
        yield f"| `{prefix}{name.upper()}` | {_default(field.default)} | {field.description or ''} |"


def _default(value: object) -> str:
    if isinstance(value, Path):
        value = f"~/{value.relative_to(Path.home())}"
    if value is None or not str(value).strip("*") or value in ({}, []):
        return "(none)"
    return f"`{value}`"


if __name__ == "__main__":
    (Path(__file__).parent / "configuration.md").write_text(render(), encoding="utf-8")
