"""Our own rules over the syntax tree, for what a language's own tools leave out."""

import re
from collections.abc import Callable
from functools import cache, lru_cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from graphs.coding.state import File, Finding
from graphs.coding.syntax import root
from tools.sandbox.languages import Language

if TYPE_CHECKING:
    from ast_grep_py import SgNode

TOOL = "sutradhar"


@cache
def _rules(language: Language) -> tuple[dict[str, Any], ...]:
    import yaml

    text = files("graphs.coding").joinpath("rules", f"{language}.yaml").read_text(encoding="utf-8")
    return tuple(yaml.safe_load(text))


def check(file: File, language: Language) -> list[Finding]:
    """What the rules find in a file."""
    tree, lines, found = root(file.text, language), file.text.splitlines(), list[Finding]()
    shared: tuple[Language, ...] = ("javascript",) if language == "typescript" else ()
    for rule in [each for name in (*shared, language) for each in _rules(name)]:
        special = SPECIAL.get(rule.get("special", ""), _always)
        for node in tree.find_all({"rule": rule["rule"]}):
            if special(node, tree):
                place = node.range()
                line = place.end.line if rule.get("at") == "end" else place.start.line
                found.append(
                    Finding(
                        path=file.path,
                        line=line + 1,
                        kind=rule["kind"],
                        severity=rule["severity"],
                        message=rule["message"],
                        tool=TOOL,
                        rule=rule["id"],
                        quote=lines[line].strip()[:200] if line < len(lines) else "",
                    )
                )
    return found


def _always(node: "SgNode", tree: "SgNode") -> bool:
    return True


def _around(node: "SgNode", *kinds: str) -> "SgNode | None":
    return next((each for each in node.ancestors() if each.kind() in kinds), None)


def _field(node: "SgNode", name: str) -> str:
    field = node.field(name)
    return field.text() if field is not None else ""


def _const_assigned(node: "SgNode", tree: "SgNode") -> bool:
    name = _field(node, "left")
    scope = _around(node, "function_declaration", "arrow_function", "method_definition", "program") or tree
    declared = [each.text() for each in scope.find_all(kind="lexical_declaration")]
    own = [each for each in declared if re.match(rf"(?:const|let)\s+{re.escape(name)}\b", each)]
    return bool(own) and all(each.startswith("const") for each in own) and name.isidentifier()


_BINDS = {
    "variable_declarator": "name",
    "function_declaration": "name",
    "generator_function_declaration": "name",
    "function_expression": "name",
    "class_declaration": "name",
    "class": "name",
    "arrow_function": "parameter",
    "catch_clause": "parameter",
    "for_in_statement": "left",
}
_PATTERNS = ("formal_parameters", "import_clause", "array_pattern", "object_pattern", "rest_pattern")


@cache
def _globals() -> frozenset[str]:
    """The names that browsers, Node and test runners define."""
    return frozenset(files("graphs.coding").joinpath("rules", "globals.txt").read_text(encoding="utf-8").split())


def _javascript_undefined(node: "SgNode", tree: "SgNode") -> bool:
    """Scopes are left out of account: a name that is bound anywhere in the file counts as defined."""
    parent = node.parent()
    if parent is None or parent.kind() in {
        "labeled_statement",
        "break_statement",
        "continue_statement",
        "unary_expression",
    }:
        return False
    return node.text() not in _globals() and node.text() not in _bound(tree.text())


@lru_cache(maxsize=4)
def _bound(code: str) -> frozenset[str]:
    tree, names = root(code, "typescript"), set[str]()
    for kind, field in _BINDS.items():
        names |= {_field(each, field) for each in tree.find_all(kind=kind)}
    for kind in _PATTERNS:
        for each in tree.find_all(kind=kind):
            inner = [*each.find_all(kind="identifier"), *each.find_all(kind="shorthand_property_identifier_pattern")]
            names |= {name.text() for name in inner}
    return frozenset(names)


