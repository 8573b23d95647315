"""A chat engine that answers from a script, for tests, benches and faults on purpose.

The script is a JSON list of lines; the first whose `when` (a regular expression, searched in all messages) fits and
whose `times` are not used up answers:

    [{"when": "capital of", "say": "Lima [1]."}, {"say": {"answer": "unknown"}, "delay": 0.02}, {"fail": "endless"}]
"""

import json
import re
import time
from collections.abc import Iterator, Mapping
from itertools import repeat
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from tools.catalog import Catalog, Row
from tools.chat import Piece
from tools.errors import EngineFailed


class Line(BaseModel):
    """One answer. `delay` is seconds per token; `fail` answers badly on purpose, whatever `say` is."""

    model_config = ConfigDict(extra="forbid")

    when: str = ""
    say: str | dict[str, Any] | list[Any] = "This is a scripted answer."
    delay: float = Field(0.0, ge=0)
    times: int | None = None
    fail: Literal["", "garbage", "empty", "endless", "error"] = ""


_SCRIPT = TypeAdapter(list[Line])


class Scripted:
    """The engine of a row whose option `script` names the file; without one it says one fixed sentence."""

    def __init__(self, row: Row, files: Mapping[str, Path], device: str) -> None:
        del files, device
        path = row.options.get("script")
        self._title = row.title
        self._lines = _SCRIPT.validate_json(Path(str(path)).read_bytes()) if path else [Line()]

    def reply(self, messages: list[dict[str, Any]], options: dict[str, Any]) -> Iterator[Piece]:
        """The script's answer, a word at a time; stops at `max_tokens`."""
        prompt = "\n".join(str(each.get("content")) for each in messages)
        line, count = self._pick(prompt), 0
        limit = int(options.get("max_tokens") or 1_000_000_000)
        for count, word in enumerate(_words(line, self._title), start=1):
            if line.delay:
                time.sleep(line.delay)
            yield Piece(word)
            if count >= limit:
                break
        yield Piece("", prompt_tokens=len(prompt.split()), completion_tokens=count)

    def _pick(self, prompt: str) -> Line:
        for line in self._lines:
            if line.times != 0 and re.search(line.when, prompt, re.DOTALL):
                if line.times is not None:
                    line.times -= 1
                return line
        raise EngineFailed(f"{self._title} has no line for {prompt[-200:]!r}.", remedy="Add one without `when`.")


def _words(line: Line, title: str) -> Iterator[str]:
    if line.fail == "error":
        raise EngineFailed(f"{title} failed as its script says.")
    if line.fail == "endless":
        return repeat("and so on ")
    text = line.say if isinstance(line.say, str) else json.dumps(line.say, ensure_ascii=False)
    text = {"garbage": '{"answ: ]]\u0000 \ufffd ```', "empty": ""}.get(line.fail, text)
    return iter(re.findall(r"\S+\s*|\s+", text))


def with_script(catalog: Catalog, script: Path | None = None, *, model: str = "scripted") -> Catalog:
    """The catalogue with a scripted row that serves every role of every profile."""
    options: dict[str, str | int | float | bool] = {"threads": 64}
    row = Row(
        id=model,
        title="Scripted",
        capability="chat",
        engine="tools.chat.scripted:Scripted",
        licence="Apache-2.0",
        commercial=True,
        options=options if script is None else options | {"script": str(script)},
    )
    roles = dict.fromkeys(("reasoning", "coding", "writing", "vision", "judge"), model)
    profiles = {name: each.model_copy(update={"roles": roles}) for name, each in catalog.profiles.items()}
    models = [each for each in catalog.models if each.id != model]
    return Catalog(models=[*models, row], profiles=profiles)
