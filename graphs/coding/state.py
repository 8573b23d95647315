"""What the coding graph knows while it works, and what it gives back: plain data, checkpointed at every step."""

from typing import Annotated, Literal, TypedDict

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from graphs.coding.languages import canonical
from graphs.events import Answer
from tools.sandbox.languages import Language

Mode = Literal["generate", "review", "document", "test"]
Level = Literal["low", "medium", "high"]
Kind = Literal["bug", "security", "performance", "style"]
Severity = Literal["high", "medium", "low"]

ATTEMPTS: dict[Level, int] = {"low": 3, "medium": 6, "high": 10}
"""Versions of the code that are written at most, the first one counted."""


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Options(_Record):
    """What the owner of a request may choose."""

    language: Annotated[Language | None, BeforeValidator(canonical)] = Field(
        None, description="python, javascript, typescript, java, cpp, go or shell; guessed where it is left out."
    )
    framework: str | None = Field(None, max_length=60, description="A library that the code must use.")
    complexity: Level = Field("medium", description="How much may be tried: attempts, documentation, a second look.")
    mode: Mode = "generate"
    code: str | None = Field(None, max_length=200_000, description="The code to review, document, test or change.")
    archive: str | None = Field(
        None, pattern=r"^[0-9a-f]{64}$", description="A zip or tar of a repository in the media store, by its sha256."
    )
    tests: str | None = Field(None, max_length=100_000, description="Your own tests; the code must pass them.")
    attempts: int | None = Field(None, ge=1, le=16, description="Versions to try at most, instead of by complexity.")

    @model_validator(mode="after")
    def _material(self) -> "Options":
        if self.code is not None and self.archive is not None:
            raise ValueError("give `code` or `archive`, not both")
        return self

    @property
    def most_attempts(self) -> int:
        return self.attempts or ATTEMPTS[self.complexity]


class File(_Record):
    path: str
    text: str


class Case(_Record):
    """One expectation: the expression `call` has the value of the expression `expected`, after the lines of `setup`.

    Both are in the language of the code, or in Python's for literals. `source` says who expects it.
    """

    call: str
    expected: str
    setup: str = ""
    source: Literal["example", "model", "rule"] = "example"


class Outcome(_Record):
    """What one test came to. `got` is the value or the error in the words of the language."""

    name: str
    passed: bool
    got: str = ""
    line: int | None = None


class Run(_Record):
    """One program that ran in the sandbox: the evidence. Times in seconds, memory in MB, outputs are their ends."""

    what: str
    command: str = ""
    exit: int | None = None
    ended: str = "exited"
    stdout: str = ""
    stderr: str = ""
    seconds: float = 0.0
    memory_mb: float = 0.0
    outcomes: tuple[Outcome, ...] = ()

    @property
    def passed(self) -> int:
        return sum(each.passed for each in self.outcomes)


class Candidate(_Record):
    """One version of the code and how it did. `vector` are its values for the probes, to see who agrees with whom."""

    code: str
    how: Literal["first", "repair", "fresh"]
    broken: str = ""
    run: Run | None = None
    vector: tuple[str, ...] = ()

    @property
    def score(self) -> tuple[int, int]:
        return (0 if self.broken else 1, self.run.passed if self.run else 0)


MODEL = "model"
"""The `tool` of a finding that only the chat model speaks of."""


class Finding(_Record):
    """Something that a review found; `line` counts from 1, `quote` is that line's text."""

    path: str
    line: int
    kind: Kind
    severity: Severity
    message: str
    tool: str
    rule: str = ""
    quote: str = ""


class Coverage(_Record):
    """Statements that the tests ran. `missing` are line numbers."""

    statements: int
    covered: int
    missing: tuple[int, ...] = ()

    @property
    def share(self) -> float:
        return self.covered / self.statements if self.statements else 1.0


class Spec(_Record):
    """What the rules understood of a request. `header` is the code that it contains, `entry` the function asked for.

    In a repository `path` and `entry` name the part that is to be changed, and `header` is that part.
    """

    mode: Mode
    language: Language
    task: str
    header: str = ""
    entry: str = ""
    cases: tuple[Case, ...] = ()
    tests: str = ""
    framework: str = ""
    path: str = ""
    repository: bool = False


class CodeResult(_Record):
    """What the agent made and found, and the evidence for it."""

    language: Language
    mode: Mode
    files: list[File] = []
    diff: str = ""
    tests: list[File] = []
    runs: list[Run] = []
    findings: list[Finding] = []
    coverage: Coverage | None = None
    attempts: int = 0
    passed: int = 0
    total: int = 0
    notes: list[str] = []


class State(TypedDict, total=False):
    """`files` are the given ones, `made` the changed and new ones. `isolated` is false where nothing could be run."""

    question: str
    options: Options
    spec: Spec
    files: list[File]
    candidates: list[Candidate]
    made: list[File]
    tests: list[File]
    runs: list[Run]
    findings: list[Finding]
    coverage: Coverage | None
    notes: list[str]
    isolated: bool
    answer: Answer | None
