"""Claims against each other: which are copies, which agree, which cannot both hold, and what changed over the years."""

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from itertools import combinations, pairwise

from graphs.research.comparing import Said, common_words, compare, nearness, said
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
_Dated = tuple[Claim, Said, Figure, int]


def without_copies(read: Sequence[Source]) -> list[Source]:
    """The sources in order, each that repeats an earlier one marked so: syndicated pages are one voice."""
    kept = list[Source]()
    for each in sorted(read, key=lambda source: source.n):
        first = next((one for one in kept if one.same_as is None and copies(one.sketch, each.sketch)), None)
        kept.append(each.model_copy(update={"same_as": first.n if first else None}))
    return kept


def weigh(
    claims: Sequence[Claim], sources: Mapping[int, Source], topic: str
) -> tuple[list[Finding], list[Conflict], list[tuple[int, int]]]:
    """Findings (claims that agree), conflicts, and pairs that the rules could not tell; copies are not heard."""
    heard = [each for each in claims if sources[each.source].same_as is None]
    read = {each.id: said(each.quote, each.about) for each in heard}
    common = common_words(list(read.values()), topic)
    agreeing, conflicts, unsure = list[tuple[int, int]](), list[Conflict](), list[tuple[int, int]]()
    for one, other in combinations(heard, 2):
        found = compare(read[one.id], read[other.id], common)
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
    return _findings(heard, agreeing, conflicts), _distinct(conflicts, agreeing)[:MOST_CONFLICTS], unsure


def _newer(one: Claim, other: Claim, sources: Mapping[int, Source]) -> int | None:
    mine, theirs = sources[one.source].published, sources[other.source].published
    if not mine or not theirs or mine == theirs:
        return None
    return one.id if mine > theirs else other.id


def _findings(
    claims: Sequence[Claim], agreeing: Sequence[tuple[int, int]], conflicts: Sequence[Conflict]
) -> list[Finding]:
    """Claims that agree, together; a group never holds two that conflict, whatever stands between them."""
    group = {each.id: {each.id} for each in claims}
    against = defaultdict[int, set[int]](set)
    for each in conflicts:
        against[each.one].add(each.other)
        against[each.other].add(each.one)
    for one, other in agreeing:
        mine, theirs = group[one], group[other]
        if mine is not theirs and not any(against[id] & theirs for id in mine):
            mine |= theirs
            for id in theirs:
                group[id] = mine
    by_id = {each.id: each for each in claims}
    groups = {min(ids): [by_id[id] for id in sorted(ids)] for ids in group.values()}
    findings = [
        Finding(
            claims=tuple(each.id for each in sorted(some, key=lambda claim: -claim.fit)),
            question=max(some, key=lambda claim: claim.fit).question,
            sources=len({each.source for each in some}),
        )
        for some in groups.values()
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


def developments(claims: Sequence[Claim], sources: Mapping[int, Source], topic: str) -> list[Trend]:
    """Figures of one thing in at least three years; a year with two different figures is left to the conflicts."""
    heard = [each for each in claims if sources[each.source].same_as is None]
    read = {each.id: said(each.quote, each.about) for each in heard}
    common, groups = common_words(list(read.values()), topic), list[list[_Dated]]()
    dated = [
        (claim, read[claim.id], figure, year)
        for claim in heard
        for figure in read[claim.id].figures
        if figure.unit and (year := year_of(figure, read[claim.id].text)) is not None
    ]
    for each in dated:
        fitting = (
            g for g in groups if g[0][2].unit == each[2].unit and nearness(g[0][1], each[1], common) >= ONE_THING
        )
        group = next(fitting, None)
        if group is None:
            groups.append([each])
        else:
            group.append(each)
    trends = (_trend(group) for group in groups)
    return [each for each in trends if each is not None][:MOST_TRENDS]


def _trend(group: Sequence[_Dated]) -> Trend | None:
    by_year = defaultdict[int, list[tuple[Claim, Figure]]](list)
    for claim, _, figure, year in group:
        by_year[year].append((claim, figure))
    points = [
        Point(year=year, value=some[0][1].value, text=some[0][1].text, claim=some[0][0].id)
        for year, some in sorted(by_year.items())
        if len({round(figure.value, 6) for _, figure in some}) == 1
    ]
    if len(points) < DATED_FIGURES:
        return None
    common = set.intersection(*(set(read.words) for _, read, _, _ in group))
    first = group[0][0]
    kept = [word for word in re.findall(r"[^\W\d]+", f"{first.about} {first.quote}") if set(content(word)) & common]
    unit = group[0][2].unit
    return Trend(what=" ".join(kept)[:80] or unit, unit=unit, points=tuple(points), direction=_direction(points))


def _direction(points: Sequence[Point]) -> Direction:
    changes = [later.value - earlier.value for earlier, later in pairwise(points)]
    size = max(abs(each.value) for each in points) * _STEADY
    if all(abs(each) <= size for each in changes):
        return "steady"
    if all(each >= -size for each in changes):
        return "rising"
    return "falling" if all(each <= size for each in changes) else "mixed"
