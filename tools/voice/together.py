"""Many texts at once, by an engine that is faster so: they go through it in batches before they are asked for.

What cannot be spoken so (another voice's stretch, a batch that fails) is spoken as always when its turn comes.
"""

from collections import defaultdict
from collections.abc import Iterable
from contextlib import suppress

from tools.bench import Bench
from tools.catalog import Row
from tools.errors import EngineFailed, NotInstalled
from tools.isolation.child import find
from tools.voice import SpeakOptions, Together
from tools.voice.casting import Role
from tools.voice.saying import Saying, as_read


def batch_of(role: Role) -> int:
    """How many texts the engine of a role takes at once; the row's option `batch` overrules the engine."""
    return _batch(role.row)


def _batch(row: Row) -> int:
    engine = find(row.engine)
    if row.options.get("phonemes") or not hasattr(engine, "batch"):
        return 1
    gains = engine.gains_on_cpu or row.device != "cpu"
    return int(row.options.get("batch", engine.batch if gains else 1))


async def speak_ahead(bench: Bench, sayings: Iterable[Saying]) -> int:
    """Fill `Saying.ahead`; returns how many sentences were spoken in batches."""
    shared = defaultdict[tuple[str, SpeakOptions], list[tuple[str, Saying]]](list)
    for said in sayings:
        for role, text in _turns(said):
            shared[role.row.id, said.manner(role)].append((text, said))
    spoken = 0
    for (model, options), turns in shared.items():
        if len(turns) < 2:
            continue
        try:
            async with bench.models.use(model, bench.emit) as lease:
                row = lease.row
                # texts of one length waste no work on padding
                turns.sort(key=lambda turn: len(turn[0]))
                most = _batch(row)
                for start in range(0, len(turns), most):
                    group = turns[start : start + most]
                    sounds = await lease.call(Together.speak_all, [text for text, _ in group], options)
                    for (text, said), sound in zip(group, sounds, strict=True):
                        said.ahead[model, text] = sound
                    spoken += len(group)
        except (EngineFailed, NotInstalled):
            continue
    return spoken


def _turns(said: Saying) -> Iterable[tuple[Role, str]]:
    for sentence in said.prepared.sentences:
        # one that nobody can speak is told when its turn comes
        with suppress(NotInstalled):
            for role, text, _ in said.turns(sentence):
                if batch_of(role) > 1:
                    yield role, as_read(role, text, said.cast.language)