def _declared(name: str, tree: "SgNode", types: str) -> bool:
    """Whether a variable, parameter or field of that name is declared with one of the types somewhere."""
    return bool(re.search(rf"\b(?:{types})\s+{re.escape(name)}\b", tree.text())) if name.isidentifier() else False


def _java_boxed(node: "SgNode", tree: "SgNode") -> bool:
    boxed = "Integer|Long|Short|Double|Float|String|BigDecimal|BigInteger"
    sides = (_field(node, "left"), _field(node, "right"))
    return all(_declared(each, tree, boxed) for each in sides)


def _java_division(node: "SgNode", tree: "SgNode") -> bool:
    sides = [_field(node, "left"), _field(node, "right")]
    if not all(_whole(each, tree, "int|long|short|byte") for each in sides):
        return False
    method = _around(node, "method_declaration")
    returns = _field(method, "type") if method is not None else ""
    holder = _around(node, "local_variable_declaration", "return_statement", "expression_statement", "argument_list")
    if holder is None:
        return False
    if holder.kind() == "local_variable_declaration":
        return _field(holder, "type") in {"double", "float", "Double", "Float"}
    return holder.kind() == "return_statement" and returns in {"double", "float", "Double", "Float"}


def _whole(text: str, tree: "SgNode", types: str) -> bool:
    bare = text.strip("() ")
    if re.fullmatch(r"-?\d+", bare) or re.fullmatch(r"\w+(\.|->)(length|size|length\(\)|size\(\))", bare):
        return True
    names = re.findall(r"[A-Za-z_]\w*", bare)
    return (
        bool(names) and re.fullmatch(r"[\w\s+*-]+", bare) is not None and all(_declared(n, tree, types) for n in names)
    )


def _java_remove(node: "SgNode", tree: "SgNode") -> bool:
    over = _field(node, "value")
    body = _field(node, "body")
    return bool(over) and bool(re.search(rf"\b{re.escape(over)}\.(?:remove|add)\(", body)) and "break;" not in body


def _java_null(node: "SgNode", tree: "SgNode") -> bool:
    match = re.match(r"(\w+) (?:== null &&|!= null \|\|)(.*)", node.text(), re.DOTALL)
    return re.search(rf"\b{match[1]}\.", match[2]) is not None if match else False


def _java_text(node: "SgNode", tree: "SgNode") -> bool:
    return _declared(node.text().partition(" ")[0], tree, "String")


def _cpp_array(node: "SgNode", tree: "SgNode") -> bool:
    head = re.search(r";\s*(\w+)\s*<=\s*(\w+)\s*;", node.text())
    if head is None:
        return False
    index, bound = head[1], head[2]
    used = re.findall(rf"\b(\w+)\[{index}\]", node.text())
    sizes = {size for name in used for size in re.findall(rf"\b{name}\[(\w+)\]", tree.text())}
    counted = re.search(rf"\b{re.escape(bound)}\s*=\s*\w+\.(?:size|length)\(\)", tree.text())
    return bool(used) and (bound in sizes - {index} or bool(counted))


def _cpp_text(node: "SgNode", tree: "SgNode") -> bool:
    other = next((side for side in (_field(node, "left"), _field(node, "right")) if not side.startswith('"')), "")
    return _declared(other, tree, r"char\s*\*|char\*") or bool(re.search(rf"char\s+{re.escape(other)}\[", tree.text()))


def _cpp_changed(node: "SgNode", tree: "SgNode") -> bool:
    over = re.escape(_field(node, "right"))
    return bool(re.search(rf"\b{over}\.(?:push_back|erase|insert|emplace_back|clear|pop_back)\(", _field(node, "body")))


def _cpp_unfreed(node: "SgNode", tree: "SgNode") -> bool:
    holder = _around(node, "init_declarator", "assignment_expression", "return_statement", "argument_list")
    function = _around(node, "function_definition")
    if holder is None or function is None or holder.kind() != "init_declarator":
        return False
    name = _field(holder, "declarator").lstrip("*& ")
    body = function.text()
    kept = rf"\bdelete\s*(?:\[\])?\s*{name}\b|\breturn\s+{name}\b|\({name}\)|[,(]\s*{name}\s*[,)]|=\s*{name}\s*;"
    return name.isidentifier() and not re.search(kept, body)


