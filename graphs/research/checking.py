"""Claims against each other: which are copies, which agree, which cannot both hold, and what changed over the years."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from itertools import combinations, pairwise

from graphs.research.comparing import Said, compare, said, shared
from graphs.research.figures import Figure, year_of
from graphs.research.passages import copies
from graphs.research.state import Claim, Conflict, Direction, Finding, Point, Source, Trend
from graphs.temporal.words import content

ONE_THING = 0.6
"""Share of words that two dated figures of one thing have in common."""

DATED_FIGURES = 3
MOST_CONFLICTS = 40
MOST_TRENDS = 10
_STEADY = 0.01


def without_copies(read: Sequence[Source]) -> list[Source]:
    """The sources in order, each that repeats an earlier one marked so: syndicated pages are one voice."""
    kept = list[Source]()
    for each in sorted(read, key=lambda source: source.n):
        first = next((one for one in kept if one.same_as is None and copies(one.sketch, each.sketch)), None)
        kept.append(each.model_copy(update={"same_as": first.n if first else None}))
    return kept


def weigh(
    claims: Sequence[Claim], sources: Mapping[int, Source]
) -> tuple[list[Finding], list[Conflict], list[tuple[int, int]]]:
    """Findings (claims that agree), conflicts, and pairs that the rules could not tell; copies are not heard."""
    heard = [each for each in claims if sources[each.source].same_as is None]
    read = {each.id: said(each.quote, each.about) for each in heard}
    agreeing, conflicts, unsure = list[tuple[int, int]](), list[Conflict](), list[tuple[int, int]]()
    for one, other in combinations(heard, 2):
        found = compare(read[one.id], read[other.id])
        match found.relation:
            case "agree":
                agreeing.append((one.id, other.id))
            case "contradict" if one.source != other.source:
                newer = _newer(one, other, sources)
                conflicts.append(Conflict(one=one.id, other=other.id, reason=found.reason, newer=newer))
            case "unsure" if one.source != other.source:
                unsure.append((one.id, other.id))
            case _:
                pass
    return _findings(heard, agreeing), _distinct(conflicts, agreeing)[:MOST_CONFLICTS], unsure


def _newer(one: Claim, other: Claim, sources: Mapping[int, Source]) -> int | None:
    mine, theirs = sources[one.source].published, sources[other.source].published
    if not mine or not theirs or mine == theirs:
        return None
    return one.id if mine > theirs else other.id


def _findings(claims: Sequence[Claim], agreeing: Sequence[tuple[int, int]]) -> list[Finding]:
    leader = {each.id: each.id for each in claims}

    def find(id: int) -> int:
        while leader[id] != id:
            id = leader[id]
        return id

    for one, other in agreeing:
        low, high = sorted((find(one), find(other)))
        leader[high] = low
    groups = defaultdict[int, list[Claim]](list)
    for each in claims:
        groups[find(each.id)].append(each)
    findings = [
        Finding(
            claims=tuple(each.id for each in sorted(group, key=lambda claim: -claim.fit)),
            question=max(group, key=lambda claim: claim.fit).question,
            sources=len({each.source for each in group}),
        )
        for group in groups.values()
    ]
    fits = {each.id: each.fit for each in claims}
    return sorted(findings, key=lambda each: (each.question, -each.sources, -fits[each.claims[0]]))


def _distinct(conflicts: Sequence[Conflict], agreeing: Sequence[tuple[int, int]]) -> list[Conflict]:
    """One conflict for each pair of sides: what agrees with a side is on it."""
    side = dict[int, int]()
    for one, other in agreeing:
        side[max(one, other)] = side.get(min(one, other), min(one, other))
    seen, kept = set[tuple[int, int]](), list[Conflict]()
    for each in conflicts:
        low, high = sorted((side.get(each.one, each.one), side.get(each.other, each.other)))
        if (low, high) not in seen:
            seen.add((low, high))
            kept.append(each)
    return kept


def developments(claims: Sequence[Claim], sources: Mapping[int, Source]) -> list[Trend]:
    """Figures of one thing in at least three years; a year with two different figures is left to the conflicts."""
    dated = [
        (claim, read, figure, year)
        for claim in claims
        if sources[claim.source].same_as is None
        for read in (said(claim.quote, claim.about),)
        for figure in read.figures
        if figure.unit and (year := year_of(figure, read.text)) is not None
    ]
    groups = list[list[tuple[Claim, Said, Figure, int]]]()
    for each in dated:
        fitting = (g for g in groups if g[0][2].unit == each[2].unit and _one_thing(g[0][1], each[1]))
        group = next(fitting, None)
        if group is None:
            groups.append([each])
        else:
            group.append(each)
    trends = (_trend(group) for group in groups)
    return [each for each in trends if each is not None][:MOST_TRENDS]


def _one_thing(one: Said, other: Said) -> bool:
    return shared(one.words, other.words) >= ONE_THING


def _trend(group: Sequence[tuple[Claim, Said, Figure, int]]) -> Trend | None:
    by_year = defaultdict[int, list[tuple[Claim, Figure]]](list)
    for claim, _, figure, year in group:
        by_year[year].append((claim, figure))
    points = [
        Point(year=year, value=some[0][1].value, claim=some[0][0].id)
        for year, some in sorted(by_year.items())
        if len({round(figure.value, 6) for _, figure in some}) == 1
    ]
    if len(points) < DATED_FIGURES:
        return None
    common = set.intersection(*(set(read.words) for _, read, _, _ in group))
    first = group[0][0]
    kept = [word for word in f"{first.about} {first.quote}".split() if set(content(word)) & common]
    unit = group[0][2].unit
    return Trend(
        what=" ".join(kept)[:80].strip(" ,.;:") or unit, unit=unit, points=tuple(points), direction=_direction(points)
    )


def _direction(points: Sequence[Point]) -> Direction:
    changes = [later.value - earlier.value for earlier, later in pairwise(points)]
    size = max(abs(each.value) for each in points) * _STEADY
    if all(abs(each) <= size for each in changes):
        return "steady"
    if all(each >= -size for each in changes):
        return "rising"
    return "falling" if all(each <= size for each in changes) else "mixed"
