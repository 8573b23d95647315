"""The report: Markdown made by code from what was read and checked. No model writes a reference, a link or a figure."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from graphs.events import Citation
from graphs.research.state import (
    Claim,
    Conflict,
    Disagreement,
    Evidence,
    Finding,
    Missed,
    Plan,
    Reference,
    Research,
    Source,
    Trend,
)
from graphs.temporal.phrases import span
from graphs.temporal.words import marks

FINDINGS = 6
"""Findings of one question in the report; the evidence table has the rest."""

_SPECIAL = re.compile(r"([\\`*{}\[\]<>|~]|(?<!\w)_|_(?!\w))")
_ADDRESS = re.compile(r"://|\bwww\.|\bmailto:", re.IGNORECASE)
_TITLE = 120


@dataclass(frozen=True)
class Material:
    """What a report is made of; `numbers` are the references of the claims, which `numbered` fills in."""

    plan: Plan
    sources: Mapping[int, Source]
    claims: Mapping[int, Claim]
    findings: Sequence[Finding]
    conflicts: Sequence[Conflict]
    trends: Sequence[Trend]
    summary: str = ""
    missed: Sequence[Missed] = ()
    complete: bool = True
    numbers: dict[int, int] = field(default_factory=dict)

    def number(self, claim: int) -> int:
        """The number of the reference that a claim stands on."""
        return self.numbers[claim]


def numbered(material: Material) -> list[Reference]:
    """The references in order of first use: a web page is one, a moment of a recording, a page of a document."""
    found, references = dict[tuple[int, str], int](), list[Reference]()
    for claim in _in_order(material):
        source = material.sources[claim.source]
        key = (source.n, _place(claim))
        if key not in found:
            found[key] = len(found) + 1
            references.append(_reference(material, source, key[1], found[key]))
        material.numbers[claim.id] = found[key]
    return references


def _in_order(material: Material) -> list[Claim]:
    ids = [id for each in material.findings for id in each.claims]
    ids += [id for each in material.conflicts for id in (each.one, each.other)]
    ids += [point.claim for each in material.trends for point in each.points]
    return [material.claims[id] for id in dict.fromkeys(ids)]


def _place(claim: Claim) -> str:
    if claim.start is not None:
        return span(claim.start, claim.end)
    return f"page {claim.page}" if claim.page else ""


def _reference(material: Material, source: Source, place: str, n: int) -> Reference:
    same = [each.url or each.name for each in material.sources.values() if each.same_as == source.n]
    return Reference(
        n=n,
        source=source.name,
        place=place,
        url=source.url,
        published=source.published,
        accessed=source.accessed.date().isoformat() if source.accessed else "",
        copies=tuple(same),
    )


def result_of(material: Material, references: Sequence[Reference]) -> Research:
    """The same as data."""
    evidence = [_evidence(material, material.claims[id], each) for each in material.findings for id in each.claims]
    strength = {id: each for each in material.findings for id in each.claims}
    return Research(
        topic=material.plan.topic,
        questions=list(material.plan.questions),
        summary=material.summary,
        evidence=evidence,
        disagreements=[
            Disagreement(
                one=_evidence(material, material.claims[each.one], strength.get(each.one)),
                other=_evidence(material, material.claims[each.other], strength.get(each.other)),
                reason=each.reason,
                newer=material.number(each.newer) if each.newer is not None else None,
            )
            for each in material.conflicts
        ],
        trends=list(material.trends),
        references=list(references),
        open_questions=_open(material),
        missing=[f"{each.what}: {each.reason}" for each in material.missed],
        read=len(material.sources),
        complete=material.complete,
    )


def _evidence(material: Material, claim: Claim, finding: Finding | None) -> Evidence:
    return Evidence(
        quote=claim.quote,
        reference=material.number(claim.id),
        question=claim.question,
        sources=finding.sources if finding else 1,
    )


def citations_of(material: Material) -> list[Citation]:
    """A citation for each reference, with the first quotation that stands on it."""
    cited = dict[int, Citation]()
    for claim in _in_order(material):
        n, source = material.number(claim.id), material.sources[claim.source]
        cited.setdefault(
            n,
            Citation(
                n=n,
                source=source.name,
                media=source.media,
                modality=claim.modality,
                text=claim.quote,
                start=claim.start,
                end=claim.end,
                page=claim.page,
                score=claim.fit,
                segment=claim.segment,
                url=source.url,
            ),
        )
    return list(cited.values())


def _open(material: Material) -> list[str]:
    answered = {each.question for each in material.findings}
    return [each for index, each in enumerate(material.plan.questions) if index not in answered]


def markdown(material: Material, references: Sequence[Reference]) -> str:
    """The whole report."""
    plan, parts = material.plan, list[str]()
    asked = [index for index in range(len(plan.questions)) if any(f.question == index for f in material.findings)]
    parts += [f"# {plain(plan.topic)[:_TITLE]}"]
    if not material.complete:
        parts += ["**This report is partial.** What is missing stands at its end."]
    parts += [material.summary] if material.summary else []
    parts += ["## Outline", _outline(material, asked)] if asked else []
    if asked:
        parts += ["## Findings"]
    for index in asked:
        parts += [f"### {plain(plan.questions[index])}", _findings(material, index)]
    parts += ["## Trends", *(_trend(material, each) for each in material.trends)] if material.trends else []
    parts += ["## Disagreements", *(_conflict(material, each) for each in material.conflicts)] if asked else []
    if asked and not material.conflicts:
        parts += ["No two sources were found to contradict each other."]
    parts += ["## Evidence", _table(material)] if asked else []
    parts += ["## Open questions", *_questions(material)]
    parts += ["## References", *(_entry(each) for each in references)] if references else []
    return "\n\n".join(parts) + "\n"


def _outline(material: Material, asked: Sequence[int]) -> str:
    lines = [f"{number}. {plain(material.plan.questions[index])}" for number, index in enumerate(asked, 1)]
    return "\n".join(lines)


def _findings(material: Material, index: int) -> str:
    some = [each for each in material.findings if each.question == index][:FINDINGS]
    disputed = {id for each in material.conflicts for id in (each.one, each.other)}
    lines = list[str]()
    for each in some:
        best = material.claims[each.claims[0]]
        numbers = dict.fromkeys(material.number(id) for id in each.claims)
        notes = [f"{each.sources} sources agree" if each.sources > 1 else "one source"]
        notes += ["disputed"] if disputed & set(each.claims) else []
        lines.append(f"- {quoted(best.quote)} {''.join(f'[{n}]' for n in numbers)} ({', '.join(notes)})")
    return "\n".join(lines)


def _trend(material: Material, trend: Trend) -> str:
    points = "; ".join(f"{each.year}: {plain(each.text)} [{material.number(each.claim)}]" for each in trend.points)
    return f"- **{plain(trend.what)}**, {trend.direction}: {points}"


def _conflict(material: Material, conflict: Conflict) -> str:
    sides = list[str]()
    for id in (conflict.one, conflict.other):
        claim = material.claims[id]
        source = material.sources[claim.source]
        when = source.published or "undated"
        sides.append(f"{quoted(claim.quote)} [{material.number(id)}] ({when})")
    newer = ""
    if conflict.newer is not None:
        newer = f" The later source is [{material.number(conflict.newer)}]; the other may be out of date."
    how = " (a model judged this)" if conflict.judged_by == "model" else ""
    return f"- {plain(conflict.reason).capitalize()}{how}: {sides[0]} — {sides[1]}.{newer}"


def _table(material: Material) -> str:
    rows = ["| quotation | reference | date | sources |", "|---|---|---|---|"]
    for finding in material.findings:
        for id in finding.claims:
            claim = material.claims[id]
            date = material.sources[claim.source].published or "undated"
            rows.append(f"| {quoted(claim.quote)} | [{material.number(id)}] | {date} | {finding.sources} |")
    return "\n".join(rows)


def _questions(material: Material) -> list[str]:
    lines = [f"- No source that was read answers: {plain(each)}" for each in _open(material)]
    single = sum(each.sources == 1 for each in material.findings)
    if single:
        lines.append(f"- {single} of {len(material.findings)} findings stand on one source only.")
    lines += [f"- Not done: {plain(each.what)}: {plain(each.reason)}" for each in material.missed]
    return lines or ["None."]


def _entry(reference: Reference) -> str:
    told = [plain(reference.source)]
    told += [reference.place] if reference.place else []
    told += [reference.published or "undated"]
    told += [f"<{reference.url}>"] if reference.url else []
    told += [f"accessed {reference.accessed}"] if reference.accessed else []
    told += [f"the same text also at {', '.join(map(_link, reference.copies))}"] if reference.copies else []
    return f"[{reference.n}] {'. '.join(told)}."


def _link(copy: str) -> str:
    return f"<{copy}>" if copy.startswith(("http://", "https://")) else plain(copy)


def quoted(text: str) -> str:
    return f"«{plain(text)}»"


def plain(text: str) -> str:
    """Somebody else's words as text that no Markdown reader takes for markup, a link or a picture."""
    bare = " ".join(word for word in text.split() if not _ADDRESS.search(word))
    return _SPECIAL.sub(r"\\\1", bare)


def renumbered(summary: str, numbers: Mapping[int, int]) -> str:
    """The marks of a summary, which count its statements, as the numbers of the references."""
    for mark in marks(summary):
        summary = summary.replace(f"[{mark}]", f"[\x00{numbers.get(mark, 0)}]")
    return summary.replace("[\x000]", "").replace("\x00", "")
