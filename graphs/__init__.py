"""LangGraph state machines: the agents, what they stream, and how their runs are kept."""

import tools  # noqa: F401 - makes LangGraph's checkpoint reader strict before a module here imports LangGraph
