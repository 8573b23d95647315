"""Programs in the sandbox: what they are given, what comes back, and that nothing runs where a wall has a hole."""

import asyncio
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from pydantic import ValidationError

from tests.tools.sandboxed import SMALL, fresh, needs_bubblewrap, outlived, settle
from tools.bench import Bench
from tools.confinement import seccomp
from tools.errors import Busy, InvalidInput, NotInstalled, TooLarge
from tools.sandbox import Encoded, Program, SandboxLimits, run
from tools.sandbox.languages import LANGUAGES, Language, snippet, toolchains
from tools.sandbox.packages import install
from tools.sandbox.proof import prove
from tools.sandbox.tools import run_code
from tools.sandbox.wardens import warden
from tools.settings import Settings

pytestmark = [pytest.mark.anyio, needs_bubblewrap]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return fresh(tmp_path_factory.mktemp("home"), parallel=4)


async def test_a_program_and_what_comes_back(place: Settings) -> None:
    code = (
        "import sys\nprint(sys.stdin.read().upper())\nsys.stderr.write('told')\n"
        "open('out/made.txt', 'w').write('made')\n"
        "open('kept.bin', 'ab').write(b'\\xff')\nsys.exit(3)"
    )
    program = Program(
        files={"main.py": code, "out/there.txt": "there", "kept.bin": Encoded(base64=b"/w==")},
        command=["python", "main.py"],
        stdin="heard",
        limits=SMALL,
    )
    ran = await run(program, place)
    assert (ran.stage, ran.exit_code, ran.signal, ran.killed) == ("run", 3, None, None)
    assert (ran.stdout, ran.stderr, ran.truncated) == ("HEARD\n", "told", False)
    assert {each.path: each.text or each.base64 for each in ran.files} == {
        "kept.bin": b"\xff\xff",
        "out/made.txt": "made",
    }
    assert 0 < ran.wall_seconds < 5
    assert 0 < ran.cpu_seconds < 3
    assert 5 << 20 < ran.peak_memory < 100 << 20
    assert not ran.ok


async def test_a_failed_build_is_the_result(place: Settings) -> None:
    ran = await run(Program(build=["sh", "-c", "echo no; exit 2"], command=["echo", "ran"], limits=SMALL), place)
    assert (ran.stage, ran.exit_code, ran.stdout) == ("build", 2, "no\n")
    ran = await run(Program(build=["sh", "-c", "echo yes > /build/x"], command=["cat", "/build/x"]), place)
    assert (ran.stage, ran.stdout, ran.files) == ("run", "yes\n", [])


async def test_a_command_that_is_not_there(place: Settings) -> None:
    ran = await run(Program(command=["no-such-command"], limits=SMALL), place)
    assert (ran.exit_code, ran.stderr) == (127, "no-such-command: No such file or directory\n")


async def test_a_signal_is_told_by_name(place: Settings) -> None:
    ran = await run(Program(command=["sh", "-c", "kill -SEGV $$"], limits=SMALL), place)
    assert (ran.exit_code, ran.signal, ran.killed) == (None, "SIGSEGV", None)


async def test_limits_are_capped_by_the_settings(tmp_path: Path) -> None:
    settings = fresh(tmp_path, seconds=1, output_bytes=10)
    await prove(settings)
    wanted = SandboxLimits(seconds=50, output_bytes=1000)
    ran = await run(Program(command=["sh", "-c", "echo 123456789; sleep 30"], limits=wanted), settings)
    assert (ran.limits.seconds, ran.limits.output_bytes, ran.killed) == (1, 10, "timeout")


async def test_the_variables_of_a_program_reach_it_and_nothing_before_it(place: Settings) -> None:
    given = {"LD_PRELOAD": "/absent/not-there.so", "GREETING": "a=b"}
    ran = await run(Program(command=["sh", "-c", "echo $GREETING"], environment=given, limits=SMALL), place)
    assert ran.stdout == "a=b\n"
    # once, from the loader of the command; the interpreter that puts up the walls would have said it too
    assert ran.stderr.count("not-there.so") == 1


