"""The answer of a run, finished or not: the code, what ran, what was found, and in plain words how sure that is."""

from collections.abc import Mapping, Sequence
from typing import Any

from langgraph.runtime import Runtime

from graphs.artefacts import keep
from graphs.coding.extract import fenced
from graphs.coding.languages import language_of_file
from graphs.coding.repository import diff_of
from graphs.coding.state import MODEL, CodeResult, File, Finding, Run, Spec, State
from graphs.coding.units import TEST_FILES, test_file
from graphs.coding.writing import best_of, solution
from graphs.context import Context
from graphs.events import Answer
from tools.errors import SutradharError

SHOWN_FINDINGS = 12
SHOWN_FILES = 4
_NAMES = {"high": "serious", "medium": "", "low": "minor"}


async def report(state: State, runtime: Runtime[Context]) -> State:
    """Compose the answer and keep its files."""
    answer = answer_of(state)
    if answer is None or answer.result is None:
        return {"answer": answer}
    result = CodeResult.model_validate(answer.result)
    files = [*result.files, *result.tests, *([File(path="changes.diff", text=result.diff)] if result.diff else [])]
    kept = list(answer.artefacts)
    for file in files[:20]:
        name = file.path.rpartition("/")[2]
        try:
            kept.append(await keep(runtime.context.bench, name, "text/plain; charset=utf-8", file.text.encode()))
        except SutradharError:
            # an answer without its files is still the answer
            break
    return {"answer": answer.model_copy(update={"artefacts": tuple(kept)})}


def conclude(state: Mapping[str, Any], spoken: str) -> Answer | None:
    """The state's answer, or what a run that was cut short has come to."""
    answer = state.get("answer")
    if isinstance(answer, Answer):
        return answer
    made = answer_of(state)  # type: ignore[arg-type]
    if made is not None:
        return made.model_copy(
            update={"text": f"The run ended before it was done. This is how far it came.\n\n{made.text}"}
        )
    return Answer(text="The run ended before any code was written.", answered=False, citations=[])


def answer_of(state: State) -> Answer | None:
    """The answer that a state holds; None when there is nothing to show."""
    spec = state.get("spec")
    if not isinstance(spec, Spec):
        return None
    result = result_of(state, spec)
    text = text_of(result, spec, state)
    if not text:
        return None
    answered = bool(result.files or result.findings or result.tests or spec.mode == "review")
    return Answer(text=text, answered=answered, citations=[], result=result.model_dump(mode="json"))


def result_of(state: State, spec: Spec) -> CodeResult:
    candidates = state.get("candidates", [])
    best = best_of(state)
    files = list(state.get("made", []))
    if best is not None and not files and spec.mode == "generate" and not spec.repository:
        files = [solution(spec, best.code)]
    given = state.get("files", [])
    outcomes = _deciding(state, spec)
    return CodeResult(
        language=spec.language,
        mode=spec.mode,
        files=files,
        diff=diff_of(given, [file for file in files if file.path != "README-section.md"]) if given else "",
        tests=state.get("tests") or _tests(spec, best.code if best else ""),
        runs=state.get("runs", []),
        findings=state.get("findings", []),
        coverage=state.get("coverage"),
        attempts=len(candidates),
        passed=outcomes.passed if outcomes else 0,
        total=len(outcomes.outcomes) if outcomes else 0,
        notes=state.get("notes", []),
    )


def _deciding(state: State, spec: Spec) -> Run | None:
    """The run that the answer stands on: of the chosen version, or the last one."""
    best = best_of(state)
    if spec.mode == "generate" and best is not None:
        return best.run
    runs = state.get("runs", [])
    return runs[-1] if runs else None


def _tests(spec: Spec, code: str) -> list[File]:
    """The examples of the request as a test file of their own."""
    if spec.tests:
        return [File(path=TEST_FILES[spec.language], text=spec.tests)]
    sure = [(each.call, each.expected) for each in spec.cases if each.source == "example" and not each.setup]
    text = test_file(spec.language, code, sure) if sure and code else ""
    return [File(path=TEST_FILES[spec.language], text=text)] if text else []


