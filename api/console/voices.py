"""Voices: say a sentence with any of them, and hear what came of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, get_args

from nicegui import ui

from api.console import theme
from tools.errors import SutradharError
from tools.events import ModelEvent, ToolEvent
from tools.speaking import LETTERS, Speech, SynthesizeInput, VoiceInfo, VoicesInput, list_voices, synthesize
from tools.voice import Emotion
from tools.voice.casting import NAMES
from tools.voice.saying import FASTEST, SLOWEST

if TYPE_CHECKING:
    from api.console.app import Visit

_AUTO = "auto"
_DEFAULT = "default"
_GREETING = "The one who holds the strings tells the story."


async def build(visit: Visit) -> None:
    """The page."""
    try:
        voices = (await visit.bench.call(list_voices, VoicesInput())).voices
    except SutradharError as error:
        theme.empty(str(error), "record_voice_over")
        return
    with ui.element("div").classes("two"):
        with theme.card("Say something"):
            booth = _Booth(visit, voices)
        with theme.card("Voices", f"{len(voices)} are here"), ui.element("div").classes("voices"):
            for voice in voices:
                _voice(voice, booth)


class _Booth:
    """A text and how to say it, and the sound below."""

    def __init__(self, visit: Visit, voices: Sequence[VoiceInfo]) -> None:
        self._visit, self._voices = visit, voices
        self._text = ui.textarea("Text", value=_GREETING).props(f"autogrow outlined maxlength={LETTERS}")
        with ui.element("div").classes("knobs"):
            self._language = ui.select(_languages(voices), value=_AUTO, label="Language", on_change=self._narrow)
            self._voice = ui.select(self._choices(_AUTO), value=_DEFAULT, label="Voice")
            self._emotion = ui.select(list(get_args(Emotion)), value="neutral", label="Emotion")
        with ui.element("div").classes("knobs"):
            speed = ui.slider(min=SLOWEST, max=FASTEST, step=0.1, value=1.0)
            ui.label().bind_text_from(speed, "value", lambda value: f"speed {value:.1f}").classes("faint")
            self._check = ui.switch("Listen to it again and compare")
        self._speed = speed
        self._button = ui.button("Speak", icon="volume_up", on_click=self._speak).props("no-caps unelevated")
        self._state = ui.label().classes("waiting")
        self._sound = ui.element("div")

    def take(self, voice: VoiceInfo) -> None:
        """Choose a voice and its language."""
        self._language.value = voice.language
        self._voice.value = voice.id

    def _choices(self, language: str) -> dict[str, str]:
        fitting = [each for each in self._voices if language in (_AUTO, each.language, *each.also)]
        return {_DEFAULT: "the best there is"} | {each.id: f"{each.title or each.id} · {each.kind}" for each in fitting}

    def _narrow(self) -> None:
        choices = self._choices(self._language.value)
        self._voice.set_options(choices, value=self._voice.value if self._voice.value in choices else _DEFAULT)

    async def _speak(self) -> None:
        if not (self._text.value or "").strip():
            ui.notify("There is nothing to say.", color="negative")
            return
        self._sound.clear()
        self._button.disable()
        self._state.text = "speaking …"
        try:
            wish = SynthesizeInput(
                text=self._text.value,
                language=self._language.value,
                voice=self._voice.value,
                emotion=self._emotion.value,
                speed=round(self._speed.value, 2),
                check=self._check.value,
            )
            speech = await self._visit.bench.listening(self._happened).call(synthesize, wish)
        except SutradharError as error:
            self._told(str(error))
            return
        self._told("")
        if not self._sound.is_deleted:
            with self._sound:
                _heard(speech, self._voices)

    def _told(self, text: str) -> None:
        # the visitor may have left meanwhile
        if not self._state.is_deleted:
            self._state.text = text
            self._button.enable()

    def _happened(self, event: ToolEvent | ModelEvent) -> None:
        if isinstance(event, ModelEvent) and not self._state.is_deleted:
            self._state.text = f"{event.state} {event.model} …"


def _heard(speech: Speech, voices: Sequence[VoiceInfo]) -> None:
    """The sound, who made it, and what was not as it was asked for."""
    ui.audio(f"/api/v1/media/{speech.media}", autoplay=True)
    used = next((each for each in voices if each.id == speech.voice), None)
    licence = f", {used.licence}" if used else ""
    ui.label(f"{speech.voice} by {speech.model}{licence}").classes("where")
    ui.label(f"{speech.seconds:.1f} s of 44.1 kHz, spoken at {speech.native_rate / 1_000:g} kHz").classes("faint")
    if speech.prosody:
        ui.label("The engine has no such emotion: pitch, speed and energy were bent.").classes("faint")
    for swap in speech.substitutions:
        ui.label(f"{swap.asked} → {swap.used}: {swap.reason}").classes("notice")
    if speech.check is not None:
        rate = speech.check.character_error_rate
        told = "was not understood" if rate is None else f"{rate:.1%} of its letters were heard otherwise"
        ui.label(f"Heard again: {told}.").classes("faint")


def _languages(voices: Sequence[VoiceInfo]) -> dict[str, str]:
    codes = {code for each in voices for code in (each.language, *each.also)}
    return {_AUTO: "told by the text"} | dict(sorted(((code, _name(code)) for code in codes), key=lambda each: each[1]))


def _name(code: str) -> str:
    return NAMES.get(code, code)


def _voice(voice: VoiceInfo, booth: _Booth) -> None:
    with ui.element("div").classes("entry"):
        with ui.element("div"):
            ui.label(voice.title or voice.id)
            also = f", reads {', '.join(_name(each) for each in voice.also)} too" if voice.also else ""
            ui.label(f"{voice.language_name}{also}").classes("faint")
        ui.label(f"{voice.gender} · {voice.engine} · {voice.licence}").classes("faint")
        ui.label(voice.kind).classes("badge ready" if voice.kind == "neural" else "badge")
        ui.button("Take", on_click=lambda: booth.take(voice)).props("flat dense no-caps")
