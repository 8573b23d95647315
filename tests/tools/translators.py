"""Tiny translators in their publishers' layouts. Their weights are set so that they copy: each word goes through the
tokenizer, the encoder, cross attention and beam search, and what comes out can be foretold."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tools.catalog import File, Row
from tools.errors import NotInstalled
from tools.translation.indictrans2 import TAGS

DEVANAGARI = [chr(code) for code in range(0x0901, 0x0970)]
BRAHMIC = [chr(code) for code in (*range(0x09F0, 0x09F2), 0x0A70, 0x0A71, 0x0D7A, 0x0D7B, 0x0D7C, 0x0D7D, 0x0D7E)]
LATIN = [chr(code) for code in range(0x21, 0x7F)]
URDU = list("ابپتٹثجچحخدڈذرڑزژسشصضطظعغفقکگلمنںوہھءیےآئؤ۔،؟")
INDIAN = [*DEVANAGARI, *BRAHMIC, *LATIN, *URDU]
POSITIONS = 224


def sentencepiece(letters: Sequence[str], words: Sequence[str], to: Path) -> list[str]:
    """A BPE model over these letters, trained on a few words; returns its pieces."""
    import sentencepiece as spm

    to.parent.mkdir(parents=True, exist_ok=True)
    spm.SentencePieceTrainer.train(
        sentence_iterator=iter([*words, *(" ".join(letters) for _ in range(3)), "".join(letters)]),
        model_prefix=str(to.with_name(f"{to.name}-training")),
        model_type="bpe",
        vocab_size=2 * len(letters) + 40,
        hard_vocab_limit=False,
        character_coverage=1.0,
        normalization_rule_name="identity",
        minloglevel=2,
    )
    to.with_name(f"{to.name}-training.model").rename(to)
    to.with_name(f"{to.name}-training.vocab").unlink()
    pieces = spm.SentencePieceProcessor(model_file=str(to))
    return [pieces.id_to_piece(n) for n in range(3, pieces.get_piece_size())]


def copying_model(vocabulary: list[str], to: Path, *, skip: int, add_eos: bool) -> None:
    """A CTranslate2 Transformer whose step `t` says the source's token `t + skip`.

    A vector is the token's place among `vocabulary`, then the position's; attention looks at positions only and carries
    tokens only.
    """
    from ctranslate2.specs import TransformerSpec

    words, depth = len(vocabulary), len(vocabulary) + POSITIONS
    spec = TransformerSpec.from_config((1, 1), 1, pre_norm=True)
    tokens = np.eye(words, depth, dtype=np.float32)
    positions = np.eye(POSITIONS, depth, k=words, dtype=np.float32)
    for side in (spec.encoder, spec.decoder):
        embeddings = side.embeddings[0] if isinstance(side.embeddings, list) else side.embeddings
        embeddings.weight = tokens
        side.scale_embeddings = False
        side.position_encodings.encodings = positions
        _norm(side.layer_norm, depth)
        (layer,) = side.layer
        _attention(layer.self_attention, depth)
        _norm(layer.self_attention.layer_norm, depth)
        _linear(layer.ffn.linear_0, np.zeros((8, depth)))
        _linear(layer.ffn.linear_1, np.zeros((depth, 8)))
        _norm(layer.ffn.layer_norm, depth)
    cross = spec.decoder.layer[0].attention
    _norm(cross.layer_norm, depth)
    here, there = np.zeros((depth, depth)), np.zeros((depth, depth))
    here[words:, words:] = 40 * np.eye(POSITIONS)
    there[words:, words:] = 40 * np.eye(POSITIONS, k=skip)
    said = np.zeros((depth, depth))
    said[:words, :words] = np.eye(words)
    _linear(cross.linear[0], here)
    _linear(cross.linear[1], np.concatenate((there, said)))
    _linear(cross.linear[2], 10 * said)
    _linear(spec.decoder.projection, 10 * tokens)
    spec.register_source_vocabulary(vocabulary)
    spec.register_target_vocabulary(vocabulary)
    spec.config.bos_token, spec.config.eos_token, spec.config.unk_token = "<s>", "</s>", "<unk>"
    spec.config.decoder_start_token = "</s>"
    spec.config.add_source_eos = add_eos
    spec.validate()
    to.mkdir(parents=True, exist_ok=True)
    spec.save(str(to))


def _norm(spec: Any, depth: int) -> None:
    spec.gamma, spec.beta = np.ones(depth, np.float32), np.zeros(depth, np.float32)


def _linear(spec: Any, weight: Any) -> None:
    spec.weight = np.asarray(weight, dtype=np.float32)
    spec.bias = np.zeros(len(weight), np.float32)


def _attention(spec: Any, depth: int) -> None:
    _linear(spec.linear[0], np.zeros((3 * depth, depth)))
    _linear(spec.linear[1], np.zeros((depth, depth)))


def indictrans2(folder: Path, direction: str, **more: Any) -> Row:
    """AI4Bharat's folder of a CTranslate2 model: vocabularies as text, the tokenizer under `vocab`."""
    pieces = sentencepiece(INDIAN, ["नमस्ते दुनिया", "hello world"], folder / "vocab" / "model.SRC")
    vocabulary = ["<s>", "<blank>", "</s>", "<unk>", *pieces, *TAGS.values()]
    copying_model(list(dict.fromkeys(vocabulary)), folder, skip=2, add_eos=True)
    shared = folder / "shared_vocabulary.json"
    for name in ("source_vocabulary", "target_vocabulary"):
        (folder / f"{name}.txt").write_text("\n".join(json.loads(shared.read_text())) + "\n")
    shared.unlink()
    return row(
        folder,
        id=f"tiny-{direction}",
        engine="tools.translation.indictrans2:IndicTrans2",
        languages=sorted({language[:3].rstrip("-") for language in TAGS}),
        options={"direction": direction, "compute_type": "float32", "cpu_threads": 1, "beam": 1},
        **more,
    )


