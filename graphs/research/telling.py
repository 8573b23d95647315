"""From the state to the answer: the summary's sentences checked, the report written, its files kept."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from graphs.artefacts import keep
from graphs.events import Answer, Artefact, Citation
from graphs.research.report import Material, citations_of, markdown, numbered, plain, quoted, renumbered, result_of
from graphs.research.state import Claim, Finding, Format, Missed, Plan, State
from graphs.temporal.verify import judge_all
from tools.bench import Bench
from tools.errors import SutradharError
from tools.publish import MEDIA_TYPES, render

STATEMENTS, SUMMARY_TOKENS = 8, 150
_OF_STATEMENTS = re.compile(
    r",?\s*\(?(?:as (?:stated|mentioned|noted|described) )?(?:in|by|according to) (?:the )?statements?\b\)?"
    r"(?=\s*(?:\[|[.,;]|$))",
    re.IGNORECASE,
)
QUOTED = 3
"""Findings that stand for a summary where no model wrote one that the sources support."""


def statements(state: State) -> list[Citation]:
    """The best finding of each question in turn, numbered for a model; long ones are left to the evidence table."""
    claims = {each.id: each for each in state["claims"]}
    return [
        Citation(
            n=n, source="", media="", modality="page", text=f"{each.about}: {each.quote}" if each.about else each.quote
        )
        for n, each in enumerate(_leading(state, claims), 1)
    ]


def _leading(state: State, claims: Mapping[int, Claim]) -> list[Claim]:
    # what a later source contradicts is for the disagreements, not for the summary
    outdated = {id for each in state.get("conflicts") or [] for id in (each.one, each.other) if each.newer is not None}
    outdated -= {each.newer for each in state.get("conflicts") or [] if each.newer is not None}
    findings = [each for each in state["findings"] if each.claims[0] not in outdated]
    ranked = sorted(findings, key=lambda each: (-each.sources, -claims[each.claims[0]].fit))
    per_question = list[Finding]()
    for question in sorted({each.question for each in findings}):
        per_question += [each for each in ranked if each.question == question][:1]
    rest = [each for each in ranked if each not in per_question]
    leading = [claims[each.claims[0]] for each in [*per_question, *rest]]
    return [each for each in leading if len(each.quote) <= 300][:STATEMENTS]


def summary_of(state: State, said: str) -> str:
    """What the sources support of a model's summary, with the marks of its statements as ids of claims.

    The marks are kept as `[id + 1]` until the references have numbers.
    """
    told, claims = statements(state), {each.id: each for each in state["claims"]}
    leading = _leading(state, claims)
    said = _OF_STATEMENTS.sub("", said)
    kept = list({each.text: each for each in judge_all(said, told, "") if each.verdict == "supported"}.values())
    if kept:
        return " ".join(
            f"{plain(each.text)} {''.join(f'[{leading[mark.n - 1].id + 1}]' for mark in each.evidence)}"
            for each in kept
        )
    return " ".join(f"{quoted(each.quote)} [{each.id + 1}]" for each in leading[:QUOTED])


def material_of(state: Mapping[str, Any] | State, *, complete: bool | None = None) -> Material:
    """What a report can be made of at this point of the work; what is not there yet is named as missing."""
    asked = state.get("plan") or Plan(topic=state.get("topic", ""), questions=(state.get("topic", ""),), language="en")
    sources = {each.n: each for each in state.get("sources") or state.get("read") or []}
    claims = {each.id: each for each in state.get("claims") or []}
    findings = state.get("findings")
    if findings is None:
        findings = [Finding(claims=(each.id,), question=each.question, sources=1) for each in claims.values()]
    missed = [*state.get("missed", []), *_undone(state)]
    whole = not state.get("spent") and not _undone(state) if complete is None else complete
    return Material(
        plan=asked,
        sources=sources,
        claims=claims,
        findings=findings,
        conflicts=state.get("conflicts") or [],
        trends=state.get("trends") or [],
        summary=state.get("summary") or "",
        missed=missed,
        complete=whole,
    )


def _undone(state: Mapping[str, Any] | State) -> list[Missed]:
    """The steps that were never reached; a search that found nothing leaves nothing to do."""
    if state.get("chosen") == []:
        return []
    steps = {
        "plan": "Planning",
        "chosen": "Searching",
        "claims": "Quoting what was read",
        "findings": "Comparing the sources",
        "trends": "Looking for trends",
    }
    return [
        Missed(what=what, reason="The run ended before it.") for name, what in steps.items() if state.get(name) is None
    ]


def answer_of(material: Material, artefacts: Sequence[Artefact] = ()) -> Answer:
    """The report as an answer; without a finding it says honestly that nothing was found."""
    references = numbered(material)
    told = {claim + 1: n for claim, n in material.numbers.items()}
    material = replace(material, summary=renumbered(material.summary, told))
    result = result_of(material, references)
    return Answer(
        text=markdown(material, references),
        answered=bool(references),
        citations=citations_of(material),
        result=result.model_dump(mode="json"),
        artefacts=tuple(artefacts),
    )


async def publish(bench: Bench, material: Material, formats: Sequence[Format]) -> Answer:
    """The answer with its files; a format that cannot be made here is named, and the others are kept."""
    files, missed = list[Artefact](), list[Missed]()
    text, title = answer_of(material).text, material.plan.topic[:100]
    for each in dict.fromkeys(formats):
        try:
            if each == "markdown":
                files.append(await keep(bench, "report.md", "text/markdown", text.encode()))
            else:
                data = await render(text, each, title, material.plan.language)
                files.append(await keep(bench, f"report.{each}", MEDIA_TYPES[each], data))
        except SutradharError as error:
            missed.append(Missed(what=f"The report as {each}", reason=error.message))
    if missed:
        material = replace(material, missed=[*material.missed, *missed])
    return answer_of(material, files)


def conclude(state: Mapping[str, Any], spoken: str) -> Answer | None:
    """The state's answer, or the report of a run that was cut short."""
    answer = state.get("answer")
    if isinstance(answer, Answer):
        return answer
    return answer_of(material_of(state, complete=False))
