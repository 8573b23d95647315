"""Changes to a repository: find the part, have it written anew, put it in place, run the repository's own tests."""

import asyncio
import difflib
import re
from collections import Counter
from textwrap import dedent, indent
from typing import Literal

from langgraph.runtime import Runtime
from langgraph.types import Command

from graphs.coding import prompting, pythonic, syntax
from graphs.coding.archive import unpack as read_archive
from graphs.coding.documenting import part_of
from graphs.coding.execute import evidence, execute, refusal
from graphs.coding.extract import code_of
from graphs.coding.languages import language_of_file
from graphs.coding.state import Candidate, File, Outcome, Run, Spec, State
from graphs.coding.suites import BUILD_LIMITS
from graphs.coding.writing import CODE_TOKENS, SHARE
from graphs.context import Context
from graphs.speak import speak
from graphs.speak import write as ask
from knowledge.library import LIBRARY
from tools.bench import Bench
from tools.errors import EngineFailed, InvalidInput, NotFound, NotInstalled
from tools.sandbox import Program
from tools.sandbox.languages import Language

_TRIES = 4
_PYTEST = re.compile(r"^(PASSED|FAILED|ERROR) (\S+?)(?: - (.*))?$", re.MULTILINE)
_UNITTEST = re.compile(r"^(\w+) \(([\w.]+)\)(?:\n.*?)? \.\.\. (ok|FAIL|ERROR)", re.MULTILINE)
_TAP = re.compile(r"^\s*(not ok|ok) \d+ - (.+?)(?: # .*)?$", re.MULTILINE)
_GO = re.compile(r"^\s*--- (PASS|FAIL): (\S+)", re.MULTILINE)


async def unpack(state: State, runtime: Runtime[Context]) -> Command[Literal["locate", "review", "document", "design"]]:
    """Read the archive; raises `NotFound` for one that the tenant does not have."""
    bench, sha = runtime.context.bench, state["options"].archive or ""
    if await bench.part(LIBRARY).owned(bench.tenant, sha) is None:
        raise NotFound(f"There is no archive {sha!r}.", remedy="Upload it first.", param="archive")
    files = await asyncio.to_thread(read_archive, await bench.media.local(sha))
    languages = Counter(language for file in files if (language := language_of_file(file.path)))
    if not languages:
        raise InvalidInput("The archive holds no code that I know.", remedy="Name files by their language's ending.")
    spec = state["spec"]
    language = state["options"].language or languages.most_common(1)[0][0]
    spec = spec.model_copy(update={"language": language, "header": ""})
    sources = [file for file in files if language_of_file(file.path)]
    onward: dict[str, Literal["locate", "review", "document", "design"]] = {
        "generate": "locate",
        "review": "review",
        "document": "document",
        "test": "design",
    }
    if spec.mode == "test":
        chosen = _named_file(state["question"], [each for each in sources if language_of_file(each.path) == language])
        spec = spec.model_copy(update={"header": chosen.text, "path": chosen.path})
    shown = files if spec.mode == "generate" else sources
    return Command(update={"files": shown, "spec": spec}, goto=onward[spec.mode])


def _named_file(question: str, files: list[File]) -> File:
    named = [file for file in files if file.path.rpartition("/")[2] in question]
    plain = [file for file in files if "test" not in file.path.lower()] or files
    return (named or sorted(plain, key=lambda each: -len(each.text)))[0]


async def locate(state: State, runtime: Runtime[Context]) -> State:
    """Find the function that the task is about: by the words that it shares with the task, or by the model's choice."""
    spec = state["spec"]
    parts = parts_of([file for file in state["files"] if language_of_file(file.path) == spec.language])
    if not parts:
        raise InvalidInput(f"The archive has no functions in {spec.language}.", param="archive")
    ranked = ranked_parts(spec.task, parts)
    best = ranked[0][1]
    if ranked[0][0] == 0 or (len(ranked) > 1 and ranked[0][0] == ranked[1][0]):
        outline = syntax.outline(state["files"])
        try:
            said = await speak(runtime.context, "coding", prompting.choose(spec, outline), most_tokens=40)
        except EngineFailed:
            said = ""
        best = next((part for part in parts if part[1] and re.search(rf"\b{re.escape(part[1])}\b", said)), best)
    path, name = best
    file = next(each for each in state["files"] if each.path == path)
    language = language_of_file(path) or spec.language
    update = {"path": path, "entry": name, "language": language, "header": part_of(file.text, name, language)}
    return {"spec": spec.model_copy(update=update)}


