"""Who speaks: the voice, engine and language that serve a wish, and every difference between the two."""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from importlib.util import find_spec

from tools.bench import Bench
from tools.catalog import Row
from tools.errors import InvalidInput, NotInstalled
from tools.isolation.child import find
from tools.languages import tell_language
from tools.store import WeightStore
from tools.voice import TEXT_TO_SPEECH, Gender, Voice
from tools.voice.text.scripts import SCRIPT

NAMES = {
    "hi": "Hindi", "pa": "Punjabi", "gu": "Gujarati", "mr": "Marathi", "bn": "Bengali", "ta": "Tamil", "te": "Telugu",
    "kn": "Kannada", "ml": "Malayalam", "or": "Odia", "as": "Assamese", "kok": "Konkani", "sa": "Sanskrit",
    "ur": "Urdu", "en": "English", "ne": "Nepali", "sd": "Sindhi", "es": "Spanish", "fr": "French", "it": "Italian",
    "pt": "Portuguese", "zh": "Chinese", "ja": "Japanese",
}  # fmt: skip
_LONGER = {
    "hin": "hi", "pan": "pa", "guj": "gu", "mar": "mr", "ben": "bn", "tam": "ta", "tel": "te", "kan": "kn", "mal": "ml",
    "ori": "or", "ory": "or", "odia": "or", "oriya": "or", "asm": "as", "gom": "kok", "san": "sa", "urd": "ur",
    "eng": "en", "nep": "ne", "snd": "sd", "bangla": "bn",
    "zho": "zh", "cmn": "zh", "jpn": "ja",
}  # fmt: skip
NEAREST = {
    "kok": ("mr", "no engine here reads Konkani (eSpeak NG spells its vowel signs out): the Marathi voice reads it"),
    "sa": ("kn", "no engine here has a Sanskrit voice: the Kannada voice reads it from the same letters in Kannada"),
}
"""Languages for which there may be no voice: who reads them then, and why."""
OPENAI: dict[str, tuple[Gender, str]] = {
    "alloy": ("female", "af_alloy"), "ash": ("male", "am_adam"), "ballad": ("male", "bm_lewis"),
    "cedar": ("male", "am_eric"), "coral": ("female", "af_bella"), "echo": ("male", "am_echo"),
    "fable": ("male", "bm_fable"), "marin": ("female", "af_sarah"), "nova": ("female", "af_nova"),
    "onyx": ("male", "am_onyx"), "sage": ("female", "af_heart"), "shimmer": ("female", "af_sky"),
    "verse": ("male", "am_michael"),
}  # fmt: skip
"""OpenAI's voices and who stands in for them."""
_FEW = 4
"""Languages of an engine that are named when it has not the one that was asked for."""
_ANY = {"default": None, "female": "female", "male": "male"}


@dataclass(frozen=True)
class Substitution:
    """Something else than what was asked for."""

    asked: str
    used: str
    reason: str


@dataclass(frozen=True)
class Role:
    """A voice and the row of the engine that has it. `language` is what it really speaks."""

    voice: Voice
    row: Row
    language: str


@dataclass
class Cast:
    """Who reads each language of one text. `substitutions` grows when an engine fails and another one steps in."""

    bench: Bench
    language: str
    lead: Role
    substitutions: list[Substitution] = field(default_factory=list)
    failed: set[str] = field(default_factory=set)

    def role(self, language: str) -> Role:
        """Who reads a stretch in this language: the lead where it can, so that the speaker does not change."""
        lead = self.lead
        if language == self.language or _reads(lead, language):
            return lead if language == self.language else Role(lead.voice, lead.row, language)
        kin = [each for each in voices_of(lead.row) if each.language == language]
        # the same engine sounds most like the same speaker
        only = lead.row if kin and lead.row.id not in self.failed else None
        role = pick(self.bench, language, self.failed, gender=lead.voice.gender, only=only)
        self._note(f"{NAMES[language]} in the text", role.voice.id, f"{lead.voice.id!r} does not read this script")
        return role

    def replace(self, failed: Role, why: str) -> None:
        """Go on without an engine that failed; raises `NotInstalled` when no other one speaks the language."""
        self.failed.add(failed.row.id)
        if failed.row.id == self.lead.row.id:
            self.lead = pick(self.bench, self.lead.language, self.failed, gender=self.lead.voice.gender)
            self._note(failed.voice.id, self.lead.voice.id, why)

    def step_in(self, why: str) -> bool:
        """Let the next engine take the lead; False when there is none."""
        try:
            self.replace(self.lead, why)
        except NotInstalled:
            return False
        return True

    def _note(self, asked: str, used: str, reason: str) -> None:
        noted = Substitution(asked, used, reason)
        if noted not in self.substitutions:
            self.substitutions.append(noted)


def _reads(role: Role, language: str) -> bool:
    """Whether the same voice can say another language: one that takes phonemes can say all that its row lists."""
    return bool(role.row.options.get("phonemes")) and language in role.row.languages


def rows(bench: Bench) -> Iterator[Row]:
    """The engines of the profile, in its order; one that is fetched on request only once it is here."""
    store = WeightStore(bench.settings.cache, offline=True)
    return (
        choice.row
        for choice in bench.candidates(TEXT_TO_SPEECH)
        if not choice.row.on_request or (_has_packages(choice.row) and not store.missing(choice.row))
    )


def _has_packages(row: Row) -> bool:
    # an interpreter of its own has its own packages, and an environment is built when it is needed
    return row.python is not None or bool(row.requirements) or all(find_spec(each) for each in find(row.engine).needs)


def voices_of(row: Row) -> list[Voice]:
    """The voices of a row in the languages for which texts are prepared here, without loading it."""
    return [voice for voice in find(row.engine).voices(row) if voice.language in NAMES]


