"""Examples in a request, turned into expectations by rules: doctests, `f(2) == 4`, `f(2) => 4`, «for n = 2 the output
should be 4», `Input: 2` over `Output: 4`. Small models misread their own tests; what a person wrote down is sure.
"""

import ast
import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from doctest import DocTestParser

from graphs.coding.state import Case

MOST = 24
"""Examples that are taken from one request."""

_WORDS = {"true": "True", "false": "False", "null": "None", "undefined": "None", "nil": "None"}
_MEANS = re.compile(
    r"""\s*[)`*]*\s*(?:(?://|\#|--)\s*)?
    (?:(?:(?:should|must|will|would)\s+(?:return|be|equal|give|yield|print|output)|returns?|yields?|gives?|outputs?|prints?
    |evaluates\s+to|equals|is)(?!\w)|[=-]+>|➞|→|⇒|===?|=(?!=))\s*:?\s*(?:`\s*)?""",
    re.VERBOSE,
)
_GIVEN = re.compile(r"\b(?:for|if|when|given|with|input:?)\s+(?=[\w`]+\s*=[^=>])", re.IGNORECASE)
_ASSIGNED = re.compile(r"[,;]?\s*(?:and\s+)?`?([A-Za-z_]\w*)\s*[=:]\s*")
_RESULT = re.compile(
    r"\b(?:output|result|answer|return value|returns?|it)\b\s*(?:should|must|will|would)?\s*"
    r"(?:be|return|is|equals?|=>|->|=|:)?\s*",
    re.IGNORECASE,
)
_INPUT = re.compile(r"^\W*(?:sample\s+)?input\s*\d*\s*:\s*(.+)$", re.IGNORECASE)
_OUTPUT = re.compile(r"^\W*(?:sample\s+|expected\s+)?output\s*\d*\s*:\s*(.+)$", re.IGNORECASE)
_WORKED_OUT = re.compile(r"\s*\(?-?\d[\d\s+*/().-]*=\s*(?=[^=\s])")
_ENDS = re.compile(r"\s*(?:$|[.,;!`)]+(?:\s|$)|\#|//|[—–]\s|-\s+(?=[A-Za-z])|\(|because\b|since\b|as\b|and\b)")


def examples(text: str, entry: str = "", parameters: Sequence[str] = ()) -> tuple[Case, ...]:
    """The expectations that a request tells, in its order, each once; `entry` is the function that it is about."""
    found = [*_doctests(text), *_calls(text, entry)]
    if entry:
        found += [*_assignments(text, entry, parameters), *_blocks(text, entry, parameters)]
    once = {(each.setup, _plain(each.call)): each for each in reversed(found)}
    return tuple(reversed([each for each in once.values() if _telling(each)]))[:MOST]


def _plain(expression: str) -> str:
    with suppress(SyntaxError, ValueError):
        return ast.unparse(ast.parse(expression, mode="eval"))
    return expression


def _telling(case: Case) -> bool:
    return "..." not in case.call and case.call.strip() != case.expected.strip()


def _doctests(text: str) -> Iterator[Case]:
    setup = ""
    for source, want in _prompts(text):
        expected = want.strip()
        tree = _parsed(source)
        if tree is None:
            continue
        only = tree.body[0] if len(tree.body) == 1 else None
        if not isinstance(only, ast.Expr):
            setup += source
        elif expected:
            # a value that spreads over lines is one expression in its repr too
            yield Case(call=_unparsed(only.value), expected=expected, setup=setup)
        elif isinstance(only.value, ast.Compare) and isinstance(only.value.ops[0], ast.Eq | ast.Is):
            compared = only.value
            yield Case(call=ast.unparse(compared.left), expected=ast.unparse(compared.comparators[0]), setup=setup)
        elif isinstance(only.value, ast.Call) and want:
            yield Case(call=_unparsed(only.value), expected="None", setup=setup)


def _prompts(text: str) -> list[tuple[str, str]]:
    """The lines after `>>>` and what is printed under them; an empty line under a prompt stands for nothing printed."""
    lines = [line.strip() for line in text.splitlines() if not line.strip().startswith(("```", "'''", '"""'))]
    # the parser wants a blank line after each answer and the same margin everywhere; people write neither
    tidy = "\n".join(
        line if line.startswith((">>>", "...")) or _follows(lines, n) else "" for n, line in enumerate(lines)
    )
    tidy = re.sub(r'\s*(?:"""|\'\'\')\s*$', "", tidy, flags=re.MULTILINE)
    try:
        parsed = DocTestParser().get_examples(tidy + "\n")
    except ValueError:
        return []
    spaced = tidy.splitlines()
    return [
        (each.source, each.want or ("\n" if spaced[each.lineno + 1 : each.lineno + 3] == ["", ""] else ""))
        for each in parsed
    ]


def _follows(lines: Sequence[str], n: int) -> bool:
    """Whether this line is an answer: everything between a prompt and the next empty line."""
    for before in range(n - 1, -1, -1):
        if lines[before].startswith((">>>", "...")):
            return True
        if not lines[before]:
            return False
    return False


def _parsed(source: str) -> ast.Module | None:
    try:
        return ast.parse(source.strip())
    except SyntaxError:
        return None


def _unparsed(node: ast.expr) -> str:
    return ast.unparse(node)


