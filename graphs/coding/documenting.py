"""Documentation: docstrings that leave the code as it was, and a README section."""

import ast
import re
from textwrap import wrap

from langgraph.runtime import Runtime

from graphs.coding import prompting, pythonic, syntax
from graphs.coding.languages import TONGUES, language_of_file
from graphs.coding.state import File, Spec, State
from graphs.coding.writing import SHARE, best_of, solution
from graphs.context import Context
from graphs.speak import speak
from tools.errors import EngineFailed
from tools.sandbox.languages import Language

MOST = {"low": 0, "medium": 1, "high": 8}
"""Descriptions that the model is asked for when it has just written the code."""

ASKED = 12
"""And when documentation is what was asked for."""

TOKENS = 90


async def document(state: State, runtime: Runtime[Context]) -> State:
    """Put a docstring on what has none: the request's own words first, the model's where there are none."""
    spec, options = state["spec"], state["options"]
    files = state.get("made") or state.get("files", [])
    if spec.mode == "generate" and not spec.repository:
        best = best_of(state)
        files = [solution(spec, best.code)] if best else []
    left = ASKED if spec.mode == "document" else MOST[options.complexity]
    made, notes = list[File](), list[str](state.get("notes", []))
    for file in files:
        language = language_of_file(file.path) or spec.language
        texts = given_docstrings(spec) if language == "python" else {}
        missing = [name for name in lacking(file.text, language) if name not in texts]
        for name in missing[: max(left, 0)]:
            if _spent(runtime.context):
                break
            left -= 1
            texts[name] = await described(runtime, spec, name, part_of(file.text, name, language))
        made.append(file.model_copy(update={"text": documented(file.text, language, texts)}))
    if spec.mode == "document":
        undone = [name for file in made for name in lacking(file.text, language_of_file(file.path) or spec.language)]
        if undone:
            notes.append(f"Left without documentation: {', '.join(undone[:20])}.")
        made.append(File(path="README-section.md", text=readme(spec, made)))
    return {"made": made, "notes": notes}


def _spent(context: Context) -> bool:
    ledger, budget = context.ledger, context.ledger.budget
    return ledger.seconds > (SHARE + 0.15) * budget.seconds or ledger.tokens > (SHARE + 0.2) * budget.tokens


def given_docstrings(spec: Spec) -> dict[str, str]:
    """The docstrings of the request's own code, which the model often leaves out."""
    tree = pythonic.parsed(spec.header)
    if tree is None:
        return {}
    told = {name: ast.get_docstring(node) for name, node in pythonic.definitions(tree)}
    return {name: text for name, text in told.items() if text}


async def described(runtime: Runtime[Context], spec: Spec, name: str, code: str) -> str:
    """What a function does, in the model's words as plain sentences; from its name where the model says nothing."""
    try:
        text = await speak(runtime.context, "coding", prompting.docstring(spec, name, code), most_tokens=TOKENS)
    except EngineFailed:
        text = ""
    plain = re.sub(r"`{3}.*?(?:`{3}|\Z)|\*/|\"{3}|'{3}", " ", text, flags=re.DOTALL)
    sentences = re.findall(r"[^.!?]+[.!?]", " ".join(plain.split()))
    return _wrapped(" ".join(sentences[:2]).strip())


def _wrapped(text: str) -> str:
    return "\n".join(wrap(text, 96))


def lacking(code: str, language: Language) -> list[str]:
    """The functions and classes that nothing is said about."""
    if language == "python":
        return pythonic.undocumented(code)
    lines = code.splitlines()
    return [
        each.name
        for each in syntax.functions(code, language)
        if each.name != "main" and not re.match(r"\s*(?:\*/|//|#|\*)", lines[each.line - 2] if each.line > 1 else "")
    ]


def part_of(code: str, name: str, language: Language) -> str:
    """The lines of one function."""
    if language == "python":
        return pythonic.segment(code, name)
    function = next((each for each in syntax.functions(code, language) if each.name == name), None)
    return "\n".join(code.splitlines()[function.line - 1 : function.last]) if function else ""


def documented(code: str, language: Language, texts: dict[str, str]) -> str:
    """The code with these texts as docstrings, or as comments over the functions where the language has those."""
    texts = {name: text for name, text in texts.items() if text}
    if language == "python":
        return pythonic.with_docstrings(code, texts)
    lines = code.splitlines()
    for each in reversed(syntax.functions(code, language)):
        if each.name in texts and each.name in lacking(code, language):
            at = each.line - 1
            margin = lines[at][: len(lines[at]) - len(lines[at].lstrip())]
            lines[at:at] = [f"{margin}{line}" for line in _comment(texts[each.name], language)]
    return "\n".join(lines) + ("\n" if code.endswith("\n") else "")


def _comment(text: str, language: Language) -> list[str]:
    lines = text.splitlines()
    if language in {"go", "shell"}:
        return [f"{TONGUES[language].comment} {line}" for line in lines]
    return ["/**", *(f" * {line}" for line in lines), " */"]


def readme(spec: Spec, files: list[File]) -> str:
    """A README section by rule: what there is, with the first line that is said of each."""
    lines = ["## Contents", ""]
    for file in files:
        language = language_of_file(file.path) or spec.language
        lines.append(f"### `{file.path}`")
        lines.append("")
        told = summaries(file.text, language)
        lines += [f"- `{heading}`: {said}" if said else f"- `{heading}`" for heading, said in told]
        lines.append("")
    return "\n".join(lines)


def summaries(code: str, language: Language) -> list[tuple[str, str]]:
    """Each function's heading and the first line of its documentation."""
    if language == "python":
        tree = pythonic.parsed(code)
        nodes = pythonic.definitions(tree) if tree else ()
        return [
            (pythonic.heading(name, node), (ast.get_docstring(node) or "").partition("\n")[0]) for name, node in nodes
        ]
    lines = code.splitlines()
    return [
        (f"{each.name}({', '.join(each.parameters)})", _said_over(lines, each.line - 1))
        for each in syntax.functions(code, language)
    ]


def _said_over(lines: list[str], at: int) -> str:
    said = list[str]()
    while at > 0 and re.match(r"\s*(?:/\*\*?|\*|//|#)", lines[at - 1]):
        at -= 1
        said.insert(0, re.sub(r"^\s*(?:/\*\*?|\*/|\*|//|#)\s?|\s*\*/\s*$", "", lines[at]))
    return next((line.strip() for line in said if line.strip()), "")
