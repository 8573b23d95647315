"""Review: the languages' tools and our rules first, then the model, whose findings must quote the line they mean."""

import asyncio
import re
from collections import defaultdict
from typing import Literal

from langgraph.runtime import Runtime
from langgraph.types import Command
from pydantic import BaseModel, Field

from graphs.coding import prompting
from graphs.coding.checks import check
from graphs.coding.languages import language_of_file
from graphs.coding.linters import lint
from graphs.coding.state import MODEL, File, Finding, Kind, Severity, Spec, State
from graphs.coding.writing import SHARE, best_of, solution
from graphs.context import Context
from graphs.speak import compose
from tools.bench import Bench
from tools.errors import EngineFailed
from tools.sandbox.languages import Language

MOST_FILES = 60
MOST = 100
"""Findings that are shown."""

READ_FILES = 4
"""Files that the model reads."""

TOKENS = 350
_RANK: dict[Severity, int] = {"high": 0, "medium": 1, "low": 2}


class Said(BaseModel):
    """One finding in the model's words; `quote` is the line that it means."""

    quote: str = Field(max_length=200)
    kind: Kind
    severity: Severity
    message: str = Field(max_length=200)


class SaidAll(BaseModel):
    findings: list[Said] = Field(max_length=3)


async def review(state: State, runtime: Runtime[Context]) -> Command[Literal["document", "report"]]:
    """Look over the code with the tools, and with the model where that was asked for."""
    spec = state["spec"]
    files = reviewed_files(state)
    bench = runtime.context.bench
    found, notes = await by_tools(files, spec, bench)
    if spec.mode == "review" or state["options"].complexity == "high":
        for file in sorted(files, key=lambda each: -len(each.text))[:READ_FILES]:
            if _spent(runtime.context):
                notes.append("The budget was too small for the model to read all of it; the tools did.")
                break
            found += await by_model(runtime.context, spec, file)
    merged = merge(found)
    update: State = {"findings": merged[:MOST], "notes": [*state.get("notes", []), *notes]}
    return Command(update=update, goto="document" if spec.mode == "generate" and not spec.repository else "report")


def reviewed_files(state: State) -> list[File]:
    """What a review looks at: the files that were made, or those that were given."""
    spec = state["spec"]
    if spec.mode == "generate" and not spec.repository:
        best = best_of(state)
        return [solution(spec, best.code)] if best else []
    return (state.get("made") or state.get("files", []))[:MOST_FILES]


def _spent(context: Context) -> bool:
    return context.ledger.seconds > SHARE * context.ledger.budget.seconds


async def by_tools(files: list[File], spec: Spec, bench: Bench) -> tuple[list[Finding], list[str]]:
    """The findings of linters, type checkers, compilers and our own rules, and what is missing of them."""
    by_language = defaultdict[Language, list[File]](list)
    for file in files:
        by_language[language_of_file(file.path) or spec.language].append(file)
    found, notes = list[Finding](), list[str]()
    for language, some in by_language.items():
        told, missing = await lint(some, language, bench)
        own = [each for file in some for each in await asyncio.to_thread(check, file, language)]
        found += told + own
        notes += missing
    return found, notes


async def by_model(context: Context, spec: Spec, file: File) -> list[Finding]:
    """What the model finds, as far as it stands on a line that is there."""
    try:
        said = await compose(context, "coding", prompting.review(spec, file.text), SaidAll, most_tokens=TOKENS)
    except EngineFailed:
        return []
    return [finding for each in said.findings if (finding := placed(each, file))]


def placed(said: Said, file: File) -> Finding | None:
    """The finding at the line that it quotes; None when no line reads so."""
    wanted = _plain(said.quote)
    if len(wanted) < 3 or not said.message.strip():
        return None
    for number, line in enumerate(file.text.splitlines(), 1):
        if wanted == _plain(line) or (len(wanted) > 8 and wanted in _plain(line)):
            return Finding(
                path=file.path,
                line=number,
                kind=said.kind,
                severity=said.severity,
                message=" ".join(said.message.split()),
                tool=MODEL,
                quote=line.strip()[:200],
            )
    return None


def _plain(line: str) -> str:
    return re.sub(r"\s+", "", line).strip("`'\"")


def merge(found: list[Finding]) -> list[Finding]:
    """One finding for each line and kind, the gravest one with the tools that also saw it; the gravest come first."""
    by_place = defaultdict[tuple[str, int, str], list[Finding]](list)
    for each in found:
        by_place[each.path, each.line, each.kind].append(each)
    merged = list[Finding]()
    for some in by_place.values():
        first, *others = sorted(some, key=lambda each: (each.tool == MODEL, _RANK[each.severity]))
        tools = list(dict.fromkeys(each.tool for each in (first, *others)))
        messages = list(dict.fromkeys(each.message for each in (first, *others)))
        merged.append(first.model_copy(update={"tool": ", ".join(tools), "message": " ".join(messages[:2])}))
    return sorted(merged, key=lambda each: (_RANK[each.severity], each.path, each.line))
