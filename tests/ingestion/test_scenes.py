"""Light, colours and repetitions of shots, without a model."""

import numpy as np
import pytest
from numpy.typing import NDArray

from ingestion.frames import Picture
from ingestion.scenes import apart, colours_of, print_of, same, scenes, told
from ingestion.shots import Shot
from tests.tools.films import through


def plain(colour: tuple[int, int, int]) -> NDArray[np.uint8]:
    return np.full((90, 160, 3), colour, np.uint8)


@pytest.mark.parametrize(
    ("colour", "name"),
    [
        ((0, 0, 0), "black"),
        ((250, 250, 250), "white"),
        ((128, 128, 128), "grey"),
        ((220, 20, 20), "red"),
        ((240, 140, 20), "orange"),
        ((110, 70, 30), "brown"),
        ((240, 220, 30), "yellow"),
        ((30, 170, 40), "green"),
        ((20, 60, 200), "blue"),
        ((130, 30, 200), "purple"),
        ((240, 90, 170), "pink"),
    ],
)
def test_colours_have_names(colour: tuple[int, int, int], name: str) -> None:
    assert colours_of(plain(colour)) == [name]


def test_main_colours_come_the_largest_first() -> None:
    picture = plain((20, 60, 200))
    picture[:, :50] = (250, 250, 250)
    picture[:5, :5] = (220, 20, 20)
    assert colours_of(picture) == ["blue", "white"]


def test_the_same_picture_is_known_again_and_another_is_not() -> None:
    one, noise = through(300, 270), np.random.default_rng(1).integers(-9, 10, (180, 320, 3))
    again = np.clip(one.astype(int) + noise, 0, 255).astype(np.uint8)
    assert same(print_of(one), print_of(again))
    for other in (through(300, 270, seed=2), through(420, 270), one[:, ::-1]):
        assert not same(print_of(one), print_of(np.ascontiguousarray(other)))
    assert apart(print_of(one), print_of(plain((0, 0, 0))))
    assert not apart(print_of(one), print_of(again))


def shot(start: float, **more: object) -> Shot:
    return Shot.model_validate({"start": start, "end": start + 4, **more})


def picture(start: float, seed: int, end: float | None = None) -> Picture:
    image = through(300, 270, seed=seed)
    return Picture(
        start=start, end=end or start + 4, image=f"{'a' * 64}/{start}", print=print_of(image), colours=["red"]
    )


def test_a_shot_that_comes_back_names_the_first_one() -> None:
    found = scenes([shot(0), shot(4), shot(8), shot(12)], [picture(n * 4, seed) for n, seed in enumerate((1, 2, 1, 2))])
    assert [each.repeats for each in found] == [None, None, 0, 1]
    assert "same picture as 00:00" in told(found[2], found[0])


def test_a_shot_without_a_picture_of_its_own_has_the_one_in_view() -> None:
    found = scenes([shot(0), shot(4)], [picture(0, 1, end=8.0)])
    assert [each.image for each in found] == [f"{'a' * 64}/0"] * 2


def test_a_shot_in_words() -> None:
    found = scenes([shot(0, camera="pan left", transition="fade", brightness=0.05)], [picture(0, 1)])
    words = "A dark shot, mostly red; it begins with a fade; the camera pans left."
    assert told(found[0], None) == words


def test_a_camera_that_creeps_is_not_called_still() -> None:
    def at(start: float, zoom: float) -> Picture:
        shown = print_of(through(480, 270, zoom))
        return Picture(start=start, end=start + 1, image=f"{'a' * 64}/{start}", print=shown, colours=["red"])

    still = shot(0, camera="still")
    assert scenes([still], [at(0, 1.0), at(3, 1.0)])[0].camera == "still"
    assert scenes([still], [at(0, 1.0), at(3, 1.12)])[0].camera == "unknown"
