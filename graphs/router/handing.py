"""What an agent of the router is given: its part of the message, the conversation, and what it builds on."""

from collections.abc import Sequence

from graphs.catalog import Agent, Ask
from graphs.router.following import going_on
from graphs.router.state import Part, Said
from graphs.router.words import prompt

MATERIAL = 20_000
"""Characters that one agent hands to the next at most."""


def ask_for(agent: Agent, part: Part, ask: Ask, said: Sequence[Said]) -> Ask:
    """The ask of one part. An agent that does not follow the conversation itself is told of it in the question."""
    material, turns = ask.material, ask.turns
    if part.after is not None:
        material = next((each.answer.text for each in said if each.number == part.after and each.answer.answered), "")
    elif part.recalls and turns:
        material = turns[-1].answer
    given = ask.model_copy(update={"question": part.question, "material": material[:MATERIAL], "options": {}})
    if agent.follows:
        return given
    alone = given.model_copy(update={"turns": []})
    if given.material and not agent.takes_material:
        question = prompt("material").format(question=part.question, material=given.material)
        return alone.model_copy(update={"question": question, "material": ""})
    if not given.material and turns and turns[-1].agent == agent.name and part.continues:
        return going_on(agent, alone, turns[-1])
    return alone
