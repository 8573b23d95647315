"""Sound into timed speech: long recordings in parts, cut at pauses, each part kept as soon as it is done."""

import re
from collections.abc import AsyncIterator, Sequence
from datetime import timedelta

from pydantic import TypeAdapter

from ingestion.remembering import Job
from ingestion.stages import Progress, in_base, keep, once, recall, result_ref
from knowledge.segment import Made, Segment, segment_id
from tools.bench import Bench
from tools.diarization.following import installed, speaker_of
from tools.diarizing import DiarizeInput, SpeakerTurn, diarize
from tools.events import ModelEvent, ToolEvent
from tools.listening import ListenInput, Spoken, Stretch, TranscribeInput, find_speech, transcribe
from tools.media.probe import Probe
from tools.speech import SPEECH_TO_TEXT

VERSION = "3"
_TURNS = TypeAdapter(list[SpeakerTurn])
_LEAST, _MOST = 2.0, 15.0
_PAUSE = 0.8
_PART = 600.0
_SENTENCE = re.compile(r"(?<=[.!?…।॥。！？])[\"'”’)\]]*\s+")


async def listen(job: Job, *, language: str | None = None) -> AsyncIterator[tuple[float, list[Segment]]]:
    """What is said, part by part, with the second up to which it was heard."""
    sha, probe, bench, knowledge_base = job.sha, job.probe, _heard(job), job.knowledge_base
    model = bench.choose(SPEECH_TO_TEXT, language=language).row.id
    by, turns = await _speakers(sha, bench)
    for start, end, windows in await _parts(sha, probe, bench):

        async def work(
            start: float = start, end: float = end, windows: list[Stretch] | None = windows
        ) -> list[Segment]:
            wanted = TranscribeInput(media=sha, start=start, end=end, language=language, windows=windows)
            heard = await bench.call(transcribe, wanted)
            made = Made(model=heard.model, version=VERSION)
            said = [_told(each, turns) for each in sentences(heard.segments)]
            return [_segment(each, sha, probe, made, knowledge_base) for each in said]

        version = f"{VERSION}-{model}-{language or 'auto'}-{start:.0f}{by}"
        yield end, in_base(await once(bench, sha, "speech", version, work), knowledge_base)


async def listen_between(job: Job, start: float, end: float) -> list[Segment]:
    """What is said in one stretch; heard once for each content and model."""
    model = job.bench.choose(SPEECH_TO_TEXT).row.id

    async def work() -> list[Segment]:
        heard = await job.bench.call(transcribe, TranscribeInput(media=job.sha, start=start, end=end))
        made = Made(model=heard.model, version=VERSION)
        return [_segment(each, job.sha, job.probe, made, job.knowledge_base) for each in sentences(heard.segments)]

    kept = await once(job.bench, job.sha, "speech", f"{VERSION}-{model}-{start:.0f}-{end:.0f}", work)
    return in_base(kept, job.knowledge_base)


def _heard(job: Job) -> Bench:
    """The bench with a listener that shows how far the ears are within a part."""

    def hear(event: ToolEvent | ModelEvent) -> None:
        job.bench.emit(event)
        if isinstance(event, ToolEvent) and event.state == "progress" and event.data and job.probe.duration:
            until = float(event.data.get("end", 0.0))
            job.stages.progress(Progress(stage="speech", fraction=min(1.0, until / job.probe.duration)))

    return job.bench.listening(hear)


async def _speakers(sha: str, bench: Bench) -> tuple[str, list[SpeakerTurn]]:
    """Who speaks when in all of it, and by which model, where one that tells is installed; none is fetched for it."""
    choice = installed(bench)
    if choice is None:
        return "", []
    ref = result_ref(sha, "speakers", choice.row.id)
    if (turns := await recall(bench, ref, _TURNS)) is None:
        turns = (await bench.call(diarize, DiarizeInput(media=sha, model=choice.row.id))).turns
        await keep(bench, ref, _TURNS, turns)
    return f"-{choice.row.id}", turns


