"""Small changes that make a program wrong: a test that notices none of them could not fail."""

import ast
import copy
from collections.abc import Iterator

from graphs.coding.syntax import root
from tools.sandbox.languages import Language

MOST = 16

_COMPARE: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
}
_COMPUTE: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.FloorDiv,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.Add,
    ast.Pow: ast.Mult,
}
_SWAPS = {
    "<": "<=",
    "<=": "<",
    ">": ">=",
    ">=": ">",
    "==": "!=",
    "!=": "==",
    "===": "!==",
    "!==": "===",
    "+": "-",
    "-": "+",
    "*": "+",
    "/": "*",
    "%": "+",
    "&&": "||",
    "||": "&&",
    "+=": "-=",
    "-=": "+=",
    "true": "false",
    "false": "true",
}


def mutants(code: str, language: Language, most: int = MOST) -> list[str]:
    """Changed programs, one change each, spread over the code."""
    found = list(dict.fromkeys(_python(code) if language == "python" else _tokens(code, language)))
    found = [each for each in found if each != code]
    step = max(len(found) / most, 1.0)
    return [found[int(n * step)] for n in range(min(len(found), most))]


def _python(code: str) -> Iterator[str]:
    try:
        tree = ast.parse(code)
    except SyntaxError:
        return
    for number, node in enumerate(ast.walk(tree)):
        for change in range(2):
            changed = copy.deepcopy(tree)
            target = next(each for n, each in enumerate(ast.walk(changed)) if n == number)
            if isinstance(node, ast.expr | ast.stmt) and _change(target, change):
                yield ast.unparse(ast.fix_missing_locations(changed))


def _change(node: ast.AST, change: int) -> bool:
    """Make one of the changes that this node knows; says whether there was one."""
    match node, change:
        case ast.Compare(ops=[first, *rest]), 0 if type(first) in _COMPARE:
            node.ops = [_COMPARE[type(first)](), *rest]
        case ((ast.BinOp() | ast.AugAssign()), 0) if type(node.op) in _COMPUTE:
            node.op = _COMPUTE[type(node.op)]()
        case ast.BoolOp(), 0:
            node.op = ast.Or() if isinstance(node.op, ast.And) else ast.And()
        case ast.Constant(value=bool() as value), 0:
            node.value = not value
        case ast.Constant(value=int() as value), 0:
            node.value = value + 1
        case ast.Return(value=ast.expr() as value), 0 if not isinstance(value, ast.Constant) or value.value is not None:
            node.value = ast.Constant(None)
        case ((ast.If() | ast.While()), 1):
            node.test = ast.UnaryOp(ast.Not(), node.test)
        case _:
            return False
    return True


def _tokens(code: str, language: Language) -> Iterator[str]:
    """By the leaves of the syntax tree, so that texts and comments stay as they are."""
    waiting = [root(code, language)]
    while waiting:
        node = waiting.pop(0)
        children = node.children()
        if children:
            waiting += [each for each in children if each.kind() not in {"string", "string_literal", "comment"}]
            continue
        text, place = node.text(), node.range()
        other = _SWAPS.get(text) or (str(int(text) + 1) if text.isdigit() else None)
        if other is not None and not _typed(node.parent()):
            yield code[: place.start.index] + other + code[place.end.index :]


def _typed(parent: object) -> bool:
    """Whether `<` and `>` here hold a type and compare nothing."""
    kind = getattr(parent, "kind", None)
    return kind is not None and any(
        word in kind() for word in ("type_arguments", "template", "preproc", "type_parameters")
    )
