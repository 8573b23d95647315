"""Planted bugs: 60 small programs in four languages with one bug each, and the same programs without it."""

import logging
import random
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import yaml

from graphs.coding.languages import TONGUES
from graphs.coding.reviewing import by_model, by_tools, merge
from graphs.coding.state import File, Finding, Spec
from graphs.coding.suites import java_file
from graphs.context import Context
from tools.open import open_bench
from tools.sandbox.languages import Language
from tools.settings import Settings

_log = logging.getLogger(__name__)

PLANTS = Path(__file__).with_name("plants.yaml")
NAMES = ("select", "adjust", "tally", "resolve", "collect", "inspect", "measure", "combine", "settle", "arrange")
OTHERS = ("values", "order", "amount", "entry", "record", "text", "group", "source", "reading", "item_list")
NEAR = 1
"""Lines between a finding and the planted bug at most."""


@dataclass(frozen=True)
class Planted:
    """One program: as it should be, and with the bug in these lines (counted from 1)."""

    name: str
    language: Language
    linter: bool
    clean: File
    buggy: File
    lines: range


@dataclass(frozen=True)
class Reviewed:
    planted: Planted
    tools: list[Finding]
    model: list[Finding]
    alarms_tools: list[Finding]
    alarms_model: list[Finding]


def generate(seed: int) -> list[Planted]:
    """The programs with names and numbers drawn by the seed."""
    chance = random.Random(seed)  # noqa: S311 - a repeatable choice, no secret
    return [_planted(each, chance) for each in yaml.safe_load(PLANTS.read_text(encoding="utf-8"))]


def _planted(row: dict[str, Any], chance: random.Random) -> Planted:
    words = {"NAME": chance.choice(NAMES), "OTHER": chance.choice(OTHERS), "NUMBER": str(chance.randint(3, 90))}
    text = re.sub(r"\b(NAME|OTHER|NUMBER)\b", lambda match: words[match[1]], str(row["code"]))
    place = re.search(r"<<((?:(?!<<).)*?)\|\|((?:(?!<<).)*?)>>(?!>)", text, re.DOTALL)
    assert place is not None, row["name"]
    clean, buggy = _side(text, 1), _side(text, 2)
    first = text[: place.start()].count("\n") + 1
    last = first + max(place[2].count("\n"), 0)
    language: Language = row["language"]
    name = java_file(buggy) if language == "java" else TONGUES[language].file
    return Planted(
        name=row["name"],
        language=language,
        linter=row["linter"],
        clean=File(path=name, text=clean),
        buggy=File(path=name, text=buggy),
        lines=range(first - NEAR, last + NEAR + 2),
    )


def _side(text: str, side: int) -> str:
    return re.sub(r"<<((?:(?!<<).)*?)\|\|((?:(?!<<).)*?)>>(?!>)", lambda match: match[side], text, flags=re.DOTALL)


def grave(found: Sequence[Finding]) -> list[Finding]:
    """What a reader would take for a fault; matters of style are no alarm."""
    return [each for each in found if each.kind != "style" and each.severity != "low"]


def hits(found: Sequence[Finding], planted: Planted) -> bool:
    return any(each.line in planted.lines for each in grave(found))


def figures_of(reviewed: Sequence[Reviewed]) -> dict[str, Any]:
    able = [each for each in reviewed if each.planted.linter]
    figures: dict[str, Any] = {"programs": len(reviewed), "where_a_linter_can": len(able)}
    for language in dict.fromkeys(each.planted.language for each in reviewed):
        some = [each for each in able if each.planted.language == language]
        figures[f"tools_{language}"] = _share([hits(each.tools, each.planted) for each in some])
    return figures | {
        "tools_where_a_linter_can": _share([hits(each.tools, each.planted) for each in able]),
        "tools_of_all": _share([hits(each.tools, each.planted) for each in reviewed]),
        "model_of_all": _share([hits(each.model, each.planted) for each in reviewed]),
        "tools_and_model_of_all": _share([hits([*each.tools, *each.model], each.planted) for each in reviewed]),
        "false_alarms_tools": _share([bool(grave(each.alarms_tools)) for each in reviewed]),
        "false_alarms_model": _share([bool(grave(each.alarms_model)) for each in reviewed]),
        "missed_by_tools": [
            f"{each.planted.language}: {each.planted.name}" for each in able if not hits(each.tools, each.planted)
        ],
        "alarmed": [
            f"{each.planted.language}: {each.planted.name}: {alarm.tool} {alarm.rule}"
            for each in reviewed
            for alarm in grave(each.alarms_tools)
        ],
    }


def _share(flags: Sequence[bool]) -> float:
    return round(sum(flags) / max(len(flags), 1), 3)


async def run(
    home: Path, data: Path | None, quick: bool = False, *, seed: int = 11, programs: int = 0
) -> dict[str, Any]:
    """`quick` asks the tools only; the programs are made here, so no data is needed."""
    del data
    with TemporaryDirectory() as folder:
        settings = Settings(home=Path(folder) / "home")
        async with open_bench(settings) as bench:
            reviewed = list[Reviewed]()
            chosen = generate(seed)
            for each in chosen[:: len(chosen) // programs] if programs else chosen:
                spec = Spec(mode="review", language=each.language, task="Review this.")
                told = [merge((await by_tools([file], spec, bench))[0]) for file in (each.buggy, each.clean)]
                said = (
                    [[], []]
                    if quick
                    else [await by_model(Context(bench), spec, file) for file in (each.buggy, each.clean)]
                )
                reviewed.append(Reviewed(each, told[0], said[0], told[1], said[1]))
                _log.info("%s %s: %s", each.language, each.name, hits(told[0], each))
            return figures_of(reviewed)
