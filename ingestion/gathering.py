"""The timeline of a medium, gathered from what its stages left behind; it is kept, and read back by who tells of it."""

from collections.abc import Sequence

from pydantic import TypeAdapter

from ingestion.frames import PICTURES
from ingestion.frames import VERSION as FRAMES_VERSION
from ingestion.glance import Glance
from ingestion.looking import Look
from ingestion.remembering import Job
from ingestion.scenes import scenes
from ingestion.senses import looked
from ingestion.stages import keep, recall, result_ref
from ingestion.timeline import Pass, Timeline
from ingestion.tracks import tracks
from knowledge.segment import Segment
from tools.bench import Bench
from tools.errors import NotInstalled
from tools.faces import FACE_LANDMARKS
from tools.media.probe import Probe
from tools.vision import OBJECT_DETECTION

VERSION = "1"
_TIMELINE = TypeAdapter(Timeline)
_LOOKING = (("objects", OBJECT_DETECTION), ("faces", FACE_LANDMARKS))


async def known(sha: str, bench: Bench) -> Timeline | None:
    """What has been watched of a medium so far."""
    return await recall(bench, result_ref(sha, "timeline", VERSION), _TIMELINE)


async def keep_timeline(timeline: Timeline, bench: Bench) -> None:
    await keep(bench, result_ref(timeline.source, "timeline", VERSION), _TIMELINE, timeline)


def at_a_glance(glanced: Glance, name: str, sha: str, probe: Probe, segments: Sequence[Segment]) -> Timeline:
    """What a first look came to."""
    pictures = glanced.pictures
    return bare(name, sha, probe).model_copy(
        update={
            "shots": scenes(pictures.shots, pictures.pictures),
            "tracks": tracks(glanced.looks, pictures.shots),
            "segments": in_order(segments),
            "passes": [
                Pass(
                    name="coarse",
                    step=glanced.step,
                    senses=[each for each in ("objects", "faces", "screen_text") if each not in glanced.missing],
                    missing=glanced.missing,
                )
            ],
            "notes": ["This is a first look; the video is still being watched."],
        }
    )


async def gathered(job: Job, name: str, passes: Sequence[Pass], notes: Sequence[str], *, complete: bool) -> Timeline:
    """What the stages of a job have come to."""
    pictures = await recall(job.bench, result_ref(job.sha, "frames", FRAMES_VERSION), PICTURES)
    looks = [look for stage, capability in _LOOKING for look in await _looked(job, stage, capability)]
    shots = pictures.shots if pictures else []
    return bare(name, job.sha, job.probe).model_copy(
        update={
            "shots": scenes(shots, pictures.pictures) if pictures else [],
            "tracks": tracks(looks, shots),
            "segments": in_order(job.writer.written),
            "passes": list(passes),
            "notes": list(notes),
            "complete": complete,
        }
    )


async def _looked(job: Job, stage: str, capability: object) -> list[Look]:
    try:
        return await looked(job, stage, capability)  # type: ignore[arg-type]
    except NotInstalled:
        return []


def bare(name: str, sha: str, probe: Probe) -> Timeline:
    """A timeline of which only the medium is known."""
    picture = probe.video
    turned = picture is not None and picture.rotation in (90, 270)
    size = (None, None) if picture is None else (picture.width, picture.height)
    width, height = size[::-1] if turned else size
    return Timeline(source=sha, name=name, duration=probe.duration, width=width, height=height)


def in_order(segments: Sequence[Segment]) -> list[Segment]:
    """Each segment once, by time."""
    once = {each.id: each for each in segments}
    return sorted(once.values(), key=lambda each: (each.start or 0.0, each.end or 0.0, each.modality))
