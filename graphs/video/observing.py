"""A timeline into statements, by rules: each says one thing that was seen or heard, and where."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from graphs.temporal.words import content
from graphs.video import trust, wording
from graphs.video.sayings import Saying, heard, sayings
from graphs.video.state import About, Moment, Scene, Statement
from ingestion.scenes import LEAST_CAMERA, camera_is_clear
from ingestion.timeline import ShotSeen, Timeline, Track
from knowledge.segment import Modality, Segment

_STILL, _LIVELY = 0.02, 0.35
_CLOSE = 0.35
"""Share of the picture's height above which a face is seen close up."""

_CAMERA = {
    "pan left": "The camera pans left",
    "pan right": "The camera pans right",
    "tilt up": "The camera tilts up",
    "tilt down": "The camera tilts down",
    "zoom in": "The camera zooms in",
    "zoom out": "The camera zooms out",
}
_BEGINS = {"fade": "The scene fades in", "dissolve": "The scene before dissolves into it"}
_DARK = 0.12
"""Mean luma below which nobody would call a picture anything but dark."""


@dataclass
class Observer:
    """Reads one timeline, scene by scene in order; a text that stays on screen is told once."""

    timeline: Timeline
    spoken: list[Saying] = field(init=False)
    _read: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.spoken = sayings(heard(self.timeline))

    def scene(self, scene: Scene) -> list[Statement]:
        """All that can be said of a scene."""
        shots = [each for each in self.timeline.shots if each.start < scene.end and each.end > scene.start]
        return [
            *self._told(scene),
            *self._people(scene),
            *self._things(scene),
            *self._texts(scene),
            *(said for shot in shots for said in self._shot(shot, scene)),
            *self._speech(scene),
            *self._sounds(scene),
        ]

    def _told(self, scene: Scene) -> list[Statement]:
        """What a vision-language model says of it, in its own words: the only source of actions."""
        return [
            Statement(text=wording.sentence(" ".join(each.text.split())), about="actions", moments=[moment_of(each)])
            for each in self._starting("caption", scene)
            if each.text.strip()
        ]

    def _tracks(self, scene: Scene) -> list[Track]:
        return [each for each in self.timeline.tracks if _middle_in(each.start, each.end, scene)]

    def _people(self, scene: Scene) -> list[Statement]:
        tracks = self._tracks(scene)
        bodies, faces = trust.at_once(trust.people(tracks)), trust.at_once(trust.sure_faces(tracks))
        most = max(bodies, faces, key=len)
        if not most:
            return []
        # two senses that agree, each face on a figure of its own, make the count sure
        exact = len(bodies) == len(faces) and all(
            sum(trust.within(face.box, body.box) for body in bodies) == 1 for face in faces
        )
        text = wording.in_view([wording.counted("person", len(most), exact=exact)], many=len(most) > 1)
        found = [self._of_tracks(text, "people", most, "face" if most is faces else "object")]
        if len(faces) == 1 and faces[0].box[3] - faces[0].box[1] > _CLOSE:
            found.append(self._of_tracks("A face is seen close up.", "people", faces, "face"))
        return found

    def _things(self, scene: Scene) -> list[Statement]:
        said = " ".join(each.text for each in self.spoken if each.start < scene.end and each.end > scene.start)
        spoken = frozenset(content(said))
        known = [found for each in trust.distinct(self._tracks(scene)) if (found := trust.thing(each, spoken))]
        names = Counter(each.name for each in known)
        there = {name: trust.at_once([each.track for each in known if each.name == name]) for name in names}
        if not there:
            return []
        items = [wording.counted(name, len(tracks)) for name, tracks in there.items()]
        many = len(items) > 1 or any(len(tracks) > 1 for tracks in there.values())
        tracks = [each for some in there.values() for each in some]
        return [self._of_tracks(wording.in_view(items, many=many), "objects", tracks, "object")]

    def _of_tracks(self, text: str, about: About, tracks: Sequence[Track], modality: Modality) -> Statement:
        return Statement(
            text=text,
            about=about,
            moments=[
                Moment(
                    start=each.start,
                    end=each.end,
                    modality=modality,
                    segment=self._segment_of(each, modality),
                    thumbnail=address(each.image),
                )
                for each in tracks
            ],
        )

    def _segment_of(self, track: Track, modality: Modality) -> str:
        found = (
            each
            for each in self.timeline.during(track.start, max(track.end, track.start + 0.001))
            if each.modality == modality and (modality == "face" or track.label in each.text)
        )
        return str(each.id) if (each := next(found, None)) else ""

    def _texts(self, scene: Scene) -> list[Statement]:
        found = list[Statement]()
        for each in self._starting("screen_text", scene):
            lines = [line for line in trust.legible(each.text, each.confidence) if self._new(line)]
            if lines:
                text = f"Text on screen: {wording.quoted(' / '.join(lines))}."
                found.append(Statement(text=text, about="text", moments=[moment_of(each)]))
        return found

    def _new(self, line: str) -> bool:
        letters = trust.letters_of(line)
        fresh = letters not in self._read
        self._read.add(letters)
        return fresh

    def _shot(self, shot: ShotSeen, scene: Scene) -> list[Statement]:
        camera = _CAMERA.get(shot.camera) if camera_is_clear(shot) else None
        light = "The picture is dark" if self._is_dark(shot) else None
        begins = _BEGINS.get(shot.transition) if shot.start == scene.start and scene.number > 1 else None
        told: list[tuple[str | None, About]] = [(begins, "scene"), (light, "light"), (camera, "camera")]
        moment = moment_of_shot(shot)
        said = [Statement(text=f"{text}.", about=about, moments=[moment]) for text, about in told if text]
        if scene.shots == 1 and (motion := _motion(shot)):
            said.append(Statement(text=motion, about="camera", moments=[moment]))
        if scene.shots == 1 and shot.colours:
            colours = wording.listed(shot.colours[:2])
            said.append(Statement(text=f"Mostly {colours} tones.", about="scene", moments=[moment]))
        return list({each.text: each for each in said}.values())

    def _is_dark(self, shot: ShotSeen) -> bool:
        """White letters on a dark slide do not make a dark picture."""
        letters = any(
            each.modality == "screen_text" and trust.legible(each.text, each.confidence)
            for each in self.timeline.during(shot.start, shot.end)
        )
        return shot.light == "dark" and shot.brightness < _DARK and not letters

    def _speech(self, scene: Scene) -> list[Statement]:
        return [said(each) for each in self.spoken if scene.start <= each.start < scene.end]

    def _sounds(self, scene: Scene) -> list[Statement]:
        return [
            Statement(text=wording.sentence(" ".join(each.text.split())), about="sound", moments=[moment_of(each)])
            for each in self._starting("sound", scene)
        ]

    def _starting(self, modality: Modality, scene: Scene) -> list[Segment]:
        return [
            each
            for each in self.timeline.segments
            if each.modality == modality and each.start is not None and scene.start <= each.start < scene.end
        ]