def _cpp_delete(node: "SgNode", tree: "SgNode") -> bool:
    match = re.fullmatch(r"delete\s*(\[\])?\s*(\w+)", node.text())
    if match is None:
        return False
    made = re.search(rf"\b{match[2]}\s*[=({{]\s*new\s+[\w:<>]+\s*(\[)?", tree.text())
    return bool(made[1]) != bool(match[1]) if made else False


def _cpp_twice(node: "SgNode", tree: "SgNode") -> bool:
    function = _around(node, "function_definition")
    name = node.text().split()[-1].removeprefix("[]")
    if function is None or not name.isidentifier():
        return False
    before = function.text()[: node.range().start.index - function.range().start.index]
    first = [match.end() for match in re.finditer(rf"\bdelete\s*(?:\[\])?\s*{name}\b", before)]
    return bool(first) and not re.search(rf"\b{name}\s*=|\breturn\b|\belse\b", before[first[-1] :])


def _cpp_kept(node: "SgNode", release: str) -> bool:
    function, holder = _around(node, "function_definition"), _around(node, "init_declarator")
    if function is None or holder is None:
        return False
    name = _field(holder, "declarator").lstrip("*& ")
    return not re.search(rf"\b{release}\(\s*{name}\s*\)|\breturn\s+{name}\b", function.text())


def _cpp_division(node: "SgNode", tree: "SgNode") -> bool:
    if not all(_whole(_field(node, side), tree, "int|long|size_t|unsigned|long long") for side in ("left", "right")):
        return False
    holder = _around(node, "declaration", "return_statement", "assignment_expression")
    if holder is None:
        return False
    if holder.kind() == "return_statement":
        function = _around(node, "function_definition")
        return function is not None and _field(function, "type") in {"double", "float"}
    return holder.kind() == "declaration" and _field(holder, "type") in {"double", "float"}


def _python_range(node: "SgNode", tree: "SgNode") -> bool:
    """Only where the counter is used as an index of the very list."""
    loop = _around(node, "for_statement")
    match = re.search(r"len\((\w+)\)", node.text())
    if loop is None or match is None:
        return False
    counter = re.escape(_field(loop, "left"))
    return bool(re.search(rf"\b{match[1]}\[{counter}\]", _field(loop, "body")))


def _python_while(node: "SgNode", tree: "SgNode") -> bool:
    loop = _around(node, "while_statement")
    match = re.fullmatch(r"(\w+) <= len\((\w+)\)", node.text())
    if loop is None or match is None:
        return False
    return bool(re.search(rf"\b{match[2]}\[{match[1]}\]", loop.text()))


def _python_membership(node: "SgNode", tree: "SgNode") -> bool:
    match = re.fullmatch(r"\w+ (?:not )?in (\w+)", node.text())
    return (
        bool(match) and bool(re.search(rf"\b{match[1]}\s*(?::\s*list\S*)?\s*=\s*\[", tree.text())) if match else False
    )


SPECIAL: dict[str, Callable[["SgNode", "SgNode"], bool]] = {
    "const_assigned": _const_assigned,
    "javascript_undefined": _javascript_undefined,
    "java_boxed": _java_boxed,
    "java_division": _java_division,
    "java_remove": _java_remove,
    "java_null": _java_null,
    "java_text": _java_text,
    "cpp_array": _cpp_array,
    "cpp_text": _cpp_text,
    "cpp_changed": _cpp_changed,
    "cpp_unfreed": _cpp_unfreed,
    "cpp_delete": _cpp_delete,
    "cpp_twice": _cpp_twice,
    "cpp_malloc": lambda node, tree: _cpp_kept(node, "free"),
    "cpp_fopen": lambda node, tree: _cpp_kept(node, "fclose"),
    "cpp_division": _cpp_division,
    "python_range": _python_range,
    "python_while": _python_while,
    "python_membership": _python_membership,
}
"""What a pattern alone cannot say, by the name in the rule."""
