"""The 70B and 7B rows of the owner through vLLM: a stand-in program takes the real command line and serves."""

import json
import os
import sys
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import jinja2
import pytest

from tests.tools import fake_server
from tools.catalog import Catalog, Row, load_catalog
from tools.chat.roles import chat_model
from tools.chat.vllm import template
from tools.errors import NotInstalled
from tools.open import open_bench
from tools.settings import Settings

pytestmark = pytest.mark.anyio

MISTRAL, LLAMA, CODELLAMA = "mistral-7b-instruct", "llama-2-70b-chat", "codellama-70b-instruct"

PROGRAM = """#!{python}
import json, os, sys
arguments = sys.argv[1:]
told = {{"arguments": arguments, "gpu": os.environ["CUDA_VISIBLE_DEVICES"]}}
open({log!r}, "w").write(json.dumps(told))
os.environ["FAKE_TOKEN"] = os.environ["VLLM_API_KEY"]
port = arguments[arguments.index("--port") + 1]
options = json.dumps({{"sleeps": "--enable-sleep-mode" in arguments}})
os.execv(sys.executable, [sys.executable, {server!r}, port, options])
"""


def program(folder: Path) -> Path:
    """An executable `vllm` that notes how it was called and speaks the protocol."""
    log = folder / "told.json"
    path = folder / "bin" / "vllm"
    path.parent.mkdir()
    path.write_text(PROGRAM.format(python=sys.executable, log=str(log), server=fake_server.__file__))
    path.chmod(0o755)
    return log


def ready(*names: str) -> Catalog:
    """The shipped catalogue, as if somebody had run these rows on the reference server."""
    shipped = load_catalog()
    rows = [row.model_copy(update={"status": "ready"}) if row.id in names else row for row in shipped.models]
    return Catalog(models=rows, profiles=shipped.profiles)


def row(name: str) -> Row:
    return load_catalog().row(name)


@pytest.mark.parametrize(
    ("asked", "id", "expected", "share"),
    [
        (
            "Mistral-7B",
            MISTRAL,
            {"--dtype": "bfloat16", "--tool-call-parser": "mistral", "--max-model-len": "32768"},
            17,
        ),
        ("Llama2-70B", LLAMA, {"--quantization": "awq_marlin", "--dtype": "half", "--max-model-len": "4096"}, 45),
        (
            "CodeLlama-70B",
            CODELLAMA,
            {"--quantization": "awq_marlin", "--dtype": "half", "--max-model-len": "4096"},
            45,
        ),
    ],
)
async def test_it_is_launched_on_its_gpu_and_answers(
    *,
    settings: Settings,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    asked: str,
    id: str,
    expected: dict[str, str],
    share: float,
) -> None:
    monkeypatch.setattr("tools.chat.vllm.total", lambda device: 96.0)
    log = program(tmp_path)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")
    owner = settings.model_copy(update={"profile": "owner", "roles": {"coding": asked}})
    async with open_bench(owner, catalog=ready(id)) as bench:
        monkeypatch.setattr(bench.models._devices, "used_by", lambda pid, device: None)  # type: ignore[attr-defined]
        model = chat_model(bench, "coding", max_tokens=3)
        assert model.row.id == id
        assert (await model.ainvoke("hi")).text == "w0 w1 w2 "
    told = json.loads(log.read_text())
    arguments: list[str] = told["arguments"]
    pairs = dict(pairwise(arguments))
    assert arguments[:2] == ["serve", row(id).options["model"]]
    assert {flag: pairs[flag] for flag in expected} == expected
    assert pairs["--served-model-name"] == id
    assert pairs["--host"] == "127.0.0.1"
    assert float(pairs["--gpu-memory-utilization"]) == pytest.approx(share / 96, abs=0.001)
    assert pairs["--chat-template"] == template(str(row(id).options["chat_template"]))
    assert ("--enable-auto-tool-choice" in arguments) == ("--tool-call-parser" in expected)
    assert "--enable-sleep-mode" in arguments
    assert told["gpu"] == "1"


async def test_without_vllm_it_says_what_to_install(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    owner = settings.model_copy(update={"profile": "owner", "roles": {"coding": CODELLAMA}})
    async with open_bench(owner, catalog=ready(CODELLAMA)) as bench:
        with pytest.raises(NotInstalled, match="pip install vllm"):
            await chat_model(bench, "coding").ainvoke("hi")


def rendered(id: str, messages: Sequence[dict[str, Any]], **more: Any) -> str:
    """As transformers and vLLM render it."""
    environment = jinja2.Environment(trim_blocks=True, lstrip_blocks=True)  # noqa: S701 - a prompt is no page
    environment.filters["tojson"] = lambda value: json.dumps(value, ensure_ascii=False)
    text = Path(template(str(row(id).options["chat_template"]))).read_text(encoding="utf-8")
    return environment.from_string(text).render(messages=messages, bos_token="<s>", eos_token="</s>", **more)


TALK = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "Who?"},
    {"role": "assistant", "content": "Me."},
    {"role": "user", "content": "Why?"},
]


def test_templates_are_those_of_the_models() -> None:
    assert rendered(LLAMA, TALK) == (
        "<s>[INST] <<SYS>>\nBe brief.\n<</SYS>>\n\nWho? [/INST] Me. </s><s>[INST] Why? [/INST]"
    )
    assert rendered(LLAMA, TALK[1:2]) == "<s>[INST] Who? [/INST]"
    assert rendered(CODELLAMA, TALK) == (
        "<s>Source: system\n\n Be brief. <step> Source: user\n\n Who? <step> Source: assistant\n\n Me. <step> "
        "Source: user\n\n Why? <step> Source: assistant\nDestination: user\n\n "
    )
    assert rendered(MISTRAL, TALK) == "<s>[INST] Who?[/INST] Me.</s>[INST] Be brief.\n\nWhy?[/INST]"


def test_mistral_is_shown_tools_and_their_results() -> None:
    tool = {"type": "function", "function": {"name": "weather"}}
    call = {"id": "call_123456789", "function": {"name": "weather", "arguments": {"city": "Kochi"}}}
    talk: list[dict[str, Any]] = [
        {"role": "user", "content": "Rain?"},
        {"role": "assistant", "content": "", "tool_calls": [call]},
        {"role": "tool", "content": "Yes.", "tool_call_id": "call_123456789"},
    ]
    assert rendered(MISTRAL, talk, tools=[tool]) == (
        '<s>[AVAILABLE_TOOLS] [{"type": "function", "function": {"name": "weather"}}][/AVAILABLE_TOOLS]'
        "[INST] Rain?[/INST]"
        '[TOOL_CALLS] [{"name": "weather", "arguments": {"city": "Kochi"}, "id": "123456789"}]</s>'
        '[TOOL_RESULTS] {"content": "Yes.", "call_id": "123456789"}[/TOOL_RESULTS]'
    )


def test_an_owners_own_template(tmp_path: Path) -> None:
    assert template(str(tmp_path / "mine.jinja")) == str(tmp_path / "mine.jinja")
