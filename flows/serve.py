"""The flow runner's program: `python -m flows.serve`, started by `sutradhar up` or by hand beside a running Prefect.

The event loop runs in a thread of its own. In the main thread Prefect's engine would replace the handler of SIGTERM for
as long as a flow runs, and the process could not be stopped in order.
"""

import asyncio
import logging
import os
import signal
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import timedelta

from flows.children import child, follow_parent
from flows.server import PrefectServer, environment, find_prefect, private_folder
from tools.errors import NotInstalled
from tools.isolation.child import stand_back
from tools.settings import Settings

_WAIT_SECONDS = 120.0
_FIRST_PAUSE, _LONGEST_PAUSE = 1.0, 30.0
_NICE = 5


async def serve(settings: Settings, stop: asyncio.Event) -> None:
    """Serve the deployments `ingest` and `watch` until told to stop."""
    # imported before the first run needs them: an import of seconds would hold up the loop and the runs on it
    import ingestion.documents
    import ingestion.ingest  # noqa: F401
    from flows.ingest import ingest_folder, ingest_media, mark_lost
    from flows.place import bench_of_host, working_at
    from flows.runner import Deployment, only_runner, open_runner
    from flows.watch import watch_folder

    deployments = [
        Deployment(ingest_media),
        Deployment(ingest_folder, slots=1),
        Deployment(watch_folder, slots=1, every=timedelta(seconds=settings.prefect.watch_seconds)),
    ]
    async with (
        only_runner(private_folder(settings.home / "prefect")),
        bench_of_host(settings) as bench,
        working_at(bench),
        open_runner(deployments, lost=mark_lost) as runner,
    ):
        await runner.serve(stop)


@asynccontextmanager
async def open_flow_runner(settings: Settings, server: PrefectServer) -> AsyncIterator[None]:
    """A flow runner as a child of this process, started again when it dies."""
    keeping = asyncio.create_task(_keep_running(settings, server))
    try:
        yield
    finally:
        keeping.cancel()
        with suppress(asyncio.CancelledError):
            await keeping


async def _keep_running(settings: Settings, server: PrefectServer) -> None:
    env = environment(settings, server) | {"SUTRADHAR_HOME": str(settings.home)}
    log, pause = settings.home / "prefect" / "runner.log", _FIRST_PAUSE
    while True:
        began = time.monotonic()
        async with child("flows.serve", env=env, log=log) as process:
            await process.wait()
        lived = time.monotonic() - began
        pause = _FIRST_PAUSE if lived > 60 else min(pause * 2, _LONGEST_PAUSE)
        logging.getLogger("sutradhar.flows").warning(
            "The flow runner ended with code %s; starting it again in %g s. Its log is %s.",
            process.returncode,
            pause,
            log,
        )
        await asyncio.sleep(pause)


def _wait_for_prefect(settings: Settings) -> PrefectServer:
    deadline = time.monotonic() + _WAIT_SECONDS
    while (server := find_prefect(settings)) is None or not (settings.home / "host.json").exists():
        if time.monotonic() > deadline:
            raise NotInstalled(
                f"Neither a host nor Prefect runs for {settings.home}.", remedy="Start them: `sutradhar up`."
            )
        time.sleep(0.2)
    return server


def main() -> None:
    """Serve flows until SIGTERM, SIGINT or the end of the parent."""
    follow_parent()
    # what is ingested can wait, and whoever asks about it cannot
    stand_back(_NICE)
    settings = Settings()
    # read by Prefect when it is imported, which is why the flows are imported later
    os.environ.update(environment(settings, _wait_for_prefect(settings)))
    failed: list[BaseException] = []
    loop, stop, ended = asyncio.new_event_loop(), asyncio.Event(), threading.Event()

    def run() -> None:
        try:
            loop.run_until_complete(serve(settings, stop))
        except BaseException as error:  # noqa: BLE001 - the edge: handed to the main thread
            failed.append(error)
        finally:
            ended.set()

    for each in (signal.SIGTERM, signal.SIGINT):
        signal.signal(each, lambda *_: loop.call_soon_threadsafe(stop.set))
    threading.Thread(target=run, name="flows", daemon=True).start()
    while not ended.wait(0.5):
        pass
    if failed:
        raise failed[0]


if __name__ == "__main__":
    main()
