"""Every declared tool, gathered once. A new file of tools is one more line here."""

from importlib import import_module

from tools.toolbox import Toolbox

ROOMS = (
    "tools.listening",
    "tools.looking",
    "tools.embedding_tools",
    "knowledge.tools",
)


def gather() -> Toolbox:
    """The toolbox of all rooms."""
    return Toolbox(tool for room in ROOMS for tool in import_module(room).TOOLS)
