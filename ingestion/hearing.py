"""The stage that hears what is no speech; it is cheap, so it is done anew rather than kept."""

from datetime import timedelta

from ingestion.remembering import Job
from ingestion.sounds import Heard, levels, sounds
from knowledge.segment import Made, Segment, segment_id
from tools.errors import NotInstalled
from tools.listening import ListenInput, find_speech
from tools.media.reader import Reader

VERSION = "1"


async def hear_stage(job: Job, reader: Reader) -> None:
    """Silence, loud sounds and sound without speech, as segments."""
    async with job.stages.stage("sounds"):
        level = await levels(reader.pcm())
        heard = sounds(level, await _turns(job))
        await job.writer.write([_segment(each, job) for each in heard])


async def _turns(job: Job) -> list[tuple[float, float]] | None:
    try:
        speech = await job.bench.call(find_speech, ListenInput(media=job.sha))
    except NotInstalled:
        return None
    return [(each.start, each.end) for each in speech.turns]


def _segment(heard: Heard, job: Job) -> Segment:
    recorded = job.probe.recorded_at
    return Segment(
        id=segment_id(job.sha, "sound", f"{heard.start:.2f}-{heard.end:.2f}", heard.text),
        knowledge_base=job.knowledge_base,
        source=job.sha,
        modality="sound",
        text=heard.text,
        start=heard.start,
        end=heard.end,
        recorded_from=recorded + timedelta(seconds=heard.start) if recorded else None,
        recorded_to=recorded + timedelta(seconds=heard.end) if recorded else None,
        made=Made(model="rules", version=VERSION),
    )
