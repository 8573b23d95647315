"""What a model or a machine can do: tool declarations, the model catalogue, engines, and where models live.

LangGraph's checkpoint reader imports and calls whatever a row names unless it is told to be strict, and it looks for
that switch once, when it is first imported. Every room imports this one first, so the switch is set here; `graphs.runs`
refuses to open a checkpoint file when somebody imported LangGraph before us.
"""

import os

os.environ["LANGGRAPH_STRICT_MSGPACK"] = "true"
