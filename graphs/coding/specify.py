"""What a request asks for, by rules: its language, its code, the function that it is about, its examples."""

import re
from collections import Counter

from graphs.coding import pythonic, syntax
from graphs.coding.examples import examples
from graphs.coding.extract import blocks
from graphs.coding.languages import guess_language
from graphs.coding.state import Case, Mode, Options, Spec
from tools.sandbox.languages import Language

_CALLED = re.compile(
    r"\b(?:called|named|function|method|procedure)\s+[`'\"]?([A-Za-z_]\w*)(?=[`'\"]|\s*\()|`([A-Za-z_]\w*)\([^`]*\)`",
)
_INVERSES = (
    ("encode", "decode"),
    ("encrypt", "decrypt"),
    ("compress", "decompress"),
    ("escape", "unescape"),
    ("quote", "unquote"),
)
_MODES: tuple[tuple[Mode, str], ...] = (
    ("review", r"^\W*(?:please\s+)?(?:review|audit|find (?:the )?bugs? in|check this code)\b"),
    ("document", r"^\W*(?:please\s+)?(?:document|add docstrings?|write (?:the )?(?:docs|documentation|docstrings?))\b"),
    ("test", r"^\W*(?:please\s+)?(?:test this|write (?:unit )?tests? for|add (?:unit )?tests?)\b"),
)


def specify(question: str, options: Options) -> Spec:
    """The request as the rules read it; what the options say goes before what the text says."""
    inline = "" if options.code is not None else code_in(question)
    given = options.code if options.code is not None else inline
    language = options.language or guess_language(question, given)
    mode = options.mode
    if mode == "generate" and given and "mode" not in options.model_fields_set:
        mode = next((name for name, sign in _MODES if re.search(sign, question, re.IGNORECASE)), mode)
    entry, parameters = asked_entry(question, given, language)
    found = examples(question, entry, parameters) if mode == "generate" else ()
    if mode == "generate" and not found and language == "python":
        found = round_trips(given, entry)
    if found and not entry:
        entry = Counter(each.call.partition("(")[0] for each in found).most_common(1)[0][0]
        found = tuple(each for each in found if _about(each, entry))
    return Spec(
        mode=mode,
        language=language,
        task=question,
        header=given,
        entry=entry,
        cases=found,
        tests=options.tests or "",
        framework=options.framework or "",
        repository=options.archive is not None,
    )


def round_trips(code: str, entry: str) -> tuple[Case, ...]:
    """For `decode_…` beside a given `encode_…` and the like: there and back again must give the same."""
    for there, back in _INVERSES:
        for first, second in ((there, back), (back, there)):
            other = re.sub(rf"(?<![a-z]){second}(?![a-z])", first, entry)
            if other != entry and other in pythonic.defined(code):
                texts = ("", "a", "to", "hello", "sutradhar", "acegikmoqsuwy")
                return tuple(
                    Case(call=f"{entry}({other}({each!r}))", expected=repr(each), source="rule") for each in texts
                )
    return ()


def _about(case: Case, entry: str) -> bool:
    return bool(re.search(rf"\b{re.escape(entry)}\(", case.call))


def code_in(question: str) -> str:
    """The code that a request holds: in fences, or the whole of it when it is a Python head and its docstring."""
    fenced = "\n".join(code for _, code in blocks(question))
    if fenced.strip():
        return fenced
    return question if pythonic.defined(question) else ""


def asked_entry(question: str, code: str, language: Language) -> tuple[str, list[str]]:
    """The function that the request is about, with its parameters' names where they are known."""
    if language == "python" and code:
        function = pythonic.asked_function(code)
        if function is not None:
            return function.name, [each.arg for each in function.args.args]
    if code:
        known = [each for each in syntax.functions(code, language) if each.name != "main"]
        if known:
            return known[-1].name, []
    named = [one or other for one, other in _CALLED.findall(question)]
    return (named[0], []) if named else ("", [])
