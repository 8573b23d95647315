"""Which tokens of Whisper's real vocabulary write which script."""

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from tokenizers import Tokenizer

from tools.speech.script import prompt_for, writings
from tools.speech.vocabulary import Vocabulary

ENGLISH = "Hello, what is “this”?"


@pytest.fixture(scope="module")
def tokenizer(weights: Callable[[str], Mapping[str, Path]]) -> Tokenizer:
    return Tokenizer.from_file(str(weights("whisper-base")["tokenizer.json"]))


@pytest.fixture(scope="module")
def vocabulary(tokenizer: Tokenizer) -> Vocabulary:
    return Vocabulary(tokenizer)


def tokens(tokenizer: Tokenizer, text: str) -> set[int]:
    return set(tokenizer.encode(text, add_special_tokens=False).ids)


@pytest.mark.weights
@pytest.mark.parametrize("language", sorted(writings()))
def test_a_language_is_written_with_what_is_left(tokenizer: Tokenizer, vocabulary: Vocabulary, language: str) -> None:
    own = writings()[language].scripts
    foreign = set(vocabulary.foreign(own))
    text = f" {prompt_for(language)} 12, 3.5 % – (42)!"
    assert not foreign & tokens(tokenizer, text)
    # a script that is spelt byte by byte throughout, as Gujarati, can be kept out by nothing
    for other in (writings()[code] for code in ("hi", "ur", "bn", "ta")):
        if not set(own) & set(other.scripts):
            assert foreign & tokens(tokenizer, other.prompt), other.name
    assert ("Latn" in own) == (not foreign & tokens(tokenizer, ENGLISH))


@pytest.mark.weights
def test_special_tokens_are_in_no_script(tokenizer: Tokenizer, vocabulary: Vocabulary) -> None:
    special = {number for number, token in tokenizer.get_added_tokens_decoder().items() if token.special}
    assert special
    assert not special & set(vocabulary.foreign(["Deva"]))


@pytest.mark.weights
def test_latin_letters_are_let_in_beside_their_own(tokenizer: Tokenizer, vocabulary: Vocabulary) -> None:
    foreign = set(vocabulary.foreign(["Deva", "Latn"]))
    assert not foreign & tokens(tokenizer, "मैंने meeting में email भेजा")
    for text in ("میں", "আমি", "привет", "你好"):
        assert foreign & tokens(tokenizer, text), text
