"""What is promised of the distribution: no torch by default, hashed locks, layers, and documents made by commands."""

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_the_locks_are_hashed_and_without_torch() -> None:
    for name in ("default.txt", "test.txt"):
        lock = (ROOT / "requirements" / name).read_text(encoding="utf-8")
        assert "--hash=sha256:" in lock
        assert not re.search(r"^torch", lock, re.MULTILINE)
        assert "://" not in lock, "a lock must not name a registry"


def test_every_dependency_is_locked() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    lock = (ROOT / "requirements" / "default.txt").read_text(encoding="utf-8")
    names = [re.split(r"[\[<>=!~ ]", line)[0].lower() for line in project["dependencies"]]
    assert [name for name in names if not re.search(rf"^{re.escape(name)}==", lock, re.MULTILINE)] == []


def test_the_layers_hold() -> None:
    lint = Path(sys.executable).parent / "lint-imports"
    result = subprocess.run([lint], cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout


def test_the_configuration_page_is_current() -> None:
    from docs.configuration import render

    assert (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8") == render()


def test_every_agent_is_open_in_studio() -> None:
    from graphs import studio
    from graphs.catalog import agents

    told = json.loads((ROOT / "langgraph.json").read_text(encoding="utf-8"))["graphs"]
    assert list(told) == list(agents())
    for name, graph in told.items():
        path, _, function = graph["path"].partition(":")
        assert (ROOT / path).samefile(studio.__file__)
        assert getattr(studio, function)().name == f"ask_{name}"
