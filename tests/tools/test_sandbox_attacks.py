"""The battery: code that tries to get out, to stay, or to take more than its share. The host is the same afterwards."""

import asyncio
import os
import re
import socket
import tempfile
import textwrap
import time
from collections.abc import Callable, Iterator

import psutil
import pytest

from tests.tools.sandboxed import SECRET, SMALL, Host, fresh, needs_bubblewrap, settle, unchanged
from tools.sandbox import Program, Ran, run
from tools.sandbox.proof import prove

pytestmark = [pytest.mark.anyio, needs_bubblewrap]


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Host:
    folder = tmp_path_factory.mktemp("secrets")
    secret = folder / "secret.txt"
    secret.write_text(SECRET)
    return Host(fresh(tmp_path_factory.mktemp("home"), parallel=20), secret)


@pytest.fixture(autouse=True)
async def same_host(host: Host) -> None:
    await prove(host.settings)


async def held(host: Host, code: str, **how: object) -> Ran:
    """Run an attack; the host must be the same after it."""
    with unchanged(host):
        return await host.python(textwrap.dedent(code), **how)  # type: ignore[arg-type]


# each tries one thing and prints what came of it; the pattern is what a standing wall makes it print
REFUSED: dict[str, tuple[str, str]] = {
    "host file": ("open(SECRET_FILE).read()", "FileNotFoundError"),
    "shadow": ("open('/etc/shadow').read()", "FileNotFoundError"),
    "home folders": ("import os; os.listdir('/root') + os.listdir('/home')", "FileNotFoundError"),
    "writing to /usr": ("open('/usr/bin/mine', 'w')", "OSError|PermissionError"),
    "writing to /": ("open('/mine', 'w')", "OSError|PermissionError"),
    "writing to /dev": ("open('/dev/mine', 'w')", "OSError|PermissionError"),
    "writing to the interpreter": ("import os; open(os.__file__, 'a')", "OSError|PermissionError"),
    "a disk": ("import os; os.mknod('disk', 0o60600, os.makedev(254, 0))", "PermissionError"),
    "sysrq": ("open('/proc/sysrq-trigger', 'w').write('b')", "OSError|PermissionError|FileNotFoundError"),
    "kernel settings": (
        "open('/proc/sys/kernel/core_pattern', 'w').write('x')",
        "OSError|PermissionError|FileNotFoundError",
    ),
    "root of another process": ("import os; os.listdir('/proc/1/root/')", "PermissionError"),
    "core file": ("import resource; resource.setrlimit(resource.RLIMIT_CORE, (1 << 20, 1 << 20))", "ValueError"),
    "more processes": ("import resource as r; r.setrlimit(r.RLIMIT_NPROC, (5000, 5000))", "ValueError"),
    "tcp": ("import socket; socket.create_connection(('127.0.0.1', PORT), 2)", "PermissionError"),
    "udp": ("import socket; socket.socket(2, 2).sendto(b'x', ('127.0.0.1', PORT))", "PermissionError"),
    "names": ("import socket; socket.getaddrinfo('example.com', 80)", "gaierror"),
    "vsock": ("import socket; socket.socket(40, 1).connect((2, 1))", "PermissionError"),
    "packets": ("import socket; socket.socket(17, 3)", "PermissionError"),
    "netlink": ("import socket; socket.socket(16, 3)", "PermissionError"),
    "unix socket of the host": ("import socket; s = socket.socket(1); s.connect(SOCKET)", "FileNotFoundError"),
    "abstract socket of the host": (
        "import socket; s = socket.socket(1); s.connect('\\0sutradhar-attack')",
        "ConnectionRefusedError|PermissionError",
    ),
    "host user": ("import os; os.setuid(0)", "PermissionError|OSError"),
    "kill of pid 1": (
        "import os, time; os.kill(1, 9); time.sleep(.2); raise ValueError('alive')",
        "alive|PermissionError",
    ),
    "pushing terminal input": ("import fcntl; fcntl.ioctl(0, 0x5412, b'x')", "PermissionError"),
}

