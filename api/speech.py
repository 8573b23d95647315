"""Speech to text over HTTP: the owner's endpoint, and OpenAI's transcriptions and translations."""

import asyncio
import json
import math
import zlib
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends
from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response

from api.deps import BenchDep, HostDep
from api.forms import Received, openapi, receiver, while_there
from api.sse import EventStream, Frames, event_frame, failure_frame, frame
from tools.bench import Bench
from tools.diarization import DIARIZATION
from tools.errors import InvalidInput
from tools.events import ModelEvent, ToolEvent
from tools.interpreting import TranslateSpeechInput, target_of, translate_speech
from tools.listening import Spoken, SpokenWord, TranscribeInput, Transcript, transcribe
from tools.speech import SPEECH_TO_TEXT
from tools.speech.script import Script, writings
from tools.speech.subtitles import Cue, readable, srt, vtt
from tools.toolbox import Tool

router = APIRouter(tags=["speech"])

Mode = Literal["transcribe", "verbatim", "translate", "transliterate", "code-mixed"]

HOSTED = (
    "whisper-1",
    "gpt-transcribe",
    "gpt-4o-transcribe",
    "gpt-4o-mini-transcribe",
    "gpt-4o-transcribe-diarize",
    "default",
)
"""OpenAI's own names; they mean whatever the profile uses."""


_WHILE_HEARD = 8
"""Windows heard at once where segments stream as they are heard."""


class TranscribeForm(BaseModel):
    """`mode` translate gives English, or with an installed translator `target_language`; transliterate writes the words
    in `script`, letter by letter. Verbatim respells nothing of what the recogniser wrote (a Whisper leaves out fillers
    unless the prompt shows some); code-mixed tells the language of each stretch and keeps each in its own script."""

    model_config = ConfigDict(extra="forbid")

    language: Annotated[str, Field(max_length=40)] = "auto"
    real_time: bool = False
    mode: Mode = "transcribe"
    script: Script = "Latn"
    target_language: Annotated[str, Field(min_length=2, max_length=40)] = "en"
    words: bool = False
    diarize: bool = False
    """Tell who says it: in each segment of the result `speaker` is A, B and so on."""
    speakers: Annotated[int, Field(ge=1, le=20)] | None = None
    """How many people speak; by default it is found out."""
    model: Annotated[str, Field(max_length=200)] | None = None
    prompt: Annotated[str, Field(max_length=1_000)] | None = None


class Transcription(Transcript):
    """A transcript with all of its text in one piece."""

    text: str
    mode: Mode


@router.post(
    "/api/v1/stt/transcribe",
    summary="Transcribe speech",
    response_model=Transcription,
    openapi_extra=openapi("audio_file", TranscribeForm),
)
async def transcribe_speech(
    request: Request,
    host: HostDep,
    bench: BenchDep,
    received: Annotated[Received[TranscribeForm], Depends(receiver("audio_file", TranscribeForm))],
) -> Response:
    """Write down what is said in a sound or video file. With `real_time` the segments stream as they are heard:
    events `segment`, `model` (a model loads), `result`."""
    form = received.form
    wanted = TranscribeInput(
        media=received.media.sha256,
        model=form.model,
        language=language_of(form.language, bench),
        words=form.words,
        diarize=form.diarize,
        speakers=form.speakers,
        prompt=form.prompt,
        script=form.script if form.mode == "transliterate" else None,
        verbatim=form.mode == "verbatim",
        mixed=form.mode == "code-mixed",
        **({"batch": _WHILE_HEARD} if form.real_time else {}),
    )
    bench.choose(SPEECH_TO_TEXT, model=wanted.model, language=wanted.language)
    if form.diarize:
        bench.choose(DIARIZATION)
    if form.mode == "translate":
        wanted = await _interpreted(wanted, form.target_language, bench)
    if form.real_time:
        return EventStream(_frames(bench, wanted, form.mode), host.streams)
    heard = await while_there(request, bench.call(_tool(wanted), wanted))
    return Response(_whole(heard, form.mode).model_dump_json(), media_type="application/json")


async def _interpreted(wanted: TranscribeInput, target: str, bench: Bench) -> TranslateSpeechInput:
    """The same to be translated; raises before anything is heard where nothing could."""
    translated = TranslateSpeechInput.model_validate(wanted.model_dump(exclude={"task"}) | {"target": target})
    await target_of(translated, bench)
    return translated


def _tool(wanted: TranscribeInput) -> Tool[Any, Transcript]:
    return translate_speech if isinstance(wanted, TranslateSpeechInput) else transcribe