def parts_of(files: list[File]) -> list[tuple[str, str]]:
    """The functions of the repository that are no tests: path and name."""
    found = list[tuple[str, str]]()
    for file in files:
        language = language_of_file(file.path)
        if language is None or re.search(r"(?:^|[/_.])tests?[/_.]|^test_", file.path):
            continue
        if language == "python":
            tree = pythonic.parsed(file.text)
            names = [name for name, _ in pythonic.definitions(tree)] if tree else []
        else:
            names = [each.name for each in syntax.functions(file.text, language)]
        found += [(file.path, name) for name in names]
    return found


def ranked_parts(task: str, parts: list[tuple[str, str]]) -> list[tuple[int, tuple[str, str]]]:
    """The parts by how much the task speaks of them: their whole name, the words in it, their file."""
    words = set(re.findall(r"[a-z]+", task.lower()))

    def score(part: tuple[str, str]) -> int:
        path, name = part
        last = name.rpartition(".")[2]
        whole = 10 if re.search(rf"\b{re.escape(last)}\b", task) else 0
        inner = {word.lower() for word in re.findall(r"[A-Z]?[a-z]+", name)}
        return whole + 2 * len(inner & words) + (5 if path in task else 0)

    return sorted(((score(part), part) for part in parts), key=lambda each: -each[0])


async def change(state: State, runtime: Runtime[Context]) -> State:
    """Have the part written anew, and put it in place of the old one."""
    spec, candidates = state["spec"], state.get("candidates", [])
    messages = prompting.change(spec, spec.path, spec.header)
    if candidates:
        messages = [*messages, *prompting.again(spec, candidates[-1])]
    chance = {"temperature": 0.6, "seed": len(candidates)} if candidates else {}
    try:
        most = CODE_TOKENS[state["options"].complexity]
        text = await ask(runtime.context, "coding", messages, most_tokens=most, **chance)
    except EngineFailed:
        if not candidates:
            raise
        text = ""
    code = fitted(code_of(text, spec.language, "", spec.entry.rpartition(".")[2]), spec)
    broken = "" if code else "The model wrote no code for this part."
    if code and spec.language == "python":
        broken = pythonic.fault(in_place(_old(state), spec, code))
    return {"candidates": [*candidates, Candidate(code=code, how="repair" if candidates else "first", broken=broken)]}


def fitted(code: str, spec: Spec) -> str:
    """The new part with the margin of the old one; empty when it does not have the part's name."""
    name = spec.entry.rpartition(".")[2]
    if not code.strip() or not re.search(rf"\b{re.escape(name)}\b", code):
        return ""
    if spec.language == "python":
        part = pythonic.segment(code, spec.entry) or pythonic.segment(code, name)
        others = [each for each in pythonic.defined(code) if each != name]
        # a new helper function may stand before it
        code = code if others and not spec.entry.count(".") and not set(others) & {spec.entry} else (part or code)
    margin = spec.header[: len(spec.header) - len(spec.header.lstrip())]
    return indent(dedent(code).strip("\n"), margin)


def _old(state: State) -> str:
    return next(file.text for file in state["files"] if file.path == state["spec"].path)


def in_place(text: str, spec: Spec, code: str) -> str:
    """The file with the new part."""
    return text.replace(spec.header, code, 1)