def _told(spoken: Spoken, turns: list[SpeakerTurn]) -> Spoken:
    return spoken.model_copy(update={"speaker": speaker_of(turns, spoken.start, spoken.end)})


async def _parts(sha: str, probe: Probe, bench: Bench) -> list[tuple[float, float, list[Stretch] | None]]:
    """A short medium is one part whose windows the tool finds itself; a long one is cut in the widest pauses."""
    if probe.duration <= _PART * 1.5:
        return [(0.0, probe.duration or bench.settings.limits.seconds, None)]
    turns = (await bench.call(find_speech, ListenInput(media=sha))).turns
    parts, held = list[tuple[float, float, list[Stretch] | None]](), list[Stretch]()
    start = 0.0
    for turn in turns:
        if held and turn.end - start > _PART:
            cut = (held[-1].end + turn.start) / 2
            parts.append((start, cut, held))
            start, held = cut, []
        held.append(turn)
    parts.append((start, probe.duration, held))
    return parts


def sentences(spoken: Sequence[Spoken]) -> list[Spoken]:
    """Speech in pieces of a sentence's size: short ones joined, long ones split where a sentence ends."""
    pieces = [piece for each in spoken if each.text.strip() for piece in _split(each)]
    joined = list[Spoken]()
    for piece in pieces:
        last = joined[-1] if joined else None
        if last is not None and _joins(last, piece):
            joined[-1] = last.model_copy(
                update={
                    "end": piece.end,
                    "text": f"{last.text} {piece.text}",
                    "confidence": min(last.confidence, piece.confidence),
                    "words": [*last.words, *piece.words],
                }
            )
        else:
            joined.append(piece)
    return joined


def _joins(last: Spoken, piece: Spoken) -> bool:
    if last.language != piece.language or piece.start - last.end > _PAUSE or piece.end - last.start > _MOST:
        return False
    whole = last.text.rstrip().endswith((".", "!", "?", "…", "।", "॥", "。", "！", "？"))
    return not whole or last.end - last.start < _LEAST


def _split(spoken: Spoken) -> list[Spoken]:
    """At sentence ends; by word times where there are any, else by the share of letters."""
    text = spoken.text.strip()
    parts = [part for part in _SENTENCE.split(text) if part]
    if len(parts) < 2 or spoken.end - spoken.start <= _LEAST * 2:
        return [spoken.model_copy(update={"text": text})]
    pieces, at, used = list[Spoken](), spoken.start, 0
    length = sum(map(len, parts))
    for number, part in enumerate(parts, 1):
        count = len(part.split())
        words = spoken.words[used : used + count] if spoken.words else []
        used += count
        last = number == len(parts)
        share = at + (spoken.end - spoken.start) * len(part) / length
        end = spoken.end if last else words[-1].end if words else share
        start = words[0].start if words else at
        update = {"start": start, "end": max(start, end), "text": part, "words": words}
        pieces.append(spoken.model_copy(update=update))
        at = end
    return pieces


def _segment(spoken: Spoken, sha: str, probe: Probe, made: Made, knowledge_base: str) -> Segment:
    start, end = round(max(0.0, spoken.start), 3), round(max(0.0, spoken.start, spoken.end), 3)
    recorded = probe.recorded_at
    return Segment(
        id=segment_id(sha, "speech", f"{start:.3f}-{end:.3f}", spoken.text),
        knowledge_base=knowledge_base,
        source=sha,
        modality="speech",
        text=spoken.text,
        start=start,
        end=end,
        recorded_from=recorded + timedelta(seconds=start) if recorded else None,
        recorded_to=recorded + timedelta(seconds=end) if recorded else None,
        language=spoken.language or None,
        speaker=spoken.speaker,
        confidence=min(1.0, max(0.0, spoken.confidence)),
        made=made,
    )