# system calls with arguments that would do something if they were let through
CALLS = {
    "unshare users": "libc.unshare(0x10000000)",
    "unshare mounts": "libc.unshare(0x20000)",
    "clone with a user namespace": "libc.syscall(56, 0x10000011, 0, 0, 0, 0)",
    "clone3": "libc.syscall(435, 0, 0)",
    "setns": "libc.setns(os.open('/proc/self/ns/mnt', 0), 0)",
    "mount": "libc.mount(b'tmpfs', b'/tmp', b'tmpfs', 0, 0)",
    "unmount": "libc.umount2(b'/usr', 2)",
    "pivot_root": "libc.syscall(155, b'/tmp', b'/tmp')",
    "chroot": "libc.chroot(b'/tmp')",
    "ptrace": "libc.ptrace(16, 1, 0, 0)",
    "reading another's memory": "libc.syscall(310, 1, 0, 0, 0, 0, 0)",
    "bpf": "libc.syscall(321, 0, 0, 0)",
    "io_uring": "libc.syscall(425, 4, ctypes.create_string_buffer(256))",
    "keyctl": "libc.syscall(250, 0, -3, 1)",
    "add_key": "libc.syscall(248, b'user', b'x', b'y', 1, -3)",
    "userfaultfd": "libc.syscall(323, 1)",
    "perf": "libc.syscall(298, ctypes.create_string_buffer(128), 0, -1, -1, 0)",
    "memfd": "libc.syscall(319, b'x', 0)",
    "shared memory segment": "libc.shmget(0, 1 << 30, 0o1600)",
    "open by handle": "libc.syscall(304, 3, 0, 0)",
    "kernel module": "libc.syscall(175, 0, 0, b'')",
    "reboot": "libc.syscall(169, 0xfee1dead, 672274793, 0x89ABCDEF, 0)",
    "fsopen": "libc.syscall(430, b'tmpfs', 0)",
    "personality": "libc.syscall(135, 0x0040000)",
}


@pytest.fixture(scope="module")
def doors() -> Iterator[dict[str, str]]:
    """Sockets of the host that listen, TCP, UDP and local: nothing may come."""
    with tempfile.TemporaryDirectory() as folder, socket.create_server(("127.0.0.1", 0)) as tcp:
        port = tcp.getsockname()[1]
        udp, local, abstract = (socket.socket(*kind) for kind in ((2, 2), (1, 1), (1, 1)))
        with udp, local, abstract:
            udp.bind(("127.0.0.1", port))
            for door, address in ((local, f"{folder}/door"), (abstract, "\0sutradhar-attack")):
                door.bind(address)
                door.listen()
            yield {"PORT": str(port), "SOCKET": repr(f"{folder}/door")}
            for each in (tcp, udp, local, abstract):
                each.setblocking(False)
                with pytest.raises(BlockingIOError):
                    each.recv(1) if each is udp else each.accept()


@pytest.mark.parametrize("name", REFUSED)
async def test_it_is_refused(host: Host, doors: dict[str, str], name: str) -> None:
    code, wall = REFUSED[name]
    for word, value in doors.items():
        code = re.sub(rf"\b{word}\b", value, code)
    ran = await held(host, f"{code}\nprint('got through')")
    assert ran.exit_code == 1, ran
    assert re.search(wall, ran.stderr.splitlines()[-1]), ran.stderr
    assert SECRET not in ran.stdout + ran.stderr


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="the numbers are those of x86_64")
async def test_system_calls_are_refused(host: Host) -> None:
    lines = "\n".join(f"tried({name!r}, lambda: {call})" for name, call in CALLS.items())
    code = (
        "import ctypes, errno, os\nlibc = ctypes.CDLL(None, use_errno=True)\ndef tried(name, call):\n"
        "    answer = call()\n    print(name, answer, errno.errorcode.get(ctypes.get_errno()), sep=': ')\n" + lines
    )
    ran = await held(host, code)
    answers = {line.split(": ")[0]: line.split(": ", 1)[1] for line in ran.stdout.splitlines()}
    expected = {name: "-1: ENOSYS" if name == "clone3" else "-1: EPERM" for name in CALLS}
    assert answers == expected, ran.stderr


