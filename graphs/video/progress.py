"""How far the watching is, for whoever follows the run: every stage's beginning and end, and now and then between."""

import time

from graphs.context import Context
from ingestion.stages import Progress
from tools.events import ToolEvent

_SECONDS = 1.0
"""Between two events of one stage: each is written to the log."""


class Progressing:
    """Turns what the watching reports into events of the run."""

    def __init__(self, context: Context, sha: str) -> None:
        self._context, self._call = context, sha[:12]
        self._told: dict[str, float] = {}

    def heard(self, progress: Progress) -> None:
        now = time.monotonic()
        ended = progress.outcome is not None
        if not ended and now - self._told.get(progress.stage, 0.0) < _SECONDS:
            return
        self._told[progress.stage] = now
        self._context.emit(
            ToolEvent(
                tool=f"watch.{progress.stage}",
                call=self._call,
                state="finished" if ended and progress.outcome != "failed" else "failed" if ended else "progress",
                note=progress.note or progress.outcome or "",
                fraction=1.0 if ended else progress.fraction,
            )
        )
