"""Text that stays is one segment; things and faces are counted by shot."""

from ingestion.frames import Picture
from ingestion.looking import Look, Place, Screen, faces, screen_text, things
from ingestion.senses import Pace
from ingestion.shots import Shot
from tools.looking import SeenFace, SeenObject, SeenText
from tools.vision import Box

PLACE = Place("a" * 64, "b")
TOP: Box = (0.1, 0.1, 0.6, 0.2)
LOW: Box = (0.1, 0.8, 0.6, 0.9)


def look(start: float, end: float, *lines: tuple[str, Box], sure: float = 0.9, **more: object) -> Look:
    picture = Picture(start=start, end=end, image=f"{'a' * 64}/frames/{start:.3f}.jpg")
    read = [SeenText(text=text, box=box, confidence=sure) for text, box in lines]
    return Look(picture=picture, model="eyes", lines=read, **more)


def read(*looks: Look) -> list[tuple[float | None, float | None, str]]:
    screen, found = Screen(), list[tuple[float | None, float | None, str]]()
    for each in looks:
        screen.see(each)
        found += [(one.start, one.end, one.text) for one in screen_text(screen.leave(), PLACE)]
    screen.end()
    return found + [(one.start, one.end, one.text) for one in screen_text(screen.leave(), PLACE)]


def test_text_that_persists_is_one_segment_and_what_comes_later_another() -> None:
    found = read(
        look(0, 2, ("Chapter One", TOP)),
        look(2, 5, ("Chapter One", TOP), ("the harbour", LOW)),
        look(5, 9, ("Chapter One", TOP), ("the harbour", LOW)),
        look(9, 12),
    )
    assert found == [(0, 9, "Chapter One"), (2, 9, "the harbour")]


def test_lines_that_come_and_go_together_are_read_together_from_the_top() -> None:
    assert read(look(0, 2, ("below", LOW), ("above", TOP)), look(2, 4)) == [(0, 2, "above\nbelow")]


def test_a_slip_of_the_reader_does_not_break_a_line_and_the_surest_reading_wins() -> None:
    found = read(look(0, 1, ("Greenbelt Marylamd", TOP), sure=0.6), look(1, 2, ("Greenbelt Maryland", TOP)))
    assert found == [(0, 2, "Greenbelt Maryland")]


def test_numbers_that_change_are_other_lines() -> None:
    assert len(read(look(0, 1, ("Departures at 10:15", TOP)), look(1, 2, ("Departures at 10:20", TOP)))) == 2


def test_the_same_words_elsewhere_are_another_line() -> None:
    assert len(read(look(0, 1, ("Hello", TOP)), look(1, 2, ("Hello", LOW)))) == 2


def test_things_are_counted_by_shot() -> None:
    def thing(label: str) -> SeenObject:
        return SeenObject(label=label, box=TOP, confidence=0.8)

    looks = [
        look(0, 2, objects=[thing("person"), thing("cup")]),
        look(2, 4, objects=[thing("person"), thing("person")]),
        look(4, 6),
        look(6, 8, objects=[thing("bus")] * 3),
    ]
    shots = [Shot(start=0, end=5), Shot(start=5, end=9)]
    found = things(looks, shots, PLACE)
    assert [(each.start, each.end, each.text) for each in found] == [(0, 4, "2 persons, 1 cup"), (6, 8, "3 buses")]
    assert found == things(looks, shots, PLACE)


def test_a_long_shot_is_told_in_windows() -> None:
    looks = [look(at, at + 10, faces=[SeenFace(box=LOW, confidence=0.7)]) for at in range(0, 60, 10)]
    found = faces(looks, [Shot(start=0, end=60)], PLACE)
    assert [(each.start, each.end, each.text) for each in found] == [(0, 30, "1 face"), (30, 60, "1 face")]
    assert found[0].box == LOW


def test_a_sense_that_sees_nothing_looks_less_often_until_the_next_shot() -> None:
    pace = Pace(1.0, least=1, most=3)
    looked = list[int]()
    for at in range(20):
        picture = Picture(start=at, end=at + 1, image="x", cut=at in {0, 12})
        if pace.wants(picture):
            looked.append(at)
            pace.saw(False)
    assert looked == [0, 2, 5, 8, 11, 12, 14, 17]
    pace.saw(True)
    assert pace.wants(Picture(start=18, end=19, image="x", cut=False))
