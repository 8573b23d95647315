"""Which row translates a pair of languages, and why that one."""

import asyncio
from contextlib import suppress
from dataclasses import dataclass, replace

from tools.bench import Bench
from tools.catalog import Choice, Row
from tools.errors import InvalidInput, NotInstalled
from tools.speech.script import writings
from tools.store import WeightStore
from tools.translation import ENGLISH, TRANSLATION, base, knows
from tools.translation.indictrans2 import TAGS

_OTHER_NAMES = {"english": "en", "kok": "gom", "jw": "jv", "iw": "he", "nb": "no", "nn": "no", "fil": "tl"}
"""Codes that recognisers and people use, as the rows have them."""


def language_code(asked: str, bench: Bench, param: str) -> str:
    """`hi`, `hi-IN`, `hin_Deva` or `Hindi` as the rows write it, the script kept where a language has two (`sd-Deva`).

    Raises `InvalidInput` for a language that no row knows.
    """
    wanted = asked.strip().replace("_", "-")
    first, _, rest = wanted.partition("-")
    named = {writing.name.lower(): code for code, writing in writings().items()}
    named |= {tag[:3]: base(language) for language, tag in TAGS.items()} | _OTHER_NAMES
    code = named.get(wanted.lower(), first.lower())
    code = named.get(code, code)
    known = {language for row in _rows(bench) for language in row.languages}
    if code not in known:
        raise InvalidInput(
            f"No model of the catalogue translates the language {asked!r}.",
            remedy=f"Send one of: {', '.join(sorted(known))}.",
            param=param,
        )
    written = f"{code}-{rest.title()}"
    return written if written in TAGS else code


@dataclass(frozen=True)
class Leg:
    """One step of the way from a language to another."""

    choice: Choice
    source: str
    target: str


async def route(
    bench: Bench, source: str, target: str, *, model: str | None = None, only_installed: bool = False
) -> list[Leg]:
    """Who translates this pair: the named row, or the first that knows it of the profile's and the installed ones.

    An engine that has a model into English and one out of it goes through English before the next engine is asked.
    Raises `NotInstalled` with the command that installs one, `InvalidInput` where no row of the catalogue knows it.
    """
    if model is not None:
        return [_named(bench, model, source, target)]
    choices, passed = await _choices(bench, only_installed), dict[str, str]()
    for choice in choices:
        kin = [other for other in choices if other.row.engine == choice.row.engine]
        if legs := _way(choice, kin, source, target):
            reason = " ".join([*passed.values(), *_through(legs)])
            return [replace(leg, choice=_because(leg.choice, reason)) for leg in legs]
        if strange := [each for each in (source, target) if base(each) not in choice.row.languages]:
            # rows of one engine differ in direction only
            passed.setdefault(choice.row.engine, f"{choice.row.title} does not know {strange[0]!r}.")
    for choice in choices:
        if legs := _way(choice, choices, source, target):
            return [replace(leg, choice=_because(leg.choice, " ".join(_through(legs)))) for leg in legs]
    raise _nobody(bench, source, target)


async def installed_for(bench: Bench, source: str | None, target: str) -> bool:
    """Whether something on this machine translates into `target`, from `source` or, not knowing it, from anything."""
    rows = [choice.row for choice in await _choices(bench, only_installed=True)]
    if source is None:
        return any(knows(row, other, target) for row in rows for other in row.languages if other != target)
    with suppress(NotInstalled, InvalidInput):
        await route(bench, language_code(source, bench, "language"), target, only_installed=True)
        return True
    return False


def _named(bench: Bench, model: str, source: str, target: str) -> Leg:
    choice = bench.choose(TRANSLATION, model=model)
    if not knows(choice.row, source, target):
        raise InvalidInput(
            f"{choice.row.title} does not translate {source!r} into {target!r}.",
            remedy=f"Rows that do: {', '.join(_able(bench, source, target)) or 'none'}.",
            param="model",
        )
    return Leg(choice, source, target)


def _way(choice: Choice, others: list[Choice], source: str, target: str) -> list[Leg]:
    """From the source by this row, straight or through English by another; empty where that leads nowhere."""
    if knows(choice.row, source, target):
        return [Leg(choice, source, target)]
    onward = next((other for other in others if knows(other.row, ENGLISH, target)), None)
    if ENGLISH in (source, target) or onward is None or not knows(choice.row, source, ENGLISH):
        return []
    return [Leg(choice, source, ENGLISH), Leg(onward, ENGLISH, target)]


def _through(legs: list[Leg]) -> list[str]:
    if len(legs) == 1:
        return []
    first, second = (leg.choice.row for leg in legs)
    return [f"Through English: {first.title}, then {second.title}."]


def _because(choice: Choice, reason: str) -> Choice:
    return choice.model_copy(update={"reason": " ".join([reason, choice.reason]).strip()})


async def _choices(bench: Bench, only_installed: bool) -> list[Choice]:
    ready = bench.candidates(TRANSLATION)
    listed = {choice.row.id for choice in ready}
    # what somebody fetched is there to be used, also where the profile does not speak of it
    others = [row for row in _rows(bench) if row.status == "ready" and row.id not in listed and _may_serve(bench, row)]
    present = await asyncio.to_thread(_present, bench, [*others, *(choice.row for choice in ready if only_installed)])
    kept = [choice for choice in ready if not only_installed or choice.row.id in present]
    return [*kept, *(Choice(row=row, asked=row.id) for row in others if row.id in present)]


def _may_serve(bench: Bench, row: Row) -> bool:
    devices = bench.catalog.profile(bench.settings.profile).devices | bench.settings.devices
    return row.device in devices and (row.commercial or not bench.settings.commercial)


def _present(bench: Bench, rows: list[Row]) -> set[str]:
    store = WeightStore(bench.settings.cache, offline=True)
    return {row.id for row in rows if not store.missing(row)}


def _rows(bench: Bench) -> list[Row]:
    return [row for row in bench.catalog.models if row.capability == TRANSLATION.name]


def _able(bench: Bench, source: str, target: str) -> list[str]:
    """Rows that know the pair, those that fit the profile's devices first."""
    able = [row for row in _rows(bench) if row.status == "ready" and knows(row, source, target)]
    return [row.id for row in sorted(able, key=lambda row: not _may_serve(bench, row))]


def _nobody(bench: Bench, source: str, target: str) -> NotInstalled | InvalidInput:
    straight = _able(bench, source, target)[:1]
    wanted = straight or [*_able(bench, source, ENGLISH)[:1], *_able(bench, ENGLISH, target)[:1]]
    if straight or len(wanted) == 2:
        return NotInstalled(
            f"Nothing is installed that translates {source!r} into {target!r}.",
            remedy=f"Run `sutradhar models fetch {' '.join(dict.fromkeys(wanted))}`.",
        )
    return InvalidInput(f"No model of the catalogue translates {source!r} into {target!r}.", param="target")
