"""What a person who chats wants of a video, by rules."""

import re

from graphs.video.options import Task

_TASKS: tuple[tuple[Task, str], ...] = (
    ("generate", r"\b(?:write|generate|compose|draft|transcript|transcribe|subtitles?|captions? file|study notes)\b"),
    ("summarize", r"\b(?:summar\w*|sum up|recap|gist|in short|overview)\b|सारांश"),
    ("analyze", r"\b(?:analy[sz]e|analysis|statistics|how many shots|rhythm)\b"),
)


def task_of(question: str) -> Task:
    """To describe is what is meant where nothing else is said."""
    return next((task for task, said in _TASKS if re.search(said, question, re.IGNORECASE)), "describe")
