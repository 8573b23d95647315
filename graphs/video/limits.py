"""What a description does not say, and why: missing models, budgets, detections that were too unsure to tell."""

from collections.abc import Sequence

from graphs.temporal.words import content
from graphs.video import trust
from graphs.video.sayings import heard
from graphs.video.wording import seconds
from ingestion.timeline import Timeline

_CAPTIONS = ("captions", "caption", "vision-language")
_NO_CAPTIONS = (
    "No vision-language model is installed: actions, relations and what a scene means are not described. "
    "`sutradhar models list` shows those that this machine can run, `sutradhar models fetch` installs one."
)


def limits_of(timeline: Timeline, unfinished: str = "", *, actions: bool = True, exact: bool = True) -> list[str]:
    """The limits of what was watched, as sentences; `exact` says that its cuts are known to the frame."""
    found = list[str]()
    if not timeline.shots:
        found.append("There is no picture that could be watched: only what is heard is told.")
    missing = {name: why for each in timeline.passes for name, why in each.missing.items()}
    captions = next((why for name, why in missing.items() if name in _CAPTIONS), None)
    if timeline.shots and actions and not any(each.modality == "caption" for each in timeline.segments):
        found.append(_with_reason(captions))
    found += [f"{_name(name)}: {why}" for name, why in missing.items() if name not in _CAPTIONS]
    found += _watching(timeline, exact=exact)
    if left := trust.unsure(timeline.tracks, content(" ".join(each.text for each in heard(timeline)))):
        found.append(f"Left out as too unsure: {left} sighting{'s' if left > 1 else ''} of things or faces.")
    unheard = [
        each for each in timeline.segments if each.modality == "speech" and (each.confidence or 1) < trust.SPEECH
    ]
    if unheard:
        found.append(
            f"Left out as heard too unsurely: {len(unheard)} stretch{'es' if len(unheard) > 1 else ''} of speech."
        )
    return [*found, *timeline.notes, *([unfinished] if unfinished else [])]


def _with_reason(why: str | None) -> str:
    return f"{_NO_CAPTIONS} ({why.rstrip('.')}.)" if why and "installed" not in why else _NO_CAPTIONS


def _watching(timeline: Timeline, *, exact: bool) -> Sequence[str]:
    looked = [each for each in timeline.passes if each.step]
    found = list[str]()
    if looked:
        last = looked[-1]
        if last.step and last.step > 1:
            found.append(f"One picture in {seconds(last.step)} was looked at: what shows for less may be missing.")
        if last.covered < 0.995:
            found.append(f"{last.covered:.0%} of the video was watched.")
    if timeline.shots and not exact:
        found.append("Where shots begin is an estimate: not every frame was looked at.")
    if not timeline.complete:
        found.append("Not every pass over the video was finished.")
    return found


def _name(sense: str) -> str:
    return sense.replace("_", " ").capitalize()