async def verify(state: State, runtime: Runtime[Context]) -> Command[Literal["change", "review"]]:
    """Run the repository's tests, once as it was and then with the change."""
    spec, candidates, bench = state["spec"], state["candidates"], runtime.context.bench
    latest, runs = candidates[-1], list(state.get("runs", []))
    changed = File(path=spec.path, text=in_place(_old(state), spec, latest.code or spec.header))
    files = [changed if file.path == spec.path else file for file in state["files"]]
    update: State = {"made": [changed]}
    try:
        if not runs:
            runs.append(await run_tests(state["files"], spec.language, bench, "the tests before the change"))
        if latest.code and not latest.broken:
            run = await run_tests(files, spec.language, bench, f"the tests with version {len(candidates)}")
            runs.append(run)
            latest = latest.model_copy(update={"run": run})
    except NotInstalled as error:
        update |= {"notes": [*state.get("notes", []), refusal(error)], "isolated": False}
        return Command(update=update, goto="review")
    candidates = [*candidates[:-1], latest]
    update |= {"candidates": candidates, "runs": runs}
    ledger, budget = runtime.context.ledger, runtime.context.ledger.budget
    over = len(candidates) >= min(_TRIES, state["options"].most_attempts) or ledger.seconds > SHARE * budget.seconds
    good = latest.code and not latest.broken and no_worse(runs[0], latest.run)
    if not good and over:
        best = next((each for each in reversed(candidates) if each.code and no_worse(runs[0], each.run)), None)
        kept = File(path=spec.path, text=in_place(_old(state), spec, best.code)) if best else None
        update["made"] = [kept] if kept else []
        if kept is None:
            update["notes"] = [
                *state.get("notes", []),
                "No version kept the repository's tests passing: nothing is changed.",
            ]
    return Command(update=update, goto="review" if good or over else "change")


def no_worse(before: Run, after: Run | None) -> bool:
    """Whether every test that passed still passes."""
    if after is None:
        return False
    passed = {each.name for each in after.outcomes if each.passed}
    return all(each.name in passed for each in before.outcomes if each.passed)


async def run_tests(files: list[File], language: Language, bench: Bench, what: str) -> Run:
    """The repository's own tests, by the runner that its language has."""
    given = {file.path: file.text for file in files}
    programs = test_programs(given, language)
    for last, program in enumerate(programs, 1):
        try:
            ran = await execute(program, bench)
        except NotInstalled:
            if last == len(programs):
                raise
            continue
        return evidence(what, program, ran).model_copy(update={"outcomes": outcomes(ran.stdout + ran.stderr)})
    return Run(what=what, ended=f"no runner for the tests of {language}")


def test_programs(given: dict[str, str], language: Language) -> list[Program]:
    """The programs that run a repository's tests, the best one first; the next serves where its library is missing."""
    if language == "python":
        path = {"PYTHONPATH": ".:src"}
        command = ["python", "-m", "pytest", "-q", "-rA", "--tb=line", "-p", "no:cacheprovider"]
        return [
            Program(files=given, command=command, packages=["pytest"], environment=path, limits=BUILD_LIMITS),
            Program(files=given, command=["python", "-m", "unittest", "-v"], environment=path, limits=BUILD_LIMITS),
        ]
    commands = {"javascript": ["node", "--test", "--test-reporter=tap"], "go": ["go", "test", "-v", "./..."]}
    return [Program(files=given, command=commands[language], limits=BUILD_LIMITS)] if language in commands else []


def outcomes(said: str) -> tuple[Outcome, ...]:
    """Each test's name and whether it passed, from what the runner said."""
    found = {name: (word == "PASSED", why or "") for word, name, why in _PYTEST.findall(said)}
    found |= {f"{where}.{name}": (word == "ok", word) for name, where, word in _UNITTEST.findall(said)}
    found |= {name: (word == "ok", word) for word, name in _TAP.findall(said)}
    found |= {name: (word == "PASS", word) for word, name in _GO.findall(said)}
    return tuple(Outcome(name=name[:300], passed=passed, got=why[:300]) for name, (passed, why) in found.items())


def diff_of(old: list[File], new: list[File]) -> str:
    """The changes as a unified diff."""
    before = {file.path: file.text for file in old}
    pieces = list[str]()
    for file in new:
        was = before.get(file.path, "")
        lines = difflib.unified_diff(
            was.splitlines(),
            file.text.splitlines(),
            f"a/{file.path}" if file.path in before else "/dev/null",
            f"b/{file.path}",
            lineterm="",
        )
        pieces += list(lines)
    return "\n".join(pieces) + ("\n" if pieces else "")
