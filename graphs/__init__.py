"""LangGraph state machines: the agents, what they stream, and how their runs are kept."""
