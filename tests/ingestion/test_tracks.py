"""The same thing on picture after picture is one track; another, or another shot's, is not."""

from ingestion.frames import Picture
from ingestion.looking import Look
from ingestion.shots import Shot
from ingestion.tracks import tracks
from tools.looking import SeenFace, SeenObject

SHOTS = [Shot(start=0, end=10), Shot(start=10, end=20)]


def look(at: float, *things: tuple[str, float, float], faces: int = 0) -> Look:
    picture = Picture(start=at, end=at + 1, image=f"{'a' * 64}/{at:.0f}")
    objects = [
        SeenObject(label=label, box=(x, 0.2, x + 0.2, 0.6), confidence=confidence) for label, x, confidence in things
    ]
    seen = [SeenFace(box=(0.4 * n, 0.1, 0.4 * n + 0.1, 0.2), confidence=0.9) for n in range(faces)]
    return Look(picture=picture, model="m", objects=objects, faces=seen)


def test_what_stays_is_one_track_with_its_best_look() -> None:
    found = tracks([look(n, ("person", 0.1 + 0.02 * n, 0.4 + 0.05 * n)) for n in range(5)], SHOTS)
    assert [(each.label, each.start, each.end, each.looks) for each in found] == [("person", 0, 5, 5)]
    assert (found[0].confidence, found[0].image) == (0.6, f"{'a' * 64}/4")


def test_two_at_once_are_two_and_a_miss_does_not_end_one() -> None:
    two = [("person", 0.1, 0.5), ("person", 0.7, 0.6)]
    found = tracks([look(0, *two), look(1, two[0]), look(2, *two)], SHOTS)
    assert sorted((each.start, each.end, each.looks) for each in found) == [(0, 3, 2), (0, 3, 3)]


def test_a_cut_a_long_absence_and_another_label_begin_a_new_one() -> None:
    dog, cat = ("dog", 0.1, 0.5), ("cat", 0.1, 0.5)
    assert len(tracks([look(9, dog), look(10, dog)], SHOTS)) == 2
    assert len(tracks([look(0, dog), look(8, dog)], SHOTS)) == 2
    assert [each.label for each in tracks([look(0, dog), look(1, cat)], SHOTS)] == ["dog", "cat"]


def test_faces_are_tracks_too() -> None:
    found = tracks([look(0, faces=2), look(1, faces=2)], SHOTS)
    assert [(each.label, each.looks) for each in found] == [("face", 2), ("face", 2)]
