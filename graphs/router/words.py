"""The router's prompts."""

from functools import cache
from importlib.resources import files


@cache
def prompt(name: str) -> str:
    return files("graphs.router").joinpath("prompts", f"{name}.md").read_text(encoding="utf-8").strip()