async def test_what_cannot_be_a_program_is_refused(place: Settings) -> None:
    wrongs: list[dict[str, object]] = [
        {"command": []},
        {"command": ["a\0b"]},
        {"command": ["x" * 200_000]},
        {"command": ["true"], "environment": {"a=b": "c"}},
        {"command": ["true"], "files": {"a": "", "a/b": ""}},
    ]
    for wrong in wrongs:
        with pytest.raises(ValidationError):
            Program.model_validate(wrong)
    large = Program(
        command=["true"], files={"x": "x" * (2 << 20)}, limits=SMALL.model_copy(update={"disk_bytes": 1 << 20})
    )
    with pytest.raises(TooLarge, match="2097152"):
        await run(large, place)


async def test_only_so_many_run_at_once(tmp_path: Path) -> None:
    settings = fresh(tmp_path, parallel=1, wait_seconds=1)
    await prove(settings)
    first = asyncio.ensure_future(run(Program(command=["sleep", "2.5"], limits=SMALL), settings))
    await asyncio.sleep(0.5)
    with pytest.raises(Busy, match="1 places"):
        await run(Program(command=["true"], limits=SMALL), settings)
    assert (await first).ok
    assert (await run(Program(command=["true"], limits=SMALL), settings)).ok


async def test_a_dead_warden_is_replaced(place: Settings) -> None:
    assert (await run(Program(command=["true"], limits=SMALL), place)).ok
    old = warden().pid
    psutil.Process(old).kill()
    await asyncio.sleep(0.2)
    assert (await run(Program(command=["true"], limits=SMALL), place)).ok
    assert warden().pid != old


@pytest.mark.skipif(os.geteuid() != 0, reason="only root becomes a real-time process")
async def test_a_warden_of_a_real_time_host_is_an_ordinary_process(place: Settings) -> None:
    psutil.Process(warden().pid).kill()
    await asyncio.sleep(0.2)
    os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
    try:
        assert (await run(Program(command=["true"], limits=SMALL), place)).ok
    finally:
        os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))


async def test_a_killed_host_takes_its_runs_along(tmp_path: Path) -> None:
    code = (
        "import asyncio, sys; from pathlib import Path; from tests.tools.sandboxed import fresh; "
        "from tools.sandbox import Program, run; from tools.sandbox.proof import prove; "
        "from tools.sandbox.wardens import warden\n"
        "async def main():\n"
        "    settings = fresh(Path(sys.argv[1])); await prove(settings); print(warden().pid, flush=True)\n"
        "    await run(Program(command=['sleep', '50'], limits={'seconds': 60}), settings)\n"
        "asyncio.run(main())"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    host = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", code, str(tmp_path)), stdout=subprocess.PIPE, env=environment
    )
    assert host.stdout is not None
    warden_process = psutil.Process(int(await host.stdout.readline()))
    family = list[psutil.Process]()
    # keeper, bubblewrap, its first process, the command; and the next keeper with what waits in it
    while len(family) < 6:
        await asyncio.sleep(0.1)
        family = warden_process.children(recursive=True)
    host.kill()
    await host.wait()
    _, left = await asyncio.to_thread(psutil.wait_procs, [warden_process, *family], 5)
    assert left == []


async def test_a_control_group_goes_with_its_run(place: Settings) -> None:
    task = asyncio.ensure_future(run(Program(command=["sleep", "1"], limits=SMALL), place))
    await asyncio.sleep(0.5)
    keeper = outlived()[0]
    assert bool(groups(keeper)) == (await prove(place)).layers["cgroup"].startswith("version")
    await task
    await settle()
    assert groups(keeper) == []


def groups(keeper: int) -> list[Path]:
    return [each for root in Path("/sys/fs/cgroup").glob("*") for each in root.glob(f"**/sutradhar/{keeper}")]