async def test_loopback_is_ones_own(host: Host, doors: dict[str, str]) -> None:
    code = """
        import socket
        with socket.create_server(("127.0.0.1", 0)) as own:
            socket.create_connection(own.getsockname(), 2).close()
        print("own")
        for port in (PORT, 80):
            try:
                socket.create_connection(("127.0.0.1", port), 2)
                print("host")
            except OSError:
                pass
    """
    ran = await held(host, code.replace("PORT", doors["PORT"]), loopback=True)
    assert (ran.exit_code, ran.stdout) == (0, "own\n"), ran


async def test_the_environment_is_not_handed_on(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ATTACK_CANARY", SECRET)
    ran = await held(
        host,
        """
        import os, pathlib
        for each in pathlib.Path("/proc").glob("[0-9]*/environ"):
            print(each, each.read_text())
        print(os.environ)
        """,
    )
    assert "/proc/1/environ" in ran.stdout + ran.stderr
    assert SECRET not in ran.stdout


async def test_only_own_processes_are_seen(host: Host) -> None:
    ran = await held(host, "import os; print(sorted(int(each) for each in os.listdir('/proc') if each.isdigit()))")
    assert len(ran.stdout.split(",")) <= 3, ran.stdout


async def test_no_descriptor_leaks_in(host: Host) -> None:
    ran = await held(
        host, "import os; print([os.readlink(f'/proc/self/fd/{each}') for each in os.listdir('/proc/self/fd')])"
    )
    names = re.findall(r"'([^']+)'", ran.stdout)
    assert all(name.startswith(("pipe:", "/memfd:", "/proc/")) for name in names), names
    assert len(names) <= 4


# (code, what it must end as); `held` says in words what the program itself saw
TAKING: dict[str, tuple[str, Callable[[Ran], bool]]] = {
    "fork bomb": (
        "import os\nwhile True:\n    try:\n        os.fork()\n    except OSError:\n        pass",
        lambda ran: ran.killed in {"timeout", "cpu"},
    ),
    "processes": (
        "import os, time\nn = 0\ntry:\n    while os.fork():\n        n += 1\n    time.sleep(60)\n"
        "except OSError:\n    print(n)",
        lambda ran: 0 < int(ran.stdout or 0) < SMALL.processes,
    ),
    "threads": (
        "import threading, time\nn = 0\ntry:\n    while True:\n"
        "        threading.Thread(target=time.sleep, args=(9,), daemon=True).start()\n"
        "        n += 1\nexcept RuntimeError:\n    print(n)",
        lambda ran: 0 < int(ran.stdout or 0) < SMALL.processes,
    ),
    "memory": ("x = []\nwhile True:\n    x.append(bytearray(1 << 22))", lambda ran: "MemoryError" in ran.stderr),
    "memory of many": (
        "import os, time\nfor _ in range(8):\n    if os.fork() == 0:\n        x = bytes(range(256)) * (60 << 12)\n"
        "        time.sleep(60)\ntime.sleep(60)",
        lambda ran: ran.killed == "memory",
    ),
    "shared memory": (
        "import mmap\nx = mmap.mmap(-1, 1 << 30)\nfor at in range(0, 1 << 30, 4096):\n    x[at] = 1",
        lambda ran: ran.killed == "memory",
    ),
    "shared memory of a child": (
        "import mmap, os, time\nif os.fork() == 0:\n    x = mmap.mmap(-1, 1 << 30)\n"
        "    for at in range(0, 1 << 30, 4096):\n        x[at] = 1\ntime.sleep(60)",
        lambda ran: ran.killed == "memory" and ran.wall_seconds < 2,
    ),
    "disk": (
        "import itertools\ntry:\n    for n in itertools.count():\n"
        "        open(f'/tmp/{n}', 'wb').write(b'x' * (1 << 20))\n"
        "except OSError as e:\n    print(n, e.errno)",
        lambda ran: ran.stdout.split() == ["15", "28"] or ran.stdout.split() == ["16", "28"],
    ),
    "shared memory folder": (
        "import itertools\ntry:\n    for n in itertools.count():\n"
        "        open(f'/dev/shm/{n}', 'wb').write(b'x' * (1 << 20))\n"
        "except OSError as e:\n    print(n, e.errno)",
        lambda ran: ran.stdout.split()[0] in {"15", "16"},
    ),
    "one large file": (
        "import signal\nsignal.signal(signal.SIGXFSZ, signal.SIG_IGN)\ntry:\n    f = open('big', 'wb', 0)\n"
        "    while True:\n"
        "        f.write(b'x' * (1 << 20))\nexcept OSError as e:\n    print(e.errno)",
        lambda ran: ran.stdout.strip() == "27" and ran.files[0].size == SMALL.file_bytes,
    ),
    "many files": (
        "import itertools\ntry:\n    for n in itertools.count():\n        open(f'/tmp/{n}', 'w').close()\n"
        "except OSError as e:\n    print(n, e.errno)",
        lambda ran: int(ran.stdout.split()[0]) < 20_000 and ran.stdout.split()[1] == "28",
    ),
    "endless output": ("while True:\n    print('x' * 1000)", lambda ran: ran.killed == "output" and ran.truncated),
    "endless errors": (
        "import sys\nwhile True:\n    sys.stderr.write('x' * 1000)",
        lambda ran: ran.killed == "output" and len(ran.stderr) == SMALL.output_bytes,
    ),
    "sleep": ("import time; time.sleep(60)", lambda ran: ran.killed == "timeout" and ran.wall_seconds < 5),
    "busy processes": (
        "import os\nfor _ in range(6):\n    if os.fork() == 0:\n        break\nwhile True:\n    pass",
        lambda ran: ran.killed in {"cpu", "timeout"} and ran.cpu_seconds < 2 * SMALL.cpu_seconds + 2,
    ),
    "deaf to signals": (
        "import signal, time\nfor n in set(signal.Signals) - {9, 19}:\n    signal.signal(n, signal.SIG_IGN)\n"
        "time.sleep(60)",
        lambda ran: ran.killed == "timeout",
    ),
    "daemon": (
        "import os, time\nif os.fork() == 0:\n    os.setsid()\n    if os.fork() == 0:\n"
        "        os.close(0); os.close(1); os.close(2)\n"
        "        time.sleep(600)\n    os._exit(0)\nprint('left')",
        lambda ran: ran.ok and ran.stdout == "left\n",
    ),
    "daemon that keeps the pipe": (
        "import os, time\nif os.fork() == 0:\n    os.setsid()\n    time.sleep(600)\nprint('left')",
        lambda ran: ran.ok and ran.wall_seconds < 3,
    ),
    "kill of all": ("import os, signal\nos.kill(-1, signal.SIGKILL)", lambda ran: not ran.killed),
    "setuid programs": (
        "import os, shutil, subprocess\nfor each in ('su', 'mount', 'passwd'):\n"
        "    if shutil.which(each): print(subprocess.run([each, '--help'], capture_output=True).returncode)\n"
        "shutil.copy('/usr/bin/id', 'id'); os.chmod('id', 0o6755)\n"
        "print(subprocess.run(['./id', '-u'], capture_output=True, text=True).stdout)",
        lambda ran: ran.stdout.split()[-1] == "1000",
    ),
    "core dump": ("import os; os.abort()", lambda ran: ran.signal == "SIGABRT" and ran.files == []),
    "links out": (
        "import os\nos.symlink(SECRET_FILE, 'link'); os.symlink('/etc', 'folder'); os.mkfifo('pipe')\n"
        "open('own', 'w').write('x')",
        lambda ran: [each.path for each in ran.files] == ["own"],
    ),
    "deep folders": (
        "import os\nfor _ in range(3000):\n    os.mkdir('d'); os.chdir('d')\nopen('x', 'w').write('x')",
        lambda ran: ran.ok and ran.files == [],
    ),
    "odd names": (
        "import os\nopen(b'\\xff\\xfe', 'w').close(); open('a\\nb', 'w').close(); open('x' * 255, 'w').close()",
        lambda ran: ran.ok and len(ran.files) == 3,
    ),
}


WAITING = {"fork bomb", "sleep", "busy processes", "deaf to signals"}


@pytest.mark.parametrize("name", TAKING)
async def test_it_takes_no_more_than_its_share(host: Host, name: str) -> None:
    code, as_it_should = TAKING[name]
    began = time.monotonic()
    limits = SMALL.model_copy(update={"seconds": 1.0, "cpu_seconds": 1.0}) if name in WAITING else SMALL
    ran = await held(host, code, limits=limits)
    assert as_it_should(ran), ran
    assert time.monotonic() - began < SMALL.seconds + 12
    assert len(ran.stdout) <= SMALL.output_bytes


async def test_a_huge_input_is_read_or_left(host: Host) -> None:
    text = "x" * (8 << 20)
    assert (await held(host, "import sys; print(len(sys.stdin.read()))", stdin=text)).stdout == f"{len(text)}\n"
    assert (await held(host, "print('unread')", stdin=text)).stdout == "unread\n"


async def test_two_runs_do_not_see_each_other(host: Host) -> None:
    writer = host.python(
        "import time; open('/tmp/mine', 'w').write('mine'); open('mine', 'w').write('x'); time.sleep(1.5)"
    )
    reader = host.python(
        "import os, time, pathlib; time.sleep(1)\n"
        "print([os.path.exists(each) for each in ('/tmp/mine', os.path.abspath('mine'), '/dev/shm/mine')])\n"
        "print(len([each for each in os.listdir('/proc') if each.isdigit()]))"
    )
    with unchanged(host):
        _, seen = await asyncio.gather(writer, reader)
    assert seen.stdout.splitlines()[0] == "[False, False, False]"
    assert int(seen.stdout.splitlines()[1]) <= 3


async def test_each_run_has_its_own_user(host: Host) -> None:
    if os.geteuid() != 0:
        pytest.skip("needs root: others run as the host's user, in a user namespace")
    code = "import time; print(open('/proc/self/uid_map').read().split()); time.sleep(1)"
    runs = [asyncio.ensure_future(host.python(code)) for _ in range(3)]
    await asyncio.sleep(0.8)
    seen = {each.uids().real for each in psutil.process_iter() if each.is_running()}
    await asyncio.gather(*runs)
    assert len({uid for uid in seen if uid >= host.settings.sandbox.first_uid}) == 3


async def test_a_caller_who_leaves_ends_the_run(host: Host) -> None:
    with unchanged(host):
        task = asyncio.ensure_future(
            host.python("import time; time.sleep(60)", limits=SMALL.model_copy(update={"seconds": 60}))
        )
        await asyncio.sleep(1)
        began = time.monotonic()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await settle()
        assert time.monotonic() - began < 2


async def test_others_are_steady_beside_twenty_bombs(host: Host) -> None:
    bombs = [TAKING[name][0] for name in ("fork bomb", "memory", "endless output", "disk")] * 5
    crowd = [asyncio.ensure_future(host.python(code)) for code in bombs[:19]]
    waits = []
    with unchanged(host):
        for _ in range(5):
            began = time.perf_counter()
            ran = await host.python("print('steady')", limits=SMALL.model_copy(update={"seconds": 30}))
            waits.append(time.perf_counter() - began)
            assert ran.stdout == "steady\n", ran
        ended = await asyncio.gather(*crowd)
    assert all(not ran.ok or ran.stdout for ran in ended)
    assert sorted(waits)[2] < 10


async def test_files_cannot_be_put_outside(host: Host) -> None:
    for path in ("../x", "/etc/x", "a/../../x", "a//b", ".", "", "a\0b", "x" * 300):
        with pytest.raises(ValueError, match=r"plain relative path|too long"):
            Program(files={path: "x"}, command=["true"])


async def test_a_given_file_is_not_followed_out(host: Host) -> None:
    """The build leaves a link where the run's report would read."""
    program = Program(
        files={"main.py": "x"},
        build=["sh", "-c", f"rm main.py; ln -s {host.secret} main.py; ln -s / all"],
        command=["sh", "-c", "cat main.py"],
        limits=SMALL,
    )
    with unchanged(host):
        ran = await run(program, host.settings)
    assert ran.exit_code == 1
    assert ran.files == []
