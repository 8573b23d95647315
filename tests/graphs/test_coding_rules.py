"""The rules of the coding agent: examples, code in answers, Python's trees, mutants, findings."""

import ast

import pytest

from graphs.coding import pythonic
from graphs.coding.checks import check
from graphs.coding.documenting import documented, lacking
from graphs.coding.examples import examples
from graphs.coding.extract import code_of, fenced
from graphs.coding.languages import guess_language
from graphs.coding.literals import matches, written
from graphs.coding.mutants import mutants
from graphs.coding.probes import agreed, probes
from graphs.coding.repository import diff_of, outcomes, ranked_parts
from graphs.coding.reviewing import Said, merge, placed
from graphs.coding.specify import specify
from graphs.coding.state import Candidate, Case, File, Finding, Options, Outcome, Run
from graphs.coding.syntax import functions
from tests.evals.review import generate
from tools.sandbox.languages import Language


@pytest.mark.parametrize(
    ("text", "call", "expected"),
    [
        (">>> f(1, [2])\n3", "f(1, [2])", "3"),
        (">>> f(1) == 2", "f(1)", "2"),
        ("f(1) => true", "f(1)", "True"),
        ("f('a b', 2) returns 'x'", "f('a b', 2)", "'x'"),
        ("f([1]) ➞ [1, 2]  # because", "f([1])", "[1, 2]"),
        ("`f(1)` should return `4`.", "f(1)", "4"),
        ("f(ab) -> 2", "f('ab')", "2"),
        ("For x = 3 the output should be 5.", "f(3)", "5"),
        ("for x = 3, the sum will be 1 the result should be (1, 'a')", "f(3)", "(1, 'a')"),
        ("Input: x = [1]\n  Output: [2] # sum", "f([1])", "[2]"),
        ("Input: [4, 2]\nOutput: 1", "f([4, 2])", "1"),
        ("f('5 apples', 19) ->19 - 5 = 14", "f('5 apples', 19)", "14"),
        ("f([1])==>True", "f([1])", "True"),
        ("f(2) == 3 - that is one more", "f(2)", "3"),
    ],
)
def test_examples_are_read(text: str, call: str, expected: str) -> None:
    assert [(each.call, each.expected) for each in examples(text, "f", ["x"])] == [(call, expected)]


@pytest.mark.parametrize(
    "text", ["f(n) = 1 + n / 2", "def f(x): 3", "f(x) is called often", "f(1) = 2 + 3", "f(1) = 2 - 3", "see f(1)."]
)
def test_what_is_no_example_is_not_taken(text: str) -> None:
    assert examples(text, "f", ["x"]) == ()


def test_inputs_may_take_several_lines() -> None:
    text = "Input:\n    grid : [[0, 1],\n"
    assert examples(text, "f", ["grid", "k"]) == ()
    (case,) = examples("Input: grid : [[0, 1]]\n    k : 2\nOutput: 6", "f", ["grid", "k"])
    assert (case.call, case.expected) == ("f([[0, 1]], 2)", "6")


def test_what_a_setup_needs_is_kept() -> None:
    (case,) = examples(">>> stack = Stack()\n>>> stack.push(1)\n>>> stack.size()\n1\n", "Stack")
    assert case.call == "stack.size()"
    assert "Stack()" in case.setup


def test_there_and_back_again_is_a_test() -> None:
    head = 'def encode_x(s):\n    return s[::-1]\n\n\ndef decode_x(s):\n    """Undo encode_x."""\n'
    spec = specify(head, Options())
    assert (spec.language, spec.entry) == ("python", "decode_x")
    assert spec.cases[-1].call.startswith("decode_x(encode_x(")
    assert {each.source for each in spec.cases} == {"rule"}


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ("Sure!\n```python\ndef f(x):\n    return x\n```\nDone.", "def f(x):\n    return x\n"),
        ("```\ndef f(x):\n    return x", "def f(x):\n    return x\n"),
        ("def f(x):\n    return x\n\nThis returns x.", "def f(x):\n    return x\n"),
        ("```python\ndef f(x):\n    return x\n\nprint(f(1))\nassert f(1)\n```", "def f(x):\n    return x\n"),
        ("```python\nimport os\n```\n```python\ndef f(x):\n    return x\n```", "def f(x):\n    return x\n"),
        ("```python\ndef f(x):\n    return x\n\ndef g(y):\n    return (y +", "def f(x):\n    return x\n"),
        ("I cannot help with that.", ""),
    ],
)
def test_code_is_found_in_answers(said: str, kept: str) -> None:
    assert code_of(said, "python", "", "f").rstrip() == kept.rstrip()