def spoken_as(bench: Bench, language: str) -> tuple[str, str]:
    """The language whose voices read this one, and why, where that is another."""
    own = any(voice.language == language for row in rows(bench) for voice in voices_of(row))
    return (language, "") if own else NEAREST.get(language, (language, ""))


def language_code(wanted: str, text: str) -> str:
    """ISO 639-1 (or 639-3) of `hi`, `hi-IN`, `hin`, `Hindi` or `auto`; raises `InvalidInput`."""
    plain = wanted.strip().lower().replace("_", "-")
    if plain in {"", "auto"}:
        told = (tell_language(text)[0] or "en").partition("-")
        # an Indian language in Latin letters is read as what its letters are
        code = "en" if told[1] else told[0]
        return code if code in NAMES else "en"
    short = plain.partition("-")[0]
    code = _LONGER.get(short, short)
    by_name = {name.lower(): each for each, name in NAMES.items()}
    code = by_name.get(code, code)
    if code not in NAMES:
        raise InvalidInput(
            f"Nobody here speaks {wanted[:40]!r}.",
            remedy=f"The languages are: {', '.join(f'{each} ({name})' for each, name in NAMES.items())}.",
            param="language",
        )
    return code


def cast(bench: Bench, text: str, *, language: str = "auto", voice: str = "default", model: str | None = None) -> Cast:
    """Who speaks this text; raises `InvalidInput` for a language or voice that nobody has."""
    notes = list[Substitution]()
    named = _named(bench, voice, model)
    auto = language.strip().lower() in {"", "auto"}
    code = language_code(language, text)
    if auto and named and SCRIPT.get(code) == SCRIPT.get(named.voice.language):
        code = named.voice.language
    spoken, why = spoken_as(bench, code)
    only = _model(bench, model, spoken, notes)
    lead = named if named and _speaks(named, spoken) else None
    if named and lead is None:
        others = [each.id for row in rows(bench) for each in voices_of(row) if each.language == spoken]
        raise InvalidInput(
            f"The voice {named.voice.id!r} speaks {NAMES[named.voice.language]}, not {NAMES[code]}.",
            remedy=f"The voices for it are: {', '.join(['default', *others])}.",
            param="voice",
        )
    if lead is None:
        stand_in = OPENAI.get(voice.lower())
        gender = stand_in[0] if stand_in else _ANY.get(voice.lower())
        lead = pick(bench, spoken, set(), gender=gender, only=only, first=stand_in[1] if stand_in else "")
        if stand_in:
            notes.append(Substitution(voice, lead.voice.id, "OpenAI's voices are not on this machine"))
    if why:
        notes.append(Substitution(NAMES[code], f"{NAMES[spoken]} ({lead.voice.id})", why))
    return Cast(bench, code, Role(lead.voice, lead.row, spoken), notes)


def _speaks(role: Role, language: str) -> bool:
    return role.voice.language == language or _reads(role, language)


def _named(bench: Bench, voice: str, model: str | None) -> Role | None:
    """The voice with this id; None where the choice is ours."""
    wanted = voice.strip().lower()
    if wanted in _ANY or wanted in OPENAI:
        return None
    searched = [*rows(bench)]
    with suppress(NotInstalled):
        searched += [bench.catalog.resolve(model).row] if model else []
    for row in searched:
        for each in voices_of(row):
            if each.id.lower() == wanted:
                return Role(each, row, each.language)
    raise InvalidInput(
        f"There is no voice {voice[:40]!r}.",
        remedy="GET /api/v1/tts/voices lists them; `default`, `female` and `male` choose one.",
        param="voice",
    )


def _model(bench: Bench, model: str | None, language: str, notes: list[Substitution]) -> Row | None:
    """The row that was asked for or what replaces it; None, and a note, where it does not speak the language."""
    if model is None:
        return None
    try:
        choice = bench.catalog.resolve(model)
    except NotInstalled as error:
        if bench.catalog.row(model).capability != TEXT_TO_SPEECH.name:
            raise
        # one that has no engine, nor a successor with one, is no reason to say nothing
        notes.append(Substitution(model, "the profile's choice", error.message))
        return None
    if choice.row.capability != TEXT_TO_SPEECH.name:
        raise InvalidInput(f"{choice.row.id!r} does not speak: it does {choice.row.capability}.", param="model")
    if choice.row.id.lower() != model.lower() and choice.reason:
        notes.append(Substitution(model, choice.row.id, choice.reason))
    if language in choice.row.languages:
        return choice.row
    own = [NAMES.get(each, each) for each in choice.row.languages]
    only = f", only {', '.join(own)}" if len(own) <= _FEW else ""
    notes.append(Substitution(choice.row.id, "the profile's choice", f"it does not speak {NAMES[language]}{only}"))
    return None


def pick(
    bench: Bench,
    language: str,
    without: set[str],
    *,
    gender: str | None = None,
    only: Row | None = None,
    first: str = "",
) -> Role:
    """The first voice of the profile for a language, of this gender where there is one."""
    for row in [only] if only else rows(bench):
        found = [each for each in voices_of(row) if each.language == language]
        if row.id in without or not found:
            continue
        fitting = [each for each in found if each.gender == gender] or found
        return Role(next((each for each in found if each.id == first), fitting[0]), row, language)
    raise NotInstalled(
        f"No engine of profile {bench.settings.profile!r} speaks {NAMES.get(language, language)}"
        f"{' any more: ' + ', '.join(sorted(without)) + ' failed' if without else ''}.",
        remedy="`sutradhar models fetch espeak-ng` brings one that speaks nearly all languages.",
    )
