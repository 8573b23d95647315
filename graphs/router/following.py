"""A follow-up for an agent that does not follow conversations itself: its last request again, with what is changed."""

import re
from typing import Any

from pydantic import ValidationError

from graphs.catalog import Agent, Ask, Turn
from graphs.router.cues import cue
from graphs.router.words import prompt

_FENCE = re.compile(r"```(\w*)[^\n]*\n(.*?)```", re.DOTALL)
_SHORTER = re.compile(r"\b(?:short(?:er|en)|briefer|less|cut it|too long)\b|छोटा|chhota", re.IGNORECASE)
_LONGER = re.compile(r"\b(?:longer|lengthen|expand|more detail\w*|too short)\b|लंबा|lamba", re.IGNORECASE)


def going_on(agent: Agent, ask: Ask, last: Turn) -> Ask:
    """The ask with what the last turn of this agent adds: the request, the code in a named language, the length."""
    fields, wanted = agent.options.model_fields, ask.question
    options: dict[str, Any] = {}
    if "code" in fields:
        options = _language(wanted, last.answer)
    elif "length" in fields:
        options = _length(wanted)
    elif not agent.takes_material:
        question = prompt("follow").format(question=wanted, before=last.question, answer=last.answer)
        return ask.model_copy(update={"question": question})
    question = f"{last.question.strip()}\n{wanted}"
    if "code" in fields and (found := _FENCE.search(last.answer)):
        question = f"{question}\n\n```{found[1]}\n{found[2].strip()}\n```"
    material = last.answer if agent.takes_material else ""
    changed = ask.model_copy(update={"question": question, "material": material, "options": options})
    return changed if _fits(agent, options) else changed.model_copy(update={"options": {}})


def _language(wanted: str, answer: str) -> dict[str, Any]:
    named = cue("language").search(wanted)
    fence = _FENCE.search(answer)
    name = named.group().lower().removeprefix("in ") if named else fence[1] if fence else ""
    return {"language": name} if name else {}


def _length(wanted: str) -> dict[str, Any]:
    length = "short" if _SHORTER.search(wanted) else "long" if _LONGER.search(wanted) else ""
    return {"length": length} if length else {}


def _fits(agent: Agent, options: dict[str, Any]) -> bool:
    try:
        agent.options.model_validate(options)
    except ValidationError:
        return False
    return True
