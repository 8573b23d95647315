"""The tool that runs code."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from tools.bench import Bench
from tools.errors import NotInstalled
from tools.sandbox import Encoded, Ran, RelativePath, SandboxLimits, run
from tools.sandbox.languages import Language, limits_for, snippet, toolchains
from tools.toolbox import tool


class RunCode(BaseModel):
    model_config = ConfigDict(extra="forbid")

    language: Language
    code: Annotated[str, Field(min_length=1, max_length=1_000_000)]
    tests: Annotated[str, Field(max_length=1_000_000)] | None = Field(
        None, description="Run these instead of the code; Python imports `main`, JavaScript `./main.js`."
    )
    files: dict[RelativePath, str | Encoded] = Field(default_factory=dict, description="More files, by relative path.")
    stdin: Annotated[str, Field(max_length=16_000_000)] = ""
    packages: list[str] = Field(default_factory=list, description="Python packages from the owner's list.")
    loopback: bool = Field(False, description="Allow TCP and UDP on a loopback device of its own.")
    limits: SandboxLimits | None = Field(None, description="Other limits than the language's usual ones.")


@tool(title="Run code")
async def run_code(input: RunCode, bench: Bench) -> Ran:
    """Run code, or tests over it, in a sandbox without network, and tell its output, exit code, time and files.

    Nothing that it does outlives it, so it counts as reading.
    """
    present = await toolchains(bench)
    chosen = next(each for each in present if each.language == input.language)
    if not chosen.present:
        raise NotInstalled(f"This machine cannot run {input.language}.", remedy=chosen.fix, param="language")
    program = snippet(
        input.language,
        input.code,
        tests=input.tests,
        files=input.files,
        stdin=input.stdin,
        packages=input.packages,
        loopback=input.loopback,
        limits=input.limits or limits_for(input.language),
    )
    return await run(program, bench)


TOOLS = (run_code,)
