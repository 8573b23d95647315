"""Every declared tool, gathered once. A new file of tools is one more line here; every agent is a tool by itself."""

from collections.abc import Mapping
from importlib import import_module

from graphs.asking import agent_tool
from graphs.catalog import Agent
from tools.toolbox import Toolbox

ROOMS = (
    "tools.listening",
    "tools.diarizing",
    "tools.speaking",
    "tools.looking",
    "tools.describing",
    "tools.reading",
    "tools.picturing",
    "tools.translating",
    "tools.interpreting",
    "tools.embedding_tools",
    "tools.web.searching",
    "tools.writing.measure",
    "tools.sandbox.tools",
    "knowledge.tools",
)


def gather(agents: Mapping[str, Agent]) -> Toolbox:
    """The toolbox of all rooms and of these agents."""
    declared = [tool for room in ROOMS for tool in import_module(room).TOOLS]
    return Toolbox([*declared, *(agent_tool(agent) for agent in agents.values())])