async def _frames(bench: Bench, wanted: TranscribeInput, mode: Mode) -> Frames:
    async with aclosing(_listening(bench, wanted)) as news:
        async for each in news:
            if isinstance(each, Spoken):
                yield frame("segment", each.model_dump_json())
            elif isinstance(each, ModelEvent):
                yield event_frame(each)
            else:
                yield frame("result", _whole(each, mode).model_dump_json())


async def _listening(bench: Bench, wanted: TranscribeInput) -> AsyncGenerator[Spoken | ModelEvent | Transcript, None]:
    """The segments as they are heard, and the transcript at the end; the work ends when the reader does."""
    # not bounded by itself: a medium has an end, and its segments are kept for the transcript anyway
    news = asyncio.Queue[Spoken | ModelEvent | None]()

    def hear(event: ToolEvent | ModelEvent) -> None:
        if isinstance(event, ModelEvent):
            news.put_nowait(event)
        elif event.state == "progress" and event.data:
            news.put_nowait(Spoken.model_validate(event.data))

    task = asyncio.ensure_future(bench.listening(hear).call(_tool(wanted), wanted))
    task.add_done_callback(lambda _: news.put_nowait(None))
    try:
        while (each := await news.get()) is not None:
            yield each
        yield await task
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError, Exception):
            await task


def _whole(heard: Transcript, mode: Mode) -> Transcription:
    return Transcription(**dict(heard), text=_text(heard), mode=mode)


def _text(heard: Transcript) -> str:
    return " ".join(each.text for each in heard.segments)


def language_of(asked: str | None, bench: Bench) -> str | None:
    """`auto`, `hi`, `hi-IN` or `Hindi` as ISO 639-1, None to detect; raises `InvalidInput` for what no row knows."""
    wanted = (asked or "auto").strip().lower()
    if wanted == "auto":
        return None
    named = {writing.name.lower(): code for code, writing in writings().items()} | {"english": "en"}
    code = named.get(wanted, wanted.replace("_", "-").split("-")[0])
    rows = [row for row in bench.catalog.models if row.capability == SPEECH_TO_TEXT.name]
    known = {language for row in rows for language in row.languages}
    if code not in known:
        raise InvalidInput(
            f"No model of the catalogue hears the language {asked!r}.",
            remedy=f"Send 'auto' or one of: {', '.join(sorted(known))}.",
            param="language",
        )
    return code


class OpenAiForm(BaseModel):
    """OpenAI's parameters; those that a local model has no use for, such as `temperature`, are taken and not used."""

    model_config = ConfigDict(extra="ignore")

    model: Annotated[str, Field(max_length=200)]
    language: Annotated[str, Field(max_length=40)] | None = None
    prompt: Annotated[str, Field(max_length=4_000)] | None = None
    response_format: Literal["json", "text", "srt", "verbose_json", "vtt", "diarized_json"] = "json"
    temperature: Annotated[float, Field(ge=0, le=1)] = 0.0
    timestamp_granularities: list[Literal["word", "segment"]] = ["segment"]
    stream: bool = False
    target_language: Annotated[str, Field(min_length=2, max_length=40)] = "en"
    """Of translations, where a translator is installed; not one of OpenAI's parameters."""

    def wanted(self, media: str, bench: Bench, task: Literal["transcribe", "translate"]) -> TranscribeInput:
        """What the tool is asked for."""
        timed = self.response_format in ("srt", "vtt") or "word" in self.timestamp_granularities
        wanted = TranscribeInput(
            media=media,
            model=None if self.model in HOSTED else self.model,
            language=language_of(self.language, bench),
            task=task,
            words=timed and task == "transcribe",
            diarize=self.response_format == "diarized_json",
            prompt=self.prompt[-1_000:] if self.prompt else None,
        )
        bench.choose(SPEECH_TO_TEXT, model=wanted.model, language=wanted.language)
        return wanted


OpenAiReceived = Annotated[Received[OpenAiForm], Depends(receiver("file", OpenAiForm))]


@router.post("/v1/audio/transcriptions", response_model=None, openapi_extra=openapi("file", OpenAiForm))
async def transcriptions(request: Request, host: HostDep, bench: BenchDep, received: OpenAiReceived) -> Response:
    """OpenAI: write down what is said."""
    wanted = received.form.wanted(received.media.sha256, bench, "transcribe")
    if received.form.stream:
        return EventStream(_deltas(bench, wanted), host.streams)
    heard = await while_there(request, bench.call(transcribe, wanted))
    return _as_asked(heard, received.form, "transcribe")