def test_what_the_model_left_out_is_put_back() -> None:
    area = "from math import pi\n\n\ndef area(r):\n    return pi * r * r\n"
    header = f'{area}\n\ndef ring(a, b):\n    """Between two circles."""\n'
    code = code_of("```python\ndef ring(a, b):\n    return area(b) - area(a)\n```", "python", header, "ring")
    names: dict[str, object] = {}
    exec(code, names)  # noqa: S102 - our own text
    assert "def area" in code
    body = code_of("```python\nreturn area(b) - area(a)\n```", "python", header, "ring")
    assert pythonic.defined(body) == ["area", "ring"]


def test_a_fence_is_longer_than_those_inside() -> None:
    assert fenced('x = "```"', "python").startswith("````python\n")


def test_docstrings_leave_the_code_as_it_was() -> None:
    source = "class A:\n    x = 1\n\n    @property\n    def b(self):\n        # why\n        return 2\n"
    source += "\n\ndef c(): return 3\n"
    made = pythonic.with_docstrings(source, {"A": "One.", "A.b": 'Two "quoted"', "c": "Three."})
    assert pythonic.same_code(source, made)
    assert ast.get_docstring(ast.parse(made).body[0]) == "One."  # type: ignore[arg-type]
    assert pythonic.undocumented(made) == ["c"]
    assert not pythonic.same_code(source, source.replace("2", "3"))


def test_comments_over_functions_of_other_languages() -> None:
    code = "class A {\n  int twice(int n) { return 2 * n; }\n}\n"
    made = documented(code, "java", {"twice": "Doubles."})
    assert "  /**\n   * Doubles.\n   */\n  int twice" in made
    assert lacking(made, "java") == []


@pytest.mark.parametrize("language", ["python", "javascript", "java", "cpp"])
def test_mutants_differ_and_are_still_code(language: Language) -> None:
    code = {
        "python": "def f(a, b):\n    if a < b and a != 3:\n        return a + 1\n    return b\n",
        "javascript": "function f(a, b) { if (a < b && a !== 3) { return a + 1; } return 'a < b'; }",
        "java": "class A { static int f(int a, int b) { if (a < b && a != 3) return a + 1; return b; } }",
        "cpp": "#include <vector>\nint f(int a, int b) { if (a < b && a != 3) return a + 1; return b; }",
    }[language]
    made = mutants(code, language)
    assert len(made) >= 4
    assert len(set(made)) == len(made)
    assert code not in made
    assert all("#include <vector>" in each for each in made if language == "cpp")
    assert all(pythonic.parsed(each) for each in made if language == "python")


def test_the_version_that_others_agree_with_is_chosen() -> None:
    run = Run(what="", outcomes=(Outcome(name="f(1)", passed=True),))
    odd, one, two = (Candidate(code=code, how="fresh", run=run, vector=(code[0],)) for code in ("x1", "y2", "y3"))
    worse = Candidate(code="z", how="fresh", run=run.model_copy(update={"outcomes": ()}), vector=("y",))
    assert agreed([odd, one, two, worse]) == one
    assert agreed([worse, odd]) == odd


def test_probes_are_near_the_examples_and_new() -> None:
    found = probes([Case(call="f([3, 1], 'ab')", expected="1")])
    assert "f([1, 3], 'ab')" in found
    assert "f([3, 1], 'ba')" in found
    assert "f([3, 1], 'ab')" not in found


