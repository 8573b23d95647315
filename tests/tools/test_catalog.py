"""The catalogue that ships: every named model, its successor, and where the weights come from."""

import importlib.util
import re
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from tools.catalog import Catalog, Row, load_catalog
from tools.errors import NotFound, NotInstalled
from tools.settings import Settings
from tools.sources import parse_source

NAMED = [
    "SadTalker", "Wav2Lip", "FaceFusion", "AnimateDiff", "Whisper-large-v3", "WhisperLive", "M2M100", "IndicWhisper",
    "Coqui TTS", "Bark", "VALL-E X", "IndicTTS", "Claude-3.5-Sonnet", "GPT-4", "CodeLlama-70B", "Llama2-70B",
    "Mistral-7B", "LLaVA-13B", "CogVLM-17B", "Qwen-VL-7B", "InstructBLIP-7B", "Video-LLaVA", "VideoChat",
    "Video-ChatGPT", "UniVL",
]  # fmt: skip
CATALOG = load_catalog()


@pytest.mark.parametrize("name", NAMED)
def test_a_named_model_is_served_or_says_why_not(name: str) -> None:
    row = CATALOG.row(name)
    assert row.named_by_owner
    assert row is CATALOG.row(name.upper())
    followers = [row]
    while followers[-1].status != "ready" and (follower := followers[-1].replaced_by):
        followers.append(CATALOG.row(follower))
    if followers[-1].status == "ready":
        choice = CATALOG.resolve(name)
        assert choice.row is followers[-1]
        assert choice.row is row or row.note in choice.reason
    else:
        with pytest.raises(NotInstalled, match=re.escape(row.note)):
            CATALOG.resolve(name)


def test_all_named_models_are_different_rows() -> None:
    assert len({CATALOG.row(name).id for name in NAMED}) == 25
    assert sum(row.named_by_owner for row in CATALOG.models) == 25


@pytest.mark.parametrize(("asked", "served"), [("GPT-4", "gpt-6.1-sol"), ("Claude-3.5-Sonnet", "claude-sonnet-5-5")])
def test_a_retired_service_is_replaced_and_says_so(asked: str, served: str) -> None:
    choice = CATALOG.resolve(asked)
    assert choice.row.id == served
    assert "2026" in choice.reason or "2025" in choice.reason


@pytest.mark.parametrize(
    ("asked", "near"), [("whisper-bass", "whisper-base"), ("Qwen2.5-coder", "qwen2.5-coder-1.5b-instruct")]
)
def test_a_near_miss_is_answered_with_the_nearest_names(asked: str, near: str) -> None:
    with pytest.raises(NotFound, match=f"Did you mean .*{near}"):
        CATALOG.row(asked)


def test_a_far_miss_names_the_command() -> None:
    with pytest.raises(NotFound, match="sutradhar models list"):
        CATALOG.row("@@@@")


@pytest.mark.parametrize("row", [row for row in CATALOG.models if row.status == "ready"], ids=lambda row: row.id)
def test_the_engine_of_a_ready_row_exists(row: Row) -> None:
    module, _, name = row.engine.partition(":")
    spec = importlib.util.find_spec(module)
    assert spec is not None, f"{row.id}: no module {module!r}"
    assert spec.origin is not None
    assert re.search(rf"^class {name}\b", Path(spec.origin).read_text(encoding="utf-8"), re.MULTILINE)


@pytest.mark.parametrize("row", [row for row in CATALOG.models if row.files], ids=lambda row: row.id)
def test_sources_can_be_read_and_packages_are_pinned_by_digest(row: Row) -> None:
    for file in row.files:
        schemes = {part.scheme for source in file.sources for part in parse_source(source)}
        if schemes & {"pypi", "npm", "github"}:
            assert file.sha256
            assert file.size
        if row.trust_remote_code and file.name.endswith(".py"):
            assert all("@main" not in source for source in file.sources)


def test_parts_are_joined_in_the_order_of_their_numbers() -> None:
    for source in (source for row in CATALOG.models for file in row.files for source in file.sources):
        numbers = [[int(digits) for digits in re.findall(r"\d+", part.path)[-1:]] for part in parse_source(source)]
        assert numbers == sorted(numbers)
    (file,) = CATALOG.row("qwen2.5-coder-1.5b-instruct").files
    assert len(parse_source(file.sources[0])) == 22


@pytest.mark.parametrize("name", ["embedded", "one-gpu", "owner", "remote"])
def test_profiles_name_rows_of_the_right_capability(name: str) -> None:
    profile = CATALOG.profile(name)
    for capability, ids in profile.serves.items():
        assert [CATALOG.row(id).capability for id in ids] == [capability] * len(ids)
    for id in profile.roles.values():
        assert CATALOG.resolve(id).row.capability in {"chat", "vision-language"}


def test_the_embedded_profile_fits_a_laptop_and_is_ready() -> None:
    profile = CATALOG.profile("embedded")
    rows = [CATALOG.row(id) for ids in profile.serves.values() for id in ids]
    assert all(row.status == "ready" and row.commercial for row in rows)
    assert sum(row.memory for row in rows) <= profile.devices["cpu"]
    assert {"cpu"} == {row.device for row in rows}
    assert Settings.model_fields["profile"].default == "embedded"


def test_licences_that_forbid_commerce_are_marked() -> None:
    forbidding = {row.id for row in CATALOG.models if not row.commercial}
    assert {"wav2lip", "coqui-tts", "video-chatgpt-7b", "video-llava-7b", "instructblip-7b"} <= forbidding
    for row in CATALOG.models:
        assert not (row.commercial and re.search(r"non-commercial|CPML|BY-NC", row.licence))


def _row(id: str, **more: object) -> dict[str, object]:
    return {"id": id, "title": id, "capability": "chat", "engine": "a:B", "licence": "MIT", "commercial": True, **more}


@pytest.mark.parametrize(
    ("rows", "why"),
    [
        ([_row("a"), _row("b", aliases=["A"])], "names both"),
        ([_row("a", replaced_by="b")], "no row"),
        ([_row("a", status="later")], "say why"),
        ([_row("a", engine="")], "must name its `engine`"),
        (
            [
                _row("a", replaced_by="b"),
                _row("b", status="later", note="x", replaced_by="c"),
                _row("c", status="later", note="y", replaced_by="b"),
            ],
            "replaces itself",
        ),
    ],
)
def test_a_catalogue_that_cannot_be_meant_is_refused(rows: list[dict[str, object]], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        Catalog.model_validate({"models": rows, "profiles": {}})


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({"requirements": ["torch>=2"]}, "must pin 'torch>=2'"),
        ({"requirements": ["torch"]}, "must pin 'torch'"),
        (
            {
                "trust_remote_code": True,
                "files": [
                    {"name": "config.json", "sources": ["hf:owner/repo@main/config.json"]},
                    {"name": "code.py", "sources": [f"hf:owner/repo@{'0' * 40}/code.py"]},
                ],
            },
            "must name its commit in full",
        ),
    ],
)
def test_foreign_code_is_pinned(more: dict[str, Any], why: str) -> None:
    about = {"id": "a", "title": "A", "capability": "c", "engine": "a:B", "licence": "MIT", "commercial": True}
    with pytest.raises(ValidationError, match=why):
        Row.model_validate(about | more)
    pinned = {
        "requirements": [
            "torch==2.1.0+cpu ; python_version < '3.12'",
            "a[b]==1",
            "d<81",
            "e>=2,<3",
            "c @ https://example.org/c.whl",
        ]
    }
    Row.model_validate(about | pinned)