@router.post("/v1/audio/translations", response_model=None, openapi_extra=openapi("file", OpenAiForm))
async def translations(request: Request, bench: BenchDep, received: OpenAiReceived) -> Response:
    """OpenAI: write down in English, or `target_language`, what is said in another language."""
    heard = received.form.wanted(received.media.sha256, bench, "translate")
    wanted = await _interpreted(heard, received.form.target_language, bench)
    return _as_asked(await while_there(request, bench.call(_tool(wanted), wanted)), received.form, "translate")


async def _deltas(bench: Bench, wanted: TranscribeInput) -> Frames:
    """OpenAI's events; they have a `type` in their data and no event name."""
    before = ""
    async with aclosing(_listening(bench, wanted)) as news:
        try:
            async for each in news:
                if isinstance(each, Spoken):
                    yield _data({"type": "transcript.text.delta", "delta": before + each.text})
                    before = " "
                elif isinstance(each, Transcript):
                    # who speaks is known at the end, when all voices have been compared
                    for segment in _diarized(each)["segments"] if wanted.diarize else []:
                        yield _data(segment)
                    usage = {"type": "duration", "seconds": each.seconds}
                    yield _data({"type": "transcript.text.done", "text": _text(each), "usage": usage})
        except Exception as error:  # noqa: BLE001 the response has begun: an error is one more event
            yield failure_frame(error)
    yield b"data: [DONE]\n\n"


def _data(event: dict[str, Any]) -> bytes:
    return f"data: {json.dumps(event, ensure_ascii=False)}\n\n".encode()


def _as_asked(heard: Transcript, form: OpenAiForm, task: str) -> Response:
    headers = {"X-Model": heard.model}
    match form.response_format:
        case "text":
            return PlainTextResponse(_text(heard) + "\n", headers=headers)
        case "srt":
            return PlainTextResponse(srt(_cues(heard)), media_type="application/x-subrip", headers=headers)
        case "vtt":
            return PlainTextResponse(vtt(_cues(heard)), media_type="text/vtt", headers=headers)
        case "diarized_json":
            return JSONResponse(_diarized(heard), headers=headers)
        case "verbose_json":
            return JSONResponse(_verbose(heard, form, task), headers=headers)
    usage = {"type": "duration", "seconds": heard.seconds}
    extra = {"empty": heard.empty} if heard.empty else {}
    return JSONResponse({"text": _text(heard), "usage": usage, **extra}, headers=headers)


def _cues(heard: Transcript) -> list[Cue]:
    return [
        cue
        for each in heard.segments
        for cue in readable(
            Cue(each.start, each.end, each.text), [Cue(word.start, word.end, word.text) for word in each.words]
        )
    ]


def _verbose(heard: Transcript, form: OpenAiForm, task: str) -> dict[str, Any]:
    body: dict[str, Any] = {
        "task": task,
        "language": heard.language,
        "duration": heard.seconds,
        "text": _text(heard),
        "usage": {"type": "duration", "seconds": heard.seconds},
        "model": heard.model,
        "reason": heard.reason,
        "fidelity": heard.fidelity,
        "empty": heard.empty,
    }
    if heard.translation is not None:
        body["translation"] = heard.translation.model_dump()
    if "segment" in form.timestamp_granularities:
        body["segments"] = [_segment(number, each) for number, each in enumerate(heard.segments)]
    if "word" in form.timestamp_granularities:
        body["words"] = [_word(word) for each in heard.segments for word in each.words]
    return body


def _diarized(heard: Transcript) -> dict[str, Any]:
    """OpenAI's TranscriptionDiarized; a segment of nobody that could be told is given to the first speaker."""
    segments = [
        {
            "type": "transcript.text.segment",
            "id": f"seg_{number:03}",
            "start": each.start,
            "end": each.end,
            "text": each.text,
            "speaker": each.speaker or "A",
        }
        for number, each in enumerate(heard.segments, 1)
    ]
    usage = {"type": "duration", "seconds": heard.seconds}
    body = {"task": "transcribe", "duration": heard.seconds, "text": _text(heard), "segments": segments, "usage": usage}
    return body | ({"empty": heard.empty} if heard.empty else {})


def _segment(number: int, each: Spoken) -> dict[str, Any]:
    """OpenAI's segment; what our engines do not tell is null."""
    data = each.text.encode()
    return {
        "id": number,
        "seek": round(each.start * 100),
        "start": each.start,
        "end": each.end,
        "text": each.text,
        "tokens": None,
        "temperature": 0.0,
        "avg_logprob": round(math.log(max(each.confidence, 1e-6)), 4),
        "compression_ratio": round(len(data) / len(zlib.compress(data)), 4) if data else None,
        "no_speech_prob": None,
        "fidelity": each.fidelity,
    }


def _word(word: SpokenWord) -> dict[str, Any]:
    return {"word": word.text, "start": word.start, "end": word.end}