def text_of(result: CodeResult, spec: Spec, state: State) -> str:
    """The answer in words, with the code in fences."""
    parts = list[str]()
    if result.mode == "review":
        parts.append(_reviewed(result))
    if result.diff and (spec.repository or result.mode == "document"):
        parts.append(_in_fence(result.diff, "diff"))
    elif result.mode != "review":
        shown = result.files if result.mode != "test" else result.tests
        parts += [fenced(each.text, language_of_file(each.path) or spec.language) for each in shown[:SHOWN_FILES]]
    if not parts and result.mode == "generate" and result.attempts and not spec.repository:
        return "\n\n".join([f"The model wrote no code in {result.attempts} tries.", *result.notes[:8]])
    if not parts and not result.notes and result.mode != "test":
        return ""
    parts.append(statement(result, spec, state))
    if result.mode == "generate" and (grave := [each for each in result.findings if each.severity == "high"]):
        parts.append("The review found:\n" + "\n".join(_line(each) for each in grave[:SHOWN_FINDINGS]))
    parts += [f"Note: {note}" for note in result.notes[:8]]
    return "\n\n".join(part for part in parts if part)


def _in_fence(text: str, name: str) -> str:
    fence = "````" if "```" in text else "```"
    return f"{fence}{name}\n{text.rstrip()}\n{fence}"


def statement(result: CodeResult, spec: Spec, state: State) -> str:
    """How well it is known that the code is right, in one or two sentences."""
    run = _deciding(state, spec)
    if result.mode in {"review", "document"}:
        checked = "The code itself is unchanged: only comments and docstrings were added."
        return checked if result.mode == "document" and result.files else ""
    if state.get("isolated") is False:
        return "Nothing was run, so nothing is proven." if not run else ""
    if result.mode == "test":
        return _tested(result)
    if run is None:
        return "Nothing was run."
    spent = f"run in the sandbox in {run.seconds:.{1 if run.seconds >= 1 else 2}f} s"
    if not run.outcomes:
        ended = (
            "It was run in the sandbox and loads"
            if run.exit == 0
            else f"It was run in the sandbox and ended ({run.ended})"
        )
        return f"{ended}; there were no tests to run."
    whose = _whose(spec)
    told = f"{result.passed} of {result.total} {whose} pass, {spent}."
    if result.passed < result.total:
        bad = next(each for each in run.outcomes if not each.passed)
        told += f" The first that does not: `{bad.name}` gave `{bad.got[:200]}`."
    if result.attempts > 1:
        told += f" {result.attempts} versions were tried."
    if spec.cases and not spec.tests and spec.cases[0].source == "model":
        told += " The model made these tests itself, so they prove less than examples of yours would."
    return told


def _whose(spec: Spec) -> str:
    if spec.repository:
        return "of the repository's tests"
    if spec.tests:
        return "of your tests"
    source = spec.cases[0].source if spec.cases else "example"
    return {"model": "tests", "rule": "tests of going there and back", "example": "tests from your examples"}[source]


def _tested(result: CodeResult) -> str:
    if not result.tests:
        return "No test was found that holds and can fail."
    told = f"{result.passed} of {result.total} tests pass; each of them fails when the code is changed."
    if result.coverage is not None:
        told += f" They cover {result.coverage.share:.0%} of the statements"
        missing = ", ".join(map(str, result.coverage.missing[:20]))
        told += f"; lines {missing} are not run." if missing else "."
    return told


def _reviewed(result: CodeResult) -> str:
    if not result.findings:
        return "The review found nothing to object to."
    # a linter's finding is a fact of the code; a small model sees faults in half of the programs that have none
    checked = [each for each in result.findings if each.tool != MODEL]
    suspected = [each for each in result.findings if each.tool == MODEL]
    parts = list[str]()
    if checked:
        parts += [f"{_findings(len(checked))} of the language's tools, the gravest first:", *_shown(checked)]
    else:
        parts.append("The language's tools found nothing to object to.")
    if suspected:
        parts += ["", "The model suspects, and nothing has checked it:", *_shown(suspected)]
    return "\n".join(parts)


def _findings(count: int) -> str:
    return "1 finding" if count == 1 else f"{count} findings"


def _shown(findings: Sequence[Finding]) -> list[str]:
    lines = [_line(each) for each in findings[:SHOWN_FINDINGS]]
    more = len(findings) - len(lines)
    return [*lines, f"… and {more} more in the result."] if more > 0 else lines


def _line(finding: Finding) -> str:
    weight = _NAMES[finding.severity]
    kind = f"{weight} {finding.kind}".strip()
    quote = f" — `{finding.quote.replace('`', chr(39))[:100]}`" if finding.quote else ""
    return f"- {finding.path}:{finding.line}: {kind} ({finding.tool}): {finding.message}{quote}"