HELLO: dict[Language, tuple[str, str, str]] = {
    "python": ("def f(): return 6 * 7\nprint(f())", "from main import f\nassert f() == 42", "assert f() == 41"),
    "javascript": (
        "exports.f = () => 6 * 7; console.log(exports.f())",
        "const {f} = require('./main.js'), test = require('node:test'), assert = require('assert')\n"
        "test('f', () => assert.equal(f(), 42))",
        "test('g', () => assert.equal(f(), 41))",
    ),
    "typescript": (
        "export function f(): number { return 6 * 7 }\nconsole.log(f())",
        "import { f } from './main'\nif (f() !== 42) throw new Error()",
        "if (f() !== 41) throw new Error()",
    ),
    "java": (
        "public class Answer { static int f() { return 6 * 7; }\n"
        "  public static void main(String[] a) { System.out.println(f()); } }",
        "public class AnswerTest { public static void main(String[] a) { assert Answer.f() == 42; more(); }\n"
        "  static void more() {} }",
        "class More { { assert Answer.f() == 41; } }",
    ),
    "cpp": (
        "#include <iostream>\nint f() { return 6 * 7; }\n"
        "#ifndef TEST\nint main() { std::cout << f() << '\\n'; }\n#endif",
        '#define TEST\n#include "main.cpp"\n#include <cassert>\nint main() { assert(f() == 42); more(); }',
        "",
    ),
    "go": (
        'package main\nimport "fmt"\nfunc f() int { return 6 * 7 }\nfunc main() { fmt.Println(f()) }',
        'package main\nimport "testing"\nfunc TestF(t *testing.T) { if f() != 42 { t.Fail() } }',
        "func TestG(t *testing.T) { t.Fail() }",
    ),
    "shell": ("f() { echo $((6 * 7)); }\nf", '. ./main.sh >/dev/null\n[ "$(f)" = 42 ]', '[ "$(f)" = 41 ]'),
}


@pytest.mark.parametrize("language", LANGUAGES)
async def test_languages(place: Settings, language: Language) -> None:
    present = {each.language: each for each in await toolchains(place)}
    if not present[language].present:
        pytest.skip(f"needs {language}: {present[language].fix}")
    code, tests, wrong = HELLO[language]
    ran = await run(snippet(language, code), place)
    assert (ran.exit_code, ran.stdout) == (0, "42\n"), ran
    passing = tests.replace(" more();", "")
    assert (await run(snippet(language, code, tests=passing), place)).ok
    failing = tests.replace("== 42", "== 41") if language in {"java", "cpp"} else f"{tests}\n{wrong}"
    failed = await run(snippet(language, code, tests=failing.replace(" more();", "")), place)
    assert failed.stage == "run", failed
    assert not failed.ok


async def test_the_tool(place: Settings) -> None:
    unused: Any = None
    bench = Bench(place, unused, unused, unused)
    ran = await run_code(run_code.parse({"language": "python", "code": "print(1)", "files": {"a/b.txt": "c"}}), bench)
    assert (ran.stdout, ran.files) == ("1\n", [])
    assert run_code.effect == "read"
    with pytest.raises(InvalidInput, match="plain relative path"):
        run_code.parse({"language": "python", "code": "1", "files": {"../b": "c"}})
    absent = next((each for each in await toolchains(place) if not each.present), None)
    if absent is not None:
        with pytest.raises(NotInstalled, match=absent.language) as refused:
            await run_code(run_code.parse({"language": absent.language, "code": "1"}), bench)
        assert refused.value.remedy == absent.fix


async def test_packages_come_from_the_list(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, body in {"listed": "WORD = 'from a wheel'", "unlisted": ""}.items():
        _wheel(tmp_path / "wheels", name, body)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "wheels"))
    base = fresh(tmp_path / "home")
    settings = base.model_copy(
        update={"offline": False, "sandbox": base.sandbox.model_copy(update={"packages": ["listed", "absent"]})}
    )
    ran = await run(snippet("python", "import listed; print(listed.WORD)", packages=["listed==1.0"]), settings)
    assert ran.stdout == "from a wheel\n", ran
    for wrong in ("unlisted", "listed @ file:///x.whl", "listed; python_version>'3'", "--index-url=x", "../x"):
        with pytest.raises(InvalidInput):
            await install([wrong], settings)
    with pytest.raises(NotInstalled, match="absent"):
        await install(["absent"], settings)
    with pytest.raises(NotInstalled, match="not cached"):
        await install(["absent"], base.model_copy(update={"sandbox": settings.sandbox}))
    cached = await install(["listed==1.0"], base.model_copy(update={"sandbox": settings.sandbox}))
    assert [each.name for each in cached.parent.glob("*/")] == [cached.name]


