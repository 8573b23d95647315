"""The command line: quick to start, one JSON object for programs, exit codes that tell."""

import asyncio
import ctypes
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from api.cli import app
from api.cli.ask import options_of
from api.discovery import find, only_host, wait_for
from tests.api.conftest import serve
from tools.errors import InvalidInput
from tools.settings import Settings

pytestmark = pytest.mark.anyio


def call(home: Path, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    """Run `sutradhar` with this home."""
    command = [sys.executable, "-m", "api.cli", "--home", str(home), *arguments]
    return subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=120, env={**os.environ, **env}, cwd=home.parent
    )


def one_object(result: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    """Standard output must be exactly one JSON object."""
    assert result.stdout.count("\n") == 1, result.stdout
    value = json.loads(result.stdout)
    assert isinstance(value, dict)
    return value


def test_help_is_quick(tmp_path: Path) -> None:
    def once(*arguments: str) -> float:
        started = time.perf_counter()
        subprocess.run([sys.executable, *arguments], check=True, capture_output=True)
        return time.perf_counter() - started

    # against a bare interpreter in the same moment: the machine may be busy
    ratio = min(once("-m", "api.cli", "--help") / once("-c", "import typer") for _ in range(3))
    assert ratio < 2.5


@pytest.mark.parametrize(
    "arguments", [[], ["nothing"], ["ask"], ["ingest", "/nowhere/at/all"], ["bench", "x", "--data", "/no"]]
)
def test_usage_errors_exit_2(tmp_path: Path, arguments: list[str]) -> None:
    assert CliRunner().invoke(app, ["--home", str(tmp_path), *arguments]).exit_code == 2


def test_a_wrong_setting_is_named(tmp_path: Path) -> None:
    result = call(tmp_path / "home", "doctor", SUTRADHAR_SERVER__PORT="many")
    assert result.returncode == 2
    assert "SUTRADHAR_SERVER__PORT" in result.stderr


def test_doctor_names_a_fix_for_each_failure(tmp_path: Path) -> None:
    result = call(tmp_path / "home", "doctor", "--json", SUTRADHAR_CACHE=str(tmp_path / "empty"))
    report = one_object(result)
    assert result.returncode == 1
    failed = [check for check in report["checks"] if not check["ok"]]
    assert {"model whisper-base"} <= {check["name"] for check in failed}
    assert all(check["fix"] for check in failed)


def test_models_as_json(tmp_path: Path) -> None:
    listed = one_object(call(tmp_path / "home", "models", "list", "--json", SUTRADHAR_CACHE=str(tmp_path / "empty")))
    rows = {row["id"]: row for row in listed["models"]}
    assert rows["whisper-base"]["installed"] is False
    plan = one_object(call(tmp_path / "home", "models", "plan", "whisper-base", "--json"))
    assert plan["verdict"] == "fits"
    unknown = call(tmp_path / "home", "models", "plan", "nothing", "--json")
    assert unknown.returncode == 1
    assert one_object(unknown)["error"]["code"] == "not_found"


def test_fetching_offline_says_so(tmp_path: Path) -> None:
    offline = {"SUTRADHAR_CACHE": str(tmp_path / "empty"), "SUTRADHAR_OFFLINE": "true"}
    result = call(tmp_path / "home", "models", "fetch", "silero-vad", "--json", **offline)
    assert result.returncode == 1
    assert one_object(result)["error"]["code"] == "not_installed"


def test_measurements_are_found_by_name(tmp_path: Path) -> None:
    result = call(tmp_path / "home", "bench", "nothing")
    assert result.returncode == 1
    assert "doors" in one_object(result)["error"]["message"]


async def test_ask_uses_the_running_host(settings: Settings) -> None:
    async with serve(settings):
        answer = one_object(await asyncio.to_thread(call, settings.home, "ask", "one two three", "--json"))
        shown = await asyncio.to_thread(call, settings.home, "ask", "one two three")
        failed = await asyncio.to_thread(call, settings.home, "ask", "break", "--json")
    assert (answer["answer"], answer["answered"], answer["status"]) == ("one two three", True, "done")
    assert set(answer["citations"][0]) == {"n", "source", "modality", "start", "end", "page", "text", "score"}
    assert [step["node"] for step in answer["steps"]] == ["recall", "draft"]
    assert "a.mp4 00:07-00:12" in shown.stdout
    assert "recall" in shown.stderr
    assert failed.returncode == 1


async def test_an_agent_is_given_its_own_options(settings: Settings) -> None:
    async with serve(settings):
        told = one_object(await asyncio.to_thread(call, settings.home, "agent", "scripted", "one two", "--json"))
        wrong = await asyncio.to_thread(call, settings.home, "agent", "scripted", "one", "--set", "depth=3", "--json")
        unknown = await asyncio.to_thread(call, settings.home, "agent", "nobody", "one")
        routed = one_object(await asyncio.to_thread(call, settings.home, "agent", "router", "one two", "--json"))
    assert (told["answer"], told["result"], told["artefacts"]) == ("one two", None, [])
    assert "'depth'" in one_object(wrong)["error"]["message"]
    assert "The agents are: scripted, router" in unknown.stderr
    assert (routed["answer"], routed["agent"]) == ("one two", "scripted")


def test_options_of_an_agent() -> None:
    assert options_of('{"a": 1, "b": 2}', ["b=x=y", "c=[1, 2]", "d="]) == {"a": 1, "b": "x=y", "c": [1, 2], "d": ""}
    for text, pairs in (("[]", []), ("{}", ["a"]), ("{}", ["=1"]), ("{}", ["a={"])):
        with pytest.raises(InvalidInput):
            options_of(text, pairs)


async def test_a_host_of_another_home_is_not_used(settings: Settings, tmp_path: Path) -> None:
    async with serve(settings):
        announced = (settings.home / "host.json").read_bytes()
        other = tmp_path / "other"
        other.mkdir(mode=0o700)
        (other / "host.json").write_bytes(announced.replace(b'"instance":"', b'"instance":"x'))
        assert await asyncio.to_thread(find, other) is None


async def test_a_command_waits_for_a_host_that_is_starting(settings: Settings) -> None:
    settings.home.mkdir(mode=0o700)
    with only_host(settings.home):
        asking = asyncio.create_task(asyncio.to_thread(wait_for, settings.home))
        await asyncio.sleep(0.5)
        async with serve(settings) as served:
            found = await asking
    assert found is not None
    assert found.url == served.url
    assert await asyncio.to_thread(wait_for, settings.home) is None


def test_a_second_host_is_refused(settings: Settings) -> None:
    settings.home.mkdir(mode=0o700)
    with only_host(settings.home):
        result = call(settings.home, "up")
    assert result.returncode == 1
    assert "Another host" in result.stderr


_HEAPS = """
import ctypes, os, sys, threading
from api.cli import _share_arenas
os.environ["MALLOC_ARENA_MAX"] = sys.argv[1]
_share_arenas()
gate = threading.Barrier(8)
def allocate():
    gate.wait()
    kept = [bytearray(90_000) for _ in range(50)]
    gate.wait()
threads = [threading.Thread(target=allocate) for _ in range(8)]
[each.start() for each in threads]
[each.join() for each in threads]
libc = ctypes.CDLL(None)
libc.fdopen.restype = ctypes.c_void_p
out = libc.fdopen(1, b"w")
libc.malloc_info(0, ctypes.c_void_p(out))
libc.fflush(ctypes.c_void_p(out))
"""


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "malloc_info"), reason="only glibc has heaps for each thread")
@pytest.mark.parametrize(("most", "heaps"), [("2", range(1, 3)), ("many", range(3, 99))])
def test_threads_share_heaps(most: str, heaps: range) -> None:
    told = subprocess.run([sys.executable, "-c", _HEAPS, most], capture_output=True, text=True, check=True)
    assert told.stdout.count("<heap nr=") in heaps
