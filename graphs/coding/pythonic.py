"""Python source, read and changed by its syntax tree: what it defines, what it lacks, its docstrings."""

import ast
from collections.abc import Iterator
from contextlib import suppress
from textwrap import dedent, indent

Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


def parsed(source: str) -> ast.Module | None:
    """The tree, or None for what is not Python."""
    with suppress(SyntaxError, ValueError, RecursionError, MemoryError):
        return ast.parse(source)
    return None


def fault(source: str) -> str:
    """Why this is not Python, with the line; empty when it is."""
    try:
        compile(source, "solution.py", "exec", dont_inherit=True)
    except SyntaxError as error:
        return f"{type(error).__name__}: {error.msg} (line {error.lineno})"
    except (ValueError, RecursionError, MemoryError) as error:
        return f"{type(error).__name__}: {error}"
    return ""


def defined(source: str) -> list[str]:
    """The names of the functions and classes at the top, in their order."""
    tree = parsed(source)
    return [node.name for node in tree.body if isinstance(node, Definition)] if tree else []


def asked_function(header: str) -> ast.FunctionDef | ast.AsyncFunctionDef | None:
    """The function that a request leaves open: the last one without a body, or the last one."""
    tree = parsed(header)
    functions = [node for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)] if tree else []
    still_open = [node for node in functions if not _body(node)]
    return next(reversed(still_open or functions), None)


def _body(node: Definition) -> list[ast.stmt]:
    """The statements beside the docstring, `pass` and `...`."""
    return [
        each
        for each in node.body
        if not isinstance(each, ast.Pass) and not (isinstance(each, ast.Expr) and isinstance(each.value, ast.Constant))
    ]


def completed(code: str, header: str, entry: str) -> str:
    """The code with what the request's own code gives and the model left out: imports, other functions, the head."""
    tree, given = parsed(code), parsed(header)
    if given is None:
        return code
    head = asked_function(header)
    if tree is not None and head is not None and entry not in defined(code) and tree.body and not defined(code):
        joined = f"{header.rstrip()}\n{indent(dedent(code).strip(), '    ')}\n"
        return joined if parsed(joined) else code
    if tree is None:
        joined = f"{header.rstrip()}\n{code}"
        return joined if parsed(joined) else code
    have = {ast.unparse(node) for node in tree.body} | set(defined(code))
    missing = [node for node in given.body if _lacks(node, have)]
    if not missing:
        return code
    lines = header.splitlines()
    pieces = ["\n".join(lines[_first(node) - 1 : node.end_lineno]) for node in missing]
    return "\n".join(pieces) + "\n\n\n" + code


def _lacks(node: ast.stmt, have: set[str]) -> bool:
    if isinstance(node, ast.Import | ast.ImportFrom):
        return ast.unparse(node) not in have
    if isinstance(node, Definition):
        return node.name not in have and bool(_body(node))
    return isinstance(node, ast.Assign) and ast.unparse(node) not in have


def _first(node: ast.stmt) -> int:
    decorators = node.decorator_list if isinstance(node, Definition) else []
    return min([node.lineno, *(each.lineno for each in decorators)])


def without_tries(code: str, entry: str) -> str:
    """The code without the calls, prints and assertions at the top that only try the function out."""
    tree = parsed(code)
    if tree is None or entry not in defined(code):
        return code
    lines = code.splitlines()
    for node in reversed(tree.body):
        tries = isinstance(node, ast.Assert) or (isinstance(node, ast.Expr) and isinstance(node.value, ast.Call))
        if tries or _is_main(node):
            del lines[node.lineno - 1 : node.end_lineno]
    return "\n".join(lines).rstrip() + "\n"


def _is_main(node: ast.stmt) -> bool:
    return isinstance(node, ast.If) and "__main__" in ast.unparse(node.test)


def definitions(tree: ast.AST) -> Iterator[tuple[str, Definition]]:
    """Functions and classes with their dotted names, inner functions left out."""

    def below(node: ast.AST, prefix: str) -> Iterator[tuple[str, Definition]]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, Definition):
                yield f"{prefix}{child.name}", child
                if isinstance(child, ast.ClassDef):
                    yield from below(child, f"{prefix}{child.name}.")
            elif isinstance(child, ast.If | ast.Try | ast.With):
                yield from below(child, prefix)

    return below(tree, "")


def undocumented(source: str) -> list[str]:
    """The dotted names of public functions and classes that have no docstring."""
    tree = parsed(source)
    return [
        name
        for name, node in definitions(tree or ast.Module([], []))
        if not ast.get_docstring(node) and not node.name.startswith("_")
    ]


def segment(source: str, name: str) -> str:
    """The lines of one function or class."""
    tree = parsed(source)
    node = dict(definitions(tree)).get(name) if tree else None
    return "\n".join(source.splitlines()[_first(node) - 1 : node.end_lineno]) if node else ""


def with_docstrings(source: str, texts: dict[str, str]) -> str:
    """The source with these docstrings, by dotted name; those that are there stay. The code itself stays the same.

    A text that cannot be put in without changing the code is left out.
    """
    tree = parsed(source)
    if tree is None:
        return source
    lines = source.splitlines()
    nodes = [(name, node) for name, node in definitions(tree) if name in texts and not ast.get_docstring(node)]
    for name, node in sorted(nodes, key=lambda each: -each[1].body[0].lineno):
        first = node.body[0]
        at = _first(first)
        if at == node.lineno or lines[at - 1][: first.col_offset].strip():
            # the body stands on the line of the head
            continue
        margin = lines[first.lineno - 1][: first.col_offset]
        lines[at - 1 : at - 1] = [f"{margin}{each}".rstrip() for each in _docstring(texts[name])]
    changed = "\n".join(lines) + ("\n" if source.endswith("\n") else "")
    return changed if same_code(source, changed) else source


def _docstring(text: str) -> list[str]:
    safe = dedent(text).strip().replace("\\", "\\\\").replace('"""', "'''")
    if safe.endswith('"'):
        safe += " "
    lines = safe.splitlines() or [""]
    return [f'"""{lines[0]}"""'] if len(lines) == 1 else [f'"""{lines[0]}', *lines[1:], '"""']


def same_code(one: str, other: str) -> bool:
    """Whether two sources differ in nothing but docstrings, comments and layout."""
    first, second = parsed(one), parsed(other)
    return first is not None and second is not None and _bare(first) == _bare(second)


def _bare(tree: ast.Module) -> str:
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | Definition) and ast.get_docstring(node, clean=False) is not None:
            node.body = node.body[1:] or [ast.Pass()]
    return ast.dump(tree)


def heading(name: str, node: Definition) -> str:
    """A definition as one line, without `def`."""
    if isinstance(node, ast.ClassDef):
        return f"class {name}"
    return f"{name}({ast.unparse(node.args)})"