def _wheel(folder: Path, name: str, body: str) -> None:
    import zipfile

    folder.mkdir(exist_ok=True)
    info = f"{name}-1.0.dist-info"
    with zipfile.ZipFile(folder / f"{name}-1.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr(f"{name}.py", body)
        wheel.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: x\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/RECORD", "")


@pytest.fixture
def public() -> Iterator[Path]:
    """A folder that a run's own user can reach, unlike pytest's; first on the PATH."""
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        Path(folder).chmod(0o755)
        patch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
        yield Path(folder)


def fake_bubblewrap(folder: Path, script: str) -> None:
    program = folder / "bwrap"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)


def names(folder: Path) -> list[str]:
    return [each.name for each in folder.iterdir()]


SABOTAGE = {
    "network": "--share-net",
    "file of the host": "--ro-bind / /mnt --ro-bind {home} {home}",
    "disk": "--tmpfs /tmp",
    "processes": "--bind /proc /proc",
}


@pytest.mark.parametrize("wall", SABOTAGE)
async def test_a_wall_with_a_hole_is_refused(public: Path, wall: str) -> None:
    """bubblewrap with one wall less: the proof must notice, and nothing may run."""
    real = shutil.which("bwrap", path=os.environ["PATH"].partition(":")[2])
    fake_bubblewrap(
        public,
        "left=$#\nwhile [ $left -gt 0 ]; do\n  word=$1; shift; left=$((left - 1))\n"
        f'  [ "$word" = "--remount-ro" ] && [ "$1" = / ] && set -- "$@" {SABOTAGE[wall].format(home=public)}\n'
        f'  set -- "$@" "$word"\ndone\nexec {real} "$@"',
    )
    with pytest.raises(NotInstalled, match=f"does not isolate.*{wall}") as refused:
        await run(Program(command=["true"], limits=SMALL), fresh(public))
    assert refused.value.remedy


async def test_without_bubblewrap_nothing_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(NotInstalled, match="bubblewrap") as refused:
        await run(Program(command=["true"]), fresh(tmp_path))
    assert "apt-get install bubblewrap" in refused.value.remedy


async def test_a_bubblewrap_that_fails_is_not_gone_around(public: Path, tmp_path: Path) -> None:
    fake_bubblewrap(public, "echo 'No permissions to create a new namespace' >&2; exit 1")
    with pytest.raises(NotInstalled, match="No permissions") as refused:
        await run(Program(command=["touch", str(public / "escaped")]), fresh(tmp_path))
    assert "unprivileged_userns" in refused.value.remedy
    assert names(public) == ["bwrap"]


async def test_the_proof_is_made_once(tmp_path: Path) -> None:
    settings = fresh(tmp_path)
    proof = await prove(settings)
    began = time.perf_counter()
    assert await prove(settings) is proof
    assert time.perf_counter() - began < 0.01
    assert len(proof.probes) >= 7
    assert set(proof.layers) == {"user", "seccomp", "landlock", "cgroup"}


def test_a_filter_is_whole_for_each_machine() -> None:
    """Every jump lands inside, and the last step allows."""
    for machine in ("x86_64", "aarch64"):
        code = seccomp.program(machine, loopback=True)
        steps = [code[at : at + 8] for at in range(0, len(code), 8)]
        assert len(code) % 8 == 0
        assert len(steps) < 4096
        for at, step in enumerate(steps):
            if step[0] & 7 == 5:
                assert at + 1 + max(step[2], step[3]) < len(steps)
        assert steps[-1] == bytes([6, 0, 0, 0, 0, 0, 0xFF, 0x7F])
    assert not seccomp.supported("mips")
