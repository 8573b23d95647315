"""Inputs near the examples: no one knows their right results, but versions of the code that agree on them are more
often right than those that do not (Chen et al., CodeT, arXiv 2207.10397).
"""

import ast
import copy
from collections import Counter
from collections.abc import Iterator, Sequence

from graphs.coding.state import Candidate, Case

MOST = 12
FAILED = "raised"


def probes(cases: Sequence[Case]) -> list[str]:
    """Calls with one argument changed, taken in turn from each example."""
    turns = [_varied(case.call) for case in cases if not case.setup][:6]
    found = list[str]()
    while turns and len(found) < MOST:
        for turn in list(turns):
            each = next(turn, None)
            if each is None:
                turns.remove(turn)
            elif each not in found and all(each != case.call for case in cases):
                found.append(each)
    return found[:MOST]


def _varied(call: str) -> Iterator[str]:
    try:
        tree = ast.parse(call, mode="eval").body
    except SyntaxError:
        return
    if not isinstance(tree, ast.Call):
        return
    for n, argument in enumerate(tree.args):
        try:
            value = ast.literal_eval(argument)
        except ValueError:
            continue
        for other in variants(value):
            changed = copy.deepcopy(tree)
            changed.args[n] = ast.parse(repr(other), mode="eval").body
            yield ast.unparse(changed)


def variants(value: object) -> list[object]:  # noqa: PLR0911 - one kind, one return
    """Values of the same kind near this one: mixed, halved, longer, empty."""
    match value:
        case bool():
            return [not value]
        case int():
            return [value + 1, max(value - 1, 0), value * 2 + 1]
        case float():
            return [value + 0.5, value * 2]
        case str():
            return [value[::-1], value[: len(value) // 2 + 1], value + value.swapcase()]
        case list():
            return [value[::-1], value[: len(value) // 2 + 1], value + value[:2]]
        case tuple():
            return [value[::-1]]
        case _:
            return []


def agreed(candidates: Sequence[Candidate]) -> Candidate:
    """The best version: most expectations met, then most others that give the same values, then the earlier one."""
    top = max(each.score for each in candidates)
    best = [each for each in candidates if each.score == top]
    votes = Counter(value for each in best for value in enumerate(each.vector) if not value[1].startswith(FAILED))
    return max(best, key=lambda each: sum(votes[value] for value in enumerate(each.vector)))