def said(saying: Saying) -> Statement:
    """A sentence in the words that the recogniser heard."""
    who = f"{saying.speaker}, heard" if saying.speaker else "Heard"
    moments = [moment_of(each) for each in saying.segments]
    return Statement(text=f"{who}: {wording.quoted(saying.text)}", about="speech", moments=moments)


def moment_of(segment: Segment) -> Moment:
    start = segment.start or 0.0
    return Moment(
        start=start,
        end=max(segment.end or start, start),
        modality=segment.modality,
        segment=str(segment.id),
        thumbnail=address(segment.image),
    )


def moment_of_shot(shot: ShotSeen) -> Moment:
    return Moment(start=shot.start, end=shot.end, modality="scene", thumbnail=address(shot.image))


def address(image: str | None) -> str | None:
    """Where a picture of the media store is served."""
    return f"/api/v1/media/{image}" if image else None


def _middle_in(start: float, end: float, scene: Scene) -> bool:
    """Whether a track belongs to a scene: its middle does, or it fills the whole of it."""
    return scene.start <= (start + end) / 2 < scene.end or (start <= scene.start and end >= scene.end)


def _motion(shot: ShotSeen) -> str | None:
    if shot.camera != "still" or shot.end - shot.start < LEAST_CAMERA:
        return None
    if shot.motion <= _STILL:
        return "Hardly anything moves."
    return "There is much motion." if shot.motion >= _LIVELY else None
