"""What an agent of the router is given: its part of the message, the conversation, and what it builds on."""

from collections.abc import Sequence
from functools import cache
from importlib.resources import files

from graphs.catalog import Agent, Ask
from graphs.router.state import Part, Said

MATERIAL = 20_000
"""Characters that one agent hands to the next at most."""


@cache
def prompt(name: str) -> str:
    return files("graphs.router").joinpath("prompts", f"{name}.md").read_text(encoding="utf-8").strip()


def ask_for(agent: Agent, part: Part, ask: Ask, said: Sequence[Said]) -> Ask:
    """The ask of one part. An agent that does not follow the conversation itself is told of it in the question."""
    material, turns, question = ask.material, ask.turns, part.question
    if part.after is not None:
        material = next((each.answer.text for each in said if each.number == part.after and each.answer.answered), "")
    elif part.recalls and turns:
        material = turns[-1].answer
    material = material[:MATERIAL]
    if not agent.follows:
        if material:
            question = prompt("material").format(question=question, material=material)
        elif turns and turns[-1].agent == agent.name:
            last = turns[-1]
            question = prompt("follow").format(question=question, before=last.question, answer=last.answer)
        material, turns = "", []
    return ask.model_copy(update={"question": question, "material": material, "turns": turns, "options": {}})