def _calls(text: str, entry: str) -> Iterator[Case]:
    """`f(1, 2) == 3` and its relatives, anywhere in a line."""
    name = re.escape(entry) if entry else r"[A-Za-z_]\w*"
    for line in text.splitlines():
        for match in re.finditer(rf"(?<![\w.]){name}\(", line):
            end = closing(line, match.end() - 1)
            if end is None or re.search(r"\b(?:def|function|func|fn)\s+$", line[: match.start()]):
                continue
            means = _MEANS.match(line, end)
            rest = line[means.end() :] if means else line[end:].lstrip()
            # `f(19) -> 19 - 5 = 14` shows the way to the value
            rest = _WORKED_OUT.sub("", rest, count=1) if _WORKED_OUT.match(rest) else rest
            # `f([1]) [1]` says the same without a sign
            if means is None and not rest.startswith(("[", "{", '"', "'")):
                continue
            value, after = leading_value(rest)
            call = _closed(line[match.start() : end])
            if value is not None and call and _ENDS.match(after):
                yield Case(call=call, expected=value)


def _closed(call: str) -> str | None:
    """The call when all that it names is in it; words that stand for themselves become strings."""
    try:
        tree = ast.parse(_python(call), mode="eval").body
    except SyntaxError:
        # another language's literals
        return call
    if not isinstance(tree, ast.Call) or not tree.args:
        return call if isinstance(tree, ast.Call) else None
    called = {id(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    names = [node for node in ast.walk(tree) if isinstance(node, ast.Name) and id(node) not in called]
    if not names:
        return ast.unparse(tree)
    if all(isinstance(each, ast.Name) for each in tree.args):
        tree.args = [ast.Constant(each.id) for each in tree.args if isinstance(each, ast.Name)]
        return ast.unparse(tree)
    return None


def _assignments(text: str, entry: str, parameters: Sequence[str]) -> Iterator[Case]:
    """«For n = 2, k = 3 the output should be 4»."""
    for line in text.splitlines():
        given = _GIVEN.search(line)
        if given is None:
            continue
        values, rest = _values(line[given.end() :])
        call = _call(entry, values, parameters)
        if call is None:
            continue
        for result in _RESULT.finditer(rest):
            value, after = leading_value(rest[result.end() :])
            if value is not None and _ENDS.match(after):
                yield Case(call=call, expected=value)
                break


def _blocks(text: str, entry: str, parameters: Sequence[str]) -> Iterator[Case]:
    """`Input: …` over `Output: …`."""
    pending: str | None = None
    for line in text.splitlines():
        if match := _INPUT.match(line):
            pending = match[1].strip()
        elif pending is not None and _ASSIGNED.match(line) and not _OUTPUT.match(line):
            pending = f"{pending}, {line.strip()}"
        elif (match := _OUTPUT.match(line)) and pending is not None:
            values, _ = _values(pending)
            call = _call(entry, values, parameters) if values else _positional(entry, pending)
            value, after = leading_value(match[1].strip())
            if call and value is not None and _ENDS.match(after):
                yield Case(call=call, expected=value)
            pending = None


def _values(text: str) -> tuple[dict[str, str], str]:
    """`a = 1, b = [2]` at the beginning of a text, and the rest of it."""
    values = dict[str, str]()
    while match := _ASSIGNED.match(text):
        value, rest = leading_value(text[match.end() :])
        if value is None:
            break
        values[match[1]], text = value, rest
    return values, text


def _call(entry: str, values: dict[str, str], parameters: Sequence[str]) -> str | None:
    if not values or (parameters and len(values) != len(parameters)):
        return None
    # a name that is none of the parameters still stands for the one at its place
    order = [values[name] for name in parameters] if set(values) == set(parameters) else [*values.values()]
    return f"{entry}({', '.join(order)})"


def _positional(entry: str, text: str) -> str | None:
    arguments = list[str]()
    while text:
        value, text = leading_value(text)
        if value is None:
            return None
        arguments.append(value)
        text = text.lstrip(" ,;`")
    return f"{entry}({', '.join(arguments)})"


def leading_value(text: str) -> tuple[str | None, str]:
    """The literal at the beginning of a text, in Python's words, and what comes after it."""
    text = text.lstrip()
    for end in _ends(text):
        value = _python(text[:end])
        with suppress(ValueError, SyntaxError, MemoryError, RecursionError):
            ast.literal_eval(value)
            return value, text[end:]
    return None, text


def _ends(text: str) -> Iterator[int]:
    """Where a literal that begins the text may end."""
    if not text:
        return
    if text[0] in "([{":
        end = closing(text, 0)
        if end is not None:
            yield end
    elif text[0] in "\"'":
        end = text.find(text[0], 1)
        while end > 0:
            yield end + 1
            end = text.find(text[0], end + 1)
    elif match := re.match(r"[+-]?\d[\d_]*(?:\.\d+)?(?:[eE][+-]?\d+)?(?![\w])|[A-Za-z]+(?![\w(])", text):
        yield match.end()


def closing(text: str, start: int) -> int | None:
    """The place after the bracket that closes the one at `start`, strings left out."""
    depth, quote, n = 0, "", start
    while n < len(text):
        each = text[n]
        if quote:
            if each == "\\":
                n += 1
            elif each == quote:
                quote = ""
        elif each in "\"'`":
            quote = each
        elif each in "([{":
            depth += 1
        elif each in ")]}":
            depth -= 1
            if not depth:
                return n + 1
        n += 1
    return None


def _python(text: str) -> str:
    """Other languages' words for true, false and nothing as Python's, outside of strings."""
    return re.sub(
        r"(\"(?:[^\"\\]|\\.)*\"|'(?:[^'\\]|\\.)*')|\b(true|false|null|undefined|nil)\b",
        lambda match: match[1] or _WORDS[match[2]],
        text,
    )