M2M100_LANGUAGES = ["en", "fr", "de", "hi", "ta"]


def m2m100(folder: Path, **more: Any) -> Row:
    """What conversion makes of a hub checkpoint: one vocabulary, and the publisher's tokenizer files beside it."""
    pieces = sentencepiece([*LATIN, *DEVANAGARI, *"éèàçüöäß"], ["bonjour le monde"], folder / "sentencepiece.bpe.model")
    names = [f"__{language}__" for language in M2M100_LANGUAGES]
    vocabulary = ["<s>", "<pad>", "</s>", "<unk>", *pieces, *names]
    # the first step only says the target's language, which is given; the second says the source's second token
    copying_model(vocabulary, folder, skip=0, add_eos=False)
    (folder / "vocab.json").write_text(json.dumps({token: n for n, token in enumerate(vocabulary[:-5])}))
    return row(
        folder,
        id="tiny-m2m100",
        engine="tools.translation.m2m100:M2M100",
        languages=M2M100_LANGUAGES,
        options={"compute_type": "float32", "cpu_threads": 1, "beam": 1},
        **more,
    )


def row(folder: Path, **more: Any) -> Row:
    """A row whose weights lie in `folder`."""
    files = [
        File(name=str(path.relative_to(folder)), sources=[f"file:{path}"])
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    ]
    return Row(
        title=more.pop("title", more["id"]),
        capability="translation",
        licence="MIT",
        commercial=True,
        files=files,
        **more,
    )


class Absent:
    """An engine whose libraries are not installed."""

    def __init__(self, row: Row, files: Mapping[str, Path], device: str) -> None:
        raise NotInstalled("The converter is not here.", remedy="Run `make gpu`.")


def files_of(row: Row) -> dict[str, Path]:
    return {file.name: Path(file.sources[0].removeprefix("file:")) for file in row.files}
