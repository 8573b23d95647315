"""The router: chooses the agents for a chat message, runs them as sub-graphs, and answers with what they made."""
