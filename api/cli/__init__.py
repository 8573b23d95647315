"""The command line. Imports happen inside the commands, so that `--help` answers at once."""

import os
from contextlib import suppress
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(
    name="sutradhar",
    help="Agents that watch, listen, read, remember when things happened, and answer with the moment they saw it.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    # plain help: rich's would cost as much as everything else
    rich_markup_mode=None,
    add_completion=False,
)
models_app = typer.Typer(help="The model catalogue and its weights.", no_args_is_help=True)
app.add_typer(models_app, name="models")

video_app = typer.Typer(help="What a film or a recording shows and says.", no_args_is_help=True)
app.add_typer(video_app, name="video")

Film = Annotated[Path, typer.Argument(help="A film or a recording.", exists=True, dir_okay=False)]
Seconds = Annotated[float | None, typer.Option("--budget", help="Seconds of watching for an hour of video.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on standard output and nothing else.")]
Base = Annotated[str, typer.Option("--kb", help="Knowledge base.")]
Data = Annotated[Path | None, typer.Option("--data", help="Folder of evaluation data.", exists=True, file_okay=False)]

# read by libraries when they are imported, so they are set before any of them is
_ENVIRONMENT = {
    "LANGGRAPH_STRICT_MSGPACK": "true",
    "OMP_WAIT_POLICY": "PASSIVE",
    "GOMP_SPINCOUNT": "0",
    "MALLOC_ARENA_MAX": "2",
    "DO_NOT_TRACK": "1",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "ANONYMIZED_TELEMETRY": "false",
}

_M_ARENA_MAX = -8
"""Of mallopt(3)."""


@app.callback()
def _common(
    home: Annotated[Path | None, typer.Option("--home", help="Folder of all data.", envvar="SUTRADHAR_HOME")] = None,
) -> None:
    if home is not None:
        os.environ["SUTRADHAR_HOME"] = str(home.expanduser().resolve())


@app.command()
def up() -> None:
    """Start the host, the Prefect server and the flow runner; Ctrl-C stops all."""
    from api.cli.edge import failing, run, settings
    from api.discovery import only_host
    from tools.open import make_home

    found = settings()
    with failing():
        make_home(found.home)
        # held before the slow imports, so that a command that comes meanwhile waits for this host
        with only_host(found.home):
            from api.cli.up import up as serve

            run(serve(found))


@app.command()
def ingest(
    paths: Annotated[list[Path], typer.Argument(help="Files and folders.", exists=True)],
    kb: Base = "default",
    json: Json = False,
) -> None:
    """Watch, listen to or read files, and remember what is in them."""
    from api.cli.edge import run, settings
    from api.cli.ingest import ingest as work

    run(work(settings(), paths, kb, as_json=json), as_json=json)


@app.command()
def ask(
    question: str,
    kb: Annotated[list[str] | None, typer.Option("--kb", help="Only this knowledge base; may be repeated.")] = None,
    source: Annotated[list[str] | None, typer.Option("--source", help="Only this source; may be repeated.")] = None,
    graph: Annotated[str, typer.Option("--graph", help="Which agent answers.")] = "sutradhar",
    json: Json = False,
) -> None:
    """Ask a question; the answer cites moments and pages."""
    from api.cli.ask import Question
    from api.cli.ask import ask as work
    from api.cli.edge import run, settings

    asked = Question(text=question, knowledge_bases=kb or [], sources=source or [], graph=graph)
    run(work(settings(), asked, as_json=json), as_json=json)


@app.command()
def agent(
    name: Annotated[str, typer.Argument(help="The agent, such as `temporal`; an unknown one lists them.")],
    question: str,
    *,
    set: Annotated[list[str] | None, typer.Option("--set", help="One of its options, `key=value`; repeats.")] = None,
    options: Annotated[str, typer.Option("--options", help="Its options as a JSON object.")] = "{}",
    kb: Annotated[list[str] | None, typer.Option("--kb", help="Only this knowledge base; may be repeated.")] = None,
    source: Annotated[list[str] | None, typer.Option("--source", help="Only this source; may be repeated.")] = None,
    json: Json = False,
) -> None:
    """Put a task to one agent, with its own options; `--json` has its whole result and its files."""
    from api.cli.ask import Question, options_of
    from api.cli.ask import ask as work
    from api.cli.edge import failing, run, settings

    with failing(as_json=json):
        given = options_of(options, set or [])
    asked = Question(question, knowledge_bases=kb or [], sources=source or [], graph=name, options=given)
    run(work(settings(), asked, as_json=json, whole=True), as_json=json)


@app.command()
def demo() -> None:
    """Fetch the small models, ingest a film and documents through Prefect, and check the answers to five questions."""
    from api.cli.edge import run, settings
    from api.demo.show import demo as command

    run(command(settings()))


