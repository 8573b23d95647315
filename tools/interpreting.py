"""The tool that translates speech: what is heard goes through a translator where one is installed, else the recogniser
itself says it in English."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress
from dataclasses import dataclass, field
from itertools import groupby
from typing import Annotated, Literal

from pydantic import Field

from tools.bench import Bench
from tools.diarization.following import speaker_of
from tools.errors import InvalidInput, NotInstalled
from tools.events import ModelEvent, ToolEvent
from tools.listening import Interpreted, Spoken, TranscribeInput, Transcript, transcribe
from tools.toolbox import tool
from tools.translating import render
from tools.translation import ENGLISH
from tools.translation.routing import Leg, installed_for, language_code, route


class TranslateSpeechInput(TranscribeInput):
    """What to translate, and into which language."""

    task: Literal["translate"] = "translate"
    target: Annotated[str, Field(min_length=2, max_length=40)] = Field(
        ENGLISH, description="The language wanted: ISO 639 code or name."
    )


async def target_of(input: TranslateSpeechInput, bench: Bench) -> tuple[str, bool]:
    """The target's code, and whether a translator may serve; raises where neither it nor the recogniser can."""
    english = input.target.strip().lower() in {ENGLISH, "english"}
    target = ENGLISH if english else language_code(input.target, bench, "target")
    able = await installed_for(bench, input.language, target)
    if not able and not english:
        # no recogniser translates into anything but English: this says what would
        await route(bench, input.language or ENGLISH, target, only_installed=True)
    return target, able


@tool(title="Translate speech")
async def translate_speech(input: TranslateSpeechInput, bench: Bench) -> Transcript:
    """Write down in another language, by default English, what is said in a video or sound recording.

    Each stretch of speech is reported as progress as soon as it is translated.
    """
    target, able = await target_of(input, bench)
    heard = await _Interpreter(input, bench, target).translated() if able else None
    if heard is not None:
        return heard
    if target != ENGLISH:
        raise NotInstalled(
            f"Nothing is installed that translates what was heard into {target!r}.",
            remedy="Translate into English, or see `sutradhar models list`.",
        )
    wanted = TranscribeInput.model_validate(input.model_dump(exclude={"target"}))
    heard = await transcribe(wanted, bench)
    return heard.model_copy(update={"translation": Interpreted(by="recogniser", models=[heard.model], target=ENGLISH)})


@dataclass
class _Interpreter:
    """One recording on its way through a translator."""

    input: TranslateSpeechInput
    bench: Bench
    target: str
    legs: dict[str, list[Leg]] = field(default_factory=dict)
    done: list[Spoken] = field(default_factory=list)

    async def translated(self) -> Transcript | None:
        """The transcript in the target language; None when nobody translates the language it begins with."""
        async with aclosing(self._heard()) as news:
            async for each in news:
                if isinstance(each, Transcript):
                    return self._whole(each)
                for language, group in groupby(each, key=lambda spoken: spoken.language):
                    if not await self._know(language) and not self.done:
                        return None
                    try:
                        await self._say(list(group), language)
                    except NotInstalled:
                        # weights are here, but not what reads them; English the recogniser can say itself
                        if self.done or self.target != ENGLISH:
                            raise
                        return None
        return None

    async def _heard(self) -> AsyncGenerator[list[Spoken] | Transcript, None]:
        """What has been heard since the last time, and in the end the transcript."""
        # not bounded by itself: a medium has an end, and its segments are kept for the transcript anyway
        news = asyncio.Queue[Spoken | None]()

        def hear(event: ToolEvent | ModelEvent) -> None:
            if isinstance(event, ModelEvent):
                self.bench.emit(event)
            elif event.state == "progress" and event.data:
                news.put_nowait(Spoken.model_validate(event.data))

        fields = self.input.model_dump(exclude={"target"}) | {"task": "transcribe", "script": None}
        wanted = TranscribeInput.model_validate(fields)
        task = asyncio.ensure_future(transcribe(wanted, self.bench.listening(hear)))
        task.add_done_callback(lambda _: news.put_nowait(None))
        try:
            ended = False
            while not ended:
                came = [await news.get()]
                while not news.empty():
                    came.append(news.get_nowait())
                spoken = [each for each in came if each is not None]
                ended = len(spoken) < len(came)
                if spoken:
                    yield spoken
            yield await task
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError, Exception):
                await task

    async def _know(self, language: str) -> bool:
        if language not in self.legs:
            self.legs[language] = []
            with suppress(NotInstalled, InvalidInput):
                source = language_code(language, self.bench, "language")
                if source != self.target:
                    self.legs[language] = await route(self.bench, source, self.target, only_installed=True)
        return bool(self.legs[language]) or language == self.target

    async def _say(self, heard: list[Spoken], language: str) -> None:
        legs, texts = self.legs[language], [each.text for each in heard]
        said = await render(texts, legs, self.bench) if legs else texts
        lost = "" if legs or language == self.target else f"Not translated: nothing installed knows {language!r}."
        for each, text in zip(heard, said, strict=True):
            # the words' times are those of the words that were spoken
            self.done.append(
                each.model_copy(
                    update={
                        "text": text,
                        "words": [],
                        "original": each.text,
                        "original_language": language,
                        "language": language if lost else self.target,
                        "note": f"{each.note} {lost}".strip(),
                    }
                )
            )
            self.bench.progress(data=self.done[-1].model_dump())

    def _whole(self, heard: Transcript) -> Transcript:
        choices = [leg.choice for legs in self.legs.values() for leg in legs]
        by = Interpreted(
            by="translator",
            models=list(dict.fromkeys(choice.row.id for choice in choices)),
            target=self.target,
            reason=" ".join(dict.fromkeys(choice.reason for choice in choices if choice.reason)),
        )
        language = self.target if self.done else heard.language
        said = self.done
        if self.input.diarize:
            who = [speaker_of(heard.segments, each.start, each.end) for each in said]
            said = [each.model_copy(update={"speaker": name}) for each, name in zip(said, who, strict=True)]
        return heard.model_copy(update={"segments": said, "language": language, "translation": by})


TOOLS = (translate_speech,)
