"""What code in any of the languages defines, read from its syntax tree."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from graphs.coding.languages import TONGUES, language_of_file
from graphs.coding.state import File
from tools.sandbox.languages import Language

if TYPE_CHECKING:
    from ast_grep_py import SgNode

_FUNCTIONS = {
    "python": ("function_definition",),
    "javascript": (
        "function_declaration",
        "generator_function_declaration",
        "variable_declarator",
        "method_definition",
    ),
    "typescript": ("function_declaration", "variable_declarator", "method_definition"),
    "java": ("method_declaration",),
    "cpp": ("function_definition",),
    "go": ("function_declaration", "method_declaration"),
    "shell": ("function_definition",),
}
_CLASSES = {
    "python": ("class_definition",),
    "javascript": ("class_declaration",),
    "typescript": ("class_declaration", "interface_declaration"),
    "java": ("class_declaration", "interface_declaration", "record_declaration", "enum_declaration"),
    "cpp": ("class_specifier", "struct_specifier"),
    "go": ("type_spec",),
    "shell": (),
}
_FUNCTION_VALUES = ("arrow_function", "function_expression", "function")


@dataclass(frozen=True)
class Function:
    """A function or method: `owner` is its class, `parameters` are types (or names, where types are not written)."""

    name: str
    line: int
    last: int
    owner: str = ""
    static: bool = True
    parameters: tuple[str, ...] = ()
    returns: str = ""


def root(code: str, language: Language) -> "SgNode":
    from ast_grep_py import SgRoot

    return SgRoot(code, TONGUES[language].grammar).root()


def functions(code: str, language: Language) -> list[Function]:
    """In the order of the code."""
    tree = root(code, language)
    found = [_function(node, language) for kind in _FUNCTIONS[language] for node in tree.find_all(kind=kind)]
    return sorted((each for each in found if each is not None), key=lambda each: each.line)


def _function(node: "SgNode", language: Language) -> Function | None:
    head, value = node, node.field("value")
    if node.kind() == "variable_declarator":
        if value is None or value.kind() not in _FUNCTION_VALUES:
            return None
        head = value
    declarator = node.field("declarator") if language == "cpp" else None
    while declarator is not None and declarator.kind() in {"pointer_declarator", "reference_declarator"}:
        declarator = declarator.field("declarator") or next(iter(declarator.children()[1:]), None)
    name = (declarator or node).field("declarator" if language == "cpp" else "name")
    if name is None:
        return None
    returns = node.field("type") or head.field("return_type") or head.field("result")
    listed = (declarator or head).field("parameters")
    owner = next((_name(each) for each in node.ancestors() if each.kind() in _CLASSES[language]), "")
    return Function(
        name=name.text().rpartition("::")[2],
        line=node.range().start.line + 1,
        last=node.range().end.line + 1,
        owner=owner,
        static=not owner or any("static" in child.text().split() for child in node.children()[:2]),
        parameters=tuple(_parameters(listed)) if listed is not None else (),
        returns=returns.text() if returns is not None else "",
    )


def _parameters(listed: "SgNode") -> Iterator[str]:
    for each in listed.children():
        if not each.is_named() or each.kind() == "comment":
            continue
        kind = each.field("type")
        text = kind.text() if kind is not None else each.text()
        # `int xs[]` and `int... xs` are arrays too
        yield f"{text}[]" if each.kind() == "spread_parameter" else text.removeprefix(":").strip()


def _name(node: "SgNode") -> str:
    name = node.field("name")
    return name.text() if name is not None else ""


def classes(code: str, language: Language) -> list[tuple[str, int]]:
    """Names and lines of the classes."""
    tree = root(code, language)
    nodes = [node for kind in _CLASSES[language] for node in tree.find_all(kind=kind)]
    return sorted(((_name(node), node.range().start.line + 1) for node in nodes), key=lambda each: each[1])


def outline(files: list[File], most: int = 6_000) -> str:
    """A map of a repository: each file with its classes and functions, at most so many characters."""
    lines = list[str]()
    for file in files:
        language = language_of_file(file.path)
        if language is None:
            continue
        lines.append(file.path)
        lines += [f"  class {name}" for name, _ in classes(file.text, language)]
        for each in functions(file.text, language):
            owner = f"{each.owner}." if each.owner else ""
            lines.append(f"  {owner}{each.name}({', '.join(each.parameters)})")
    text = "\n".join(lines)
    return text if len(text) <= most else text[:most].rpartition("\n")[0] + "\n…"
