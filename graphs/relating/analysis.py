"""A text, an image and a video looked at together."""

from collections.abc import Mapping
from contextlib import aclosing
from datetime import UTC, datetime
from typing import Any

from pydantic import BaseModel, ConfigDict

from graphs.relating.images import ImageSeen, look, of_image
from graphs.relating.relations import Part, Passage, Relation, of_text, of_video, relate
from graphs.relating.texts import TextSeen, read
from ingestion.timeline import Timeline
from ingestion.watch import watch
from tools.bench import Bench
from tools.media.store import Media


class Analysis(BaseModel):
    """What was found in each part that was sent, and what occurs in several of them."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    text: TextSeen | None = None
    context: TextSeen | None = None
    image: ImageSeen | None = None
    video: Timeline | None = None
    relations: list[Relation] = []
    summary: str


async def analyze(
    texts: Mapping[Part, str], image: tuple[Media, tuple[int, int]] | None, video: Media | None, bench: Bench
) -> Analysis:
    """Look at each part. Raises what makes a part unreadable; a sense that is not installed is told in its part."""
    now = datetime.now(UTC)
    seen = {part: read(text, now) for part, text in texts.items()}
    passages = [each for part, text in texts.items() for each in of_text(part, text)]
    parts: dict[str, Any] = dict(seen.items())
    if image is not None:
        parts["image"] = await look(image[0].sha256, image[1], bench)
        passages += of_image(parts["image"])
    if video is not None:
        parts["video"] = await _watched(video, bench)
        passages += of_video(parts["video"])
    relations = relate(passages, seen, now)
    return Analysis(**parts, relations=relations, summary=_summary(parts, passages, relations))


async def _watched(video: Media, bench: Bench) -> Timeline:
    """The last of a medium's timelines."""
    async with aclosing(watch(video, bench)) as timelines:  # type: ignore[type-var]
        known = [timeline async for timeline in timelines]
    return known[-1]


def _summary(parts: Mapping[str, Any], passages: list[Passage], relations: list[Relation]) -> str:
    """In plain sentences, of what was found and of nothing else."""
    told = list[str]()
    for part in ("text", "context"):
        if (seen := parts.get(part)) is not None:
            named = f", naming {_some([each.name for each in seen.names])}" if seen.names else ""
            told.append(
                f"The {part} has {_count(seen.sentences, 'sentence')} in {seen.language or 'no known language'}{named}."
            )
    if (image := parts.get("image")) is not None:
        told.append(
            f"The image shows {_some([each.label for each in image.objects]) or 'no thing that is known here'}."
        )
        if image.lines:
            told.append(f"On it stands: {_some([f'«{each.text}»' for each in image.lines])}.")
    if (video := parts.get("video")) is not None:
        things = list(dict.fromkeys(each.text for each in passages if each.part == "video" and each.seen))
        shown = f", showing {_some(things)}" if things else ""
        told.append(f"The video lasts {video.duration:.1f} s in {_count(len(video.shots), 'shot')}{shown}.")
    if len(parts) > 1:
        shared = [f"«{each.what}» ({' and '.join(each.parts)})" for each in relations]
        told.append(
            f"In several of them: {_some(shared)}." if shared else "Nothing was found that several of them share."
        )
    return " ".join(told)


def _some(words: list[str], most: int = 8) -> str:
    once = list(dict.fromkeys(words))
    more = f" and {len(once) - most} more" if len(once) > most else ""
    return ", ".join(once[:most]) + more


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