@app.command()
def doctor(json: Json = False) -> None:
    """Check this machine; each failure names its fix."""
    from api.cli.doctor import doctor as check
    from api.cli.edge import run, settings

    run(check(settings(), as_json=json), as_json=json)


@app.command("eval")
def evaluate(name: str, data: Data = None, quick: Annotated[bool, typer.Option("--quick")] = False) -> None:
    """Measure quality; prints figures as JSON."""
    from api.cli.edge import run, settings
    from api.cli.measure import measure

    run(measure("evals", name, settings(), data, quick=quick), as_json=True)


@app.command()
def bench(name: str, data: Data = None, quick: Annotated[bool, typer.Option("--quick")] = False) -> None:
    """Measure speed; prints figures as JSON."""
    from api.cli.edge import run, settings
    from api.cli.measure import measure

    run(measure("bench", name, settings(), data, quick=quick), as_json=True)


@models_app.command("list")
def list_models(json: Json = False) -> None:
    """Every model of the catalogue: what it does, whether it is here, what replaces it."""
    from api.cli import models as command
    from api.cli.edge import run, settings

    run(command.list_models(settings(), as_json=json), as_json=json)


@models_app.command("fetch")
def fetch_models(
    models: Annotated[list[str] | None, typer.Argument(help="Model ids; without any, the profile's.")] = None,
    json: Json = False,
) -> None:
    """Fetch weights and check their digests."""
    from api.cli import models as command
    from api.cli.edge import run, settings

    run(command.fetch(settings(), models or [], as_json=json), as_json=json)


@models_app.command("remove")
def remove_models(models: Annotated[list[str], typer.Argument(help="Model ids.")], json: Json = False) -> None:
    """Delete models' weights, and the environments that only they run in."""
    from api.cli import models as command
    from api.cli.edge import run, settings

    run(command.remove(settings(), models, as_json=json), as_json=json)


@models_app.command("plan")
def plan_model(model: str, json: Json = False) -> None:
    """What loading a model would do: fits, evicts whom, never fits."""
    from api.cli import models as command
    from api.cli.edge import run, settings

    run(command.plan(settings(), model, as_json=json), as_json=json)


@video_app.command("describe")
def describe_video(
    path: Film,
    detail: Annotated[str | None, typer.Option("--detail", help="low, medium or high.")] = None,
    budget: Seconds = None,
    json: Json = False,
) -> None:
    """Describe it scene by scene, with times."""
    from api.cli.edge import run, settings
    from api.cli.video import watch

    run(watch(settings(), "describe", path, {"detail_level": detail, "budget": budget}, as_json=json), as_json=json)


@video_app.command("summarize")
def summarize_video(
    path: Film,
    length: Annotated[str | None, typer.Option("--length", help="short, medium or long.")] = None,
    focus: Annotated[str | None, typer.Option("--focus", help="What matters most, between commas.")] = None,
    budget: Seconds = None,
    json: Json = False,
) -> None:
    """Sum it up, chapter by chapter."""
    from api.cli.edge import run, settings
    from api.cli.video import watch

    given = {"summary_length": length, "focus_areas": focus, "budget": budget}
    run(watch(settings(), "summarize", path, given, as_json=json), as_json=json)


@video_app.command("analyze")
def analyze_video(
    path: Film,
    kind: Annotated[str | None, typer.Option("--type", help="Such as comprehensive, people, text, temporal.")] = None,
    budget: Seconds = None,
    json: Json = False,
) -> None:
    """Analyse it: people, things, text, sound, rhythm."""
    from api.cli.edge import run, settings
    from api.cli.video import watch

    run(watch(settings(), "analyze", path, {"analysis_type": kind, "budget": budget}, as_json=json), as_json=json)


@video_app.command("write")
def write_from_video(
    path: Film,
    kind: Annotated[str, typer.Argument(help="Such as article, transcript, subtitles, study_notes.")],
    length: Annotated[str | None, typer.Option("--length", help="short, medium or long.")] = None,
    style: Annotated[str | None, typer.Option("--style", help="Such as professional or casual.")] = None,
    json: Json = False,
) -> None:
    """Write from it: an article, a transcript, subtitles, study notes."""
    from api.cli.edge import run, settings
    from api.cli.video import watch

    given = {"content_type": kind, "target_length": length, "style": style}
    run(watch(settings(), "generate", path, given, as_json=json), as_json=json)


def main() -> None:
    """The program `sutradhar`."""
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    _share_arenas()
    app()


def _share_arenas() -> None:
    """As `MALLOC_ARENA_MAX` does for the processes that this one starts.

    glibc gives each thread a heap of its own, up to eight for each core, and what one frees no other uses: pictures
    and sounds that pass through many threads take 150 MB more, and are not handled faster.
    """
    import ctypes

    with suppress(AttributeError, OSError, ValueError):
        ctypes.CDLL(None).mallopt(_M_ARENA_MAX, int(os.environ["MALLOC_ARENA_MAX"]))