def test_literals_of_other_languages() -> None:
    assert written([1, 2], "java", "int[]") == "new int[]{1, 2}"
    assert written(["a"], "java", "List<String>") == 'new java.util.ArrayList<>(java.util.Arrays.asList("a"))'
    assert written([[1], []], "cpp") == "{{1}, {}}"
    assert written(["a"], "go", "[]string") == '[]string{"a"}'
    assert matches("[1.0000000001, true]", "(1, True)")
    assert not matches("1", "True")


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("Write a C++ function", "cpp"),
        ("a node script", "javascript"),
        ("sort a list in Java", "java"),
        ("function f(a) { return 1 }", "javascript"),
        ("def f(x):\n    pass", "python"),
        ("something nice", "python"),
        ("in TypeScript please", "typescript"),
    ],
)
def test_languages_are_guessed(text: str, language: str) -> None:
    assert guess_language(text) == language


def test_chat_says_what_it_wants() -> None:
    assert specify("Review this:\n```js\nlet x = 1\n```", Options()).mode == "review"
    assert specify("Write unit tests for this:\n```python\ndef f(): pass\n```", Options()).mode == "test"
    assert specify("Review this:\n```js\nlet x = 1\n```", Options(mode="generate")).mode == "generate"


def test_functions_of_all_languages() -> None:
    assert [(each.name, each.owner) for each in functions("class A { m() {} }\nconst f = (x) => x;", "javascript")] == [
        ("m", "A"),
        ("f", ""),
    ]
    (method,) = functions("class A { static int[] f(List<Integer> a, String... b) { return null; } }", "java")
    assert (method.static, method.returns, method.parameters[0]) == (True, "int[]", "List<Integer>")
    assert functions("std::vector<int>& f(int a);\nint& g(int b) { return b; }", "cpp")[0].name == "g"


def test_a_finding_needs_its_line() -> None:
    file = File(path="a.py", text="x = 1\n  y = x\n")
    said = Said(quote="  y  = x ", kind="bug", severity="high", message="No.")
    found = placed(said, file)
    assert found is not None
    assert (found.line, found.quote) == (2, "y = x")
    assert placed(said.model_copy(update={"quote": "z = x"}), file) is None
    assert placed(said.model_copy(update={"quote": ""}), file) is None


def test_findings_of_a_line_are_one() -> None:
    base = Finding(path="a", line=3, kind="bug", severity="medium", message="Tool.", tool="ruff")
    said = base.model_copy(update={"tool": "model", "severity": "high", "message": "Model."})
    (merged,) = merge([said, base])
    assert (merged.tool, merged.severity, merged.message) == ("ruff, model", "medium", "Tool. Model.")


def test_own_rules_find_plants_and_leave_clean_code_alone() -> None:
    planted = [each for each in generate(5) if each.language != "python"]
    found = [each for each in planted if any(one.line in each.lines for one in check(each.buggy, each.language))]
    alarmed = [
        (each.name, one.rule) for each in planted for one in check(each.clean, each.language) if one.severity != "low"
    ]
    assert len(found) >= 30
    assert alarmed == []


def test_test_runners_are_read() -> None:
    said = "PASSED tests/a.py::test_x\nFAILED tests/a.py::test_y - assert 1 == 2\n"
    said += "test_z (t.T) ... ok\nok 1 - adds\nnot ok 2 - f"
    assert {each.name: each.passed for each in outcomes(said)} == {
        "tests/a.py::test_x": True,
        "tests/a.py::test_y": False,
        "t.T.test_z": True,
        "adds": True,
        "f": False,
    }


def test_the_part_that_the_task_names_comes_first() -> None:
    parts = [("a.py", "load_user"), ("a.py", "save_user"), ("b.py", "total")]
    assert ranked_parts("the total is wrong", parts)[0][1] == ("b.py", "total")
    assert ranked_parts("make load_user faster", parts)[0][1] == ("a.py", "load_user")


def test_a_diff_of_new_and_changed_files() -> None:
    text = diff_of([File(path="a", text="1\n2\n")], [File(path="a", text="1\n3\n"), File(path="b", text="4\n")])
    assert "--- a/a\n+++ b/a\n" in text
    assert "-2\n+3" in text
    assert "--- /dev/null\n+++ b/b" in text
