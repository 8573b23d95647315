"""Shots gathered into scenes that a reader can follow, as many as a description has room for."""

from collections.abc import Sequence
from itertools import pairwise

from graphs.video.state import Scene
from ingestion.timeline import ShotSeen, Timeline

MOST = {"low": 12, "medium": 40, "high": 150}
"""Scenes of a description, by its detail."""


def scenes_of(timeline: Timeline, most: int) -> list[Scene]:
    """The shots in order; where there are more than `most`, neighbours stand together."""
    shots = sorted((each for each in timeline.shots if each.end > each.start), key=lambda shot: shot.start)
    groups = _grouped(shots, most)
    first_of = {id(shot): number for number, group in enumerate(groups, 1) for shot in group}
    scenes = list[Scene]()
    for number, group in enumerate(groups, 1):
        longest = max(group, key=lambda shot: shot.end - shot.start)
        scenes.append(
            Scene(
                number=number,
                start=group[0].start,
                end=group[-1].end,
                shots=len(group),
                image=longest.image,
                same_as=_again(group, timeline.shots, first_of, number),
            )
        )
    return scenes


def _again(group: Sequence[ShotSeen], shots: Sequence[ShotSeen], scene: dict[int, int], number: int) -> int | None:
    """The earlier scene that a scene of one shot shows again."""
    if len(group) > 1 or (shot := group[0].repeats) is None or shot >= len(shots):
        return None
    earlier = scene.get(id(shots[shot]))
    return earlier if earlier is not None and earlier < number else None


def _grouped(shots: Sequence[ShotSeen], most: int) -> list[list[ShotSeen]]:
    groups = [[shot] for shot in shots]
    while len(groups) > most:
        lengths = [group[-1].end - group[0].start for group in groups]
        pairs = [one + other for one, other in pairwise(lengths)]
        # a whole round at once, the shortest neighbours first: one by one would be slow for thousands of shots
        merged = set[int]()
        for at in sorted(range(len(pairs)), key=pairs.__getitem__):
            if len(groups) - len(merged) <= most:
                break
            if not {at - 1, at, at + 1} & merged:
                merged.add(at)
        groups = _joined(groups, merged)
    return groups


def _joined(groups: Sequence[list[ShotSeen]], merged: set[int]) -> list[list[ShotSeen]]:
    result, at = list[list[ShotSeen]](), 0
    while at < len(groups):
        if at in merged:
            result.append([*groups[at], *groups[at + 1]])
            at += 2
        else:
            result.append(groups[at])
            at += 1
    return result
