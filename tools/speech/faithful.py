"""Hearing in the language's own script: what comes out in a wrong one is heard again with the script shown first."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass, replace

from tools.capability import Lease
from tools.speech import RATE, Heard, ListenOptions, Pcm, Span, SpeechToText
from tools.speech.script import LEAST, MAIN, fidelity, is_faithful, main_script, mends, prompt_for, writings

_BEAM = 5
"""Width of the search when a text is still in a wrong script after the script was shown."""
_PATIENCE = 3
"""Texts in a row that stay in a wrong script before the model is believed to know no better."""


@dataclass(frozen=True)
class Written:
    """What was heard. `fidelity` is the share of letters in the language's own script, None where there is no such
    thing; `note` says what was done about a wrong one."""

    heard: Heard
    script: str | None
    fidelity: float | None
    note: str = ""


class Scribe:
    """Writes down one recording, piece by piece, and remembers whether hearing again has helped.

    Where speakers mix languages (`mixed`), more of a text may be in Latin letters, and it is not heard without them.
    """

    def __init__(self, ears: Lease[SpeechToText], *, mixed: bool = False) -> None:
        self._ears = ears
        self._mixed = mixed
        self._least = LEAST if mixed else MAIN
        self._failed = 0

    async def write(self, audio: Pcm, options: ListenOptions) -> AsyncGenerator[Written, None]:
        """What is said, in order of time, each stretch as soon as it is known and in its own script."""
        options, note = _shown(options, options.language), ""
        while True:
            wrong: Heard | None = None
            async with aclosing(_all(self._ears, audio, options)) as stream:
                async for heard in stream:
                    if not self._is_right(heard, options) and options.prompt is None and self._failed < _PATIENCE:
                        wrong = heard
                        break
                    if not _is_prompt(heard.text, options):
                        yield await self._judge(audio, heard, options, note)
            if wrong is None:
                return
            note = f"It came out in {main_script(wrong.text)} script and was heard again with the script shown."
            options = _from(_shown(replace(options, language=wrong.language), wrong.language), wrong.start, audio)

    async def _judge(self, audio: Pcm, heard: Heard, options: ListenOptions, note: str) -> Written:
        if not self._is_right(heard, options):
            return await self._once_more(audio, heard, options)
        self._failed = 0
        return _written(heard, note)

    async def _once_more(self, audio: Pcm, heard: Heard, options: ListenOptions) -> Written:
        """The stretch as a wide search hears it, or else the recogniser without its prompt; both with no other letters
        than the language's own, unless languages are mixed."""
        found = main_script(heard.text)
        alone = replace(options, language=heard.language, own_script=not self._mixed, windows=[_span(heard)])
        ways = [(replace(_shown(alone, heard.language), beam=_BEAM), "a wide search")]
        if not self._mixed:
            ways.append((replace(alone, prompt=None), "no other letters at hand"))
        for way, name in ways if self._failed < _PATIENCE else []:
            async with aclosing(_all(self._ears, audio, way)) as stream:
                texts = [each async for each in stream]
            text = " ".join(each.text for each in texts)
            if mends(text, heard.text, heard.language, self._least):
                self._failed = 0
                words = [word for each in texts for word in each.words]
                sure = sum(each.confidence for each in texts) / len(texts)
                mended = replace(heard, text=text, words=words, confidence=round(sure, 4))
                return _written(mended, f"It came out in {found} script and was heard again with {name}.")
        self._failed += 1
        return _written(heard, f"It stands in {found} script: {self._ears.row.title} did not write it otherwise.")

    def _is_right(self, heard: Heard, options: ListenOptions) -> bool:
        return options.task == "translate" or is_faithful(heard.text, heard.language, self._least)


async def _all(ears: Lease[SpeechToText], audio: Pcm, options: ListenOptions) -> AsyncGenerator[Heard, None]:
    async for each in ears.stream(SpeechToText.transcribe, audio, options):
        yield each


def _shown(options: ListenOptions, language: str | None) -> ListenOptions:
    """The options with a prompt in the language's script before the caller's own."""
    shown = prompt_for(language) if options.task == "transcribe" else None
    if shown is None or (options.prompt or "").startswith(shown):
        return options
    return replace(options, prompt=f"{shown} {options.prompt}" if options.prompt else shown)


def _from(options: ListenOptions, start: float, audio: Pcm) -> ListenOptions:
    """The same for what comes after `start`."""
    windows = options.windows or [Span(0.0, len(audio) / RATE)]
    return replace(options, windows=[Span(max(each.start, start), each.end) for each in windows if each.end > start])


def _span(heard: Heard) -> Span:
    return Span(heard.start, max(heard.end, heard.start + 0.5))


def _is_prompt(text: str, options: ListenOptions) -> bool:
    """Over noise Whisper reads its prompt back."""
    return options.prompt is not None and options.prompt.strip() == text.strip()


def _written(heard: Heard, note: str = "") -> Written:
    known = heard.language in writings()
    share = fidelity(heard.text, heard.language)
    return Written(heard, main_script(heard.text) if known else None, share, note)
