"""The tool that tells who speaks when."""

from contextlib import aclosing
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from tools.bench import Bench
from tools.diarization import DIARIZATION
from tools.diarization.following import Diarist
from tools.listening import ListenInput
from tools.served import ModelOutput, served
from tools.speech import VOICE_ACTIVITY, VoiceActivity
from tools.toolbox import tool


class DiarizeInput(ListenInput):
    """In which part of which medium to tell speakers apart."""

    speakers: Annotated[int, Field(ge=1, le=20)] | None = Field(
        None, description="How many people speak; by default it is found out."
    )


class SpeakerTurn(BaseModel):
    """A stretch of one speaker, in seconds of the medium."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    start: float
    end: float
    speaker: str


class Speaker(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    speaker: str = Field(description="A is who speaks first, B the next, and so on.")
    seconds: float = Field(description="How long they speak in all.")


class Diarized(ModelOutput):
    turns: list[SpeakerTurn]
    speakers: list[Speaker]
    seconds: float = Field(description="How much sound was listened to.")


@tool(title="Tell speakers apart")
async def diarize(input: DiarizeInput, bench: Bench) -> Diarized:
    """Find who speaks when in a video or sound recording: speakers A, B and so on, by how they sound.

    Nobody is recognised by name, and people who speak at the same time are taken for one of them.
    """
    choice, until = bench.choose(DIARIZATION, model=input.model), input.start
    async with (
        bench.engine(VOICE_ACTIVITY) as detector,
        bench.models.use(choice.row.id, bench.emit) as lease,
        aclosing(input.sound(bench)) as sound,
    ):
        speakers = Diarist(lease)
        async for piece in sound:
            await speakers.follow(piece, await detector.call(VoiceActivity.turns, piece.audio))
            until = piece.end
            bench.progress(fraction=piece.fraction(until - piece.start))
        turns = await speakers.turns(input.speakers)
    seconds = dict[str, float]()
    for turn in turns:
        seconds[turn.speaker] = seconds.get(turn.speaker, 0.0) + turn.end - turn.start
    return Diarized(
        turns=[SpeakerTurn(start=turn.start, end=turn.end, speaker=turn.speaker) for turn in turns],
        speakers=[Speaker(speaker=who, seconds=round(each, 3)) for who, each in seconds.items()],
        seconds=round(until - input.start, 3),
        **served(choice),
    )


TOOLS = (diarize,)
