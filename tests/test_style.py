"""The house style, held by a test: short files, short functions, names that say what a thing is."""

import ast
import statistics
from pathlib import Path

ROOT = Path(__file__).parents[1]
ROOMS = ("tools", "knowledge", "ingestion", "graphs", "flows", "api", "tests")
FILES = [path for room in ROOMS for path in sorted((ROOT / room).rglob("*.py"))]
# tables of data, not code
TABLES = {"tests/knowledge/expressions.py"}


def _functions(path: Path) -> list[tuple[str, int]]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return [
        (f"{path.relative_to(ROOT)}:{node.lineno} {node.name}", (node.end_lineno or node.lineno) - node.lineno + 1)
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]


def _p90(sizes: list[int]) -> float:
    return statistics.quantiles(sizes, n=10)[-1]


def test_files_are_short() -> None:
    sizes = {
        name: len(path.read_text(encoding="utf-8").splitlines())
        for path in FILES
        if (name := str(path.relative_to(ROOT))) not in TABLES
    }
    assert {name: size for name, size in sizes.items() if size > 500} == {}
    assert _p90(list(sizes.values())) <= 300


def test_functions_are_short() -> None:
    sizes = dict(each for path in FILES for each in _functions(path))
    assert {name: size for name, size in sizes.items() if size > 60} == {}
    assert _p90(list(sizes.values())) <= 30


def test_names_say_what_a_thing_is() -> None:
    vague = ("Manager", "Handler", "Factory", "Helper", "Util")
    names = {
        f"{path.relative_to(ROOT)}:{node.lineno} {node.name}"
        for path in FILES
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ClassDef) and any(word in node.name for word in vague)
    }
    assert names == set()
