"""One command behind its walls: started, watched, ended."""

import contextlib
import fcntl
import json
import os
import resource
import selectors
import signal
import socket
import time
from typing import NoReturn, TypedDict

from tools.confinement.cgroups import Group
from tools.confinement.job import Limits
from tools.confinement.kernel import die_with_parent, no_new_privileges
from tools.confinement.usage import first_child, measure

STATUS, SECCOMP = 3, 4
_GLANCE = 0.04
_CHUNK = 1 << 16
_FILES_OPEN = 256
# the walls, and the interpreter that puts up the last of them
_SETUP_SECONDS = 30.0
# what is still in the pipes when the last writer is gone
_DRAIN_SECONDS = 0.5


class Abandoned(Exception):
    """The host closed the connection: nobody waits for the answer."""


class Orders(TypedDict):
    """What a waiting process must know to become a command."""

    words: list[str]
    user: int | None
    limits: Limits


class Stage:
    """One process, made before it is needed: it has joined its control group and waits for its orders.

    `walls` is what `inside` said when all stood; without it the command never began. `ended` is bubblewrap's exit code:
    the command's own, or 128 and the number of the signal that ended it.
    """

    def __init__(self, control: Group) -> None:
        self._selector = selectors.DefaultSelector()
        self._open = {"stdout", "stderr", "status"}
        self._texts = {name: bytearray() for name in self._open}
        self._limits: Limits
        self._control = control
        self._closed = False
        self._began = 0.0
        self.truncated = False
        self.killed = ""
        self.ended = 0
        self.wall_seconds = 0.0
        self.cpu_seconds = 0.0
        self.peak_memory = 0
        pipes = {name: os.pipe() for name in ("stdout", "stderr", "status")}
        self._stdin, self._seccomp = os.memfd_create("stdin"), os.memfd_create("seccomp")
        waiting, self._orders = os.pipe()
        ours = os.getpid()
        self._process = os.fork()
        if self._process == 0:
            os.close(self._orders)
            ends = [self._stdin, *(writing for _, writing in pipes.values()), self._seccomp]
            self._become(ends, waiting, ours)
        os.close(waiting)
        for name, (reading, writing) in pipes.items():
            os.close(writing)
            self._selector.register(reading, selectors.EVENT_READ, name)
        self._ending = os.pidfd_open(self._process)
        self._selector.register(self._ending, selectors.EVENT_READ, "ended")

    @property
    def walls(self) -> str:
        return self._texts["status"].decode(errors="replace").strip()

    def output(self, name: str) -> str:
        return self._texts[name].decode(errors="replace")

    def start(self, orders: Orders, stdin: bytes, seccomp: bytes, host: socket.socket) -> None:
        """Become `words`; the filter is handed on as descriptor `SECCOMP`, the way to report as `STATUS`."""
        self._limits = orders["limits"]
        self._selector.register(host, selectors.EVENT_READ, "host")
        for opened, data in ((self._stdin, stdin), (self._seccomp, seccomp)):
            with os.fdopen(os.dup(opened), "wb") as file:
                file.write(data)
            os.lseek(opened, 0, os.SEEK_SET)
        self._began = time.monotonic()
        with os.fdopen(self._orders, "wb") as file:
            file.write(json.dumps(orders).encode())
        self._orders = -1

    def _become(self, ends: list[int], waiting: int, keeper: int) -> NoReturn:
        try:
            # out of the way first, so that none is overwritten before it has been handed on
            moved = [fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, 32) for end in (*ends, waiting)]
            for number, end in enumerate(moved[:-1]):
                os.dup2(end, number)
            os.setpgid(0, 0)
            self._control.join()
            with os.fdopen(moved[-1], "rb") as file:
                text = file.read()
            if not text:
                os._exit(0)
            orders: Orders = json.loads(text)
            _limit(orders["limits"])
            user, words = orders["user"], orders["words"]
            if user is not None:
                os.setgroups([])
                os.setresgid(user, user, user)
                os.setresuid(user, user, user)
            die_with_parent(signal.SIGKILL)
            if os.getppid() != keeper:
                os._exit(0)
            no_new_privileges()
            os.execve(words[0], words, {})  # noqa: S606 - a list of arguments, no shell
        except BaseException as error:  # noqa: BLE001 - a forked child must never return into its parent's code
            os.write(2, f"bubblewrap could not be started: {error}\n".encode())
        finally:
            os._exit(125)

    def watch(self) -> None:
        """Read what it says and hold it to its limits until it ends; raises `Abandoned` when the host leaves."""
        glance = 0.0
        while not self._ended():
            self._read(_GLANCE)
            now = time.monotonic()
            if now >= glance:
                glance = now + _GLANCE
                self._look(now)
            if self.truncated:
                self.killed = self.killed or "output"
            if self.killed:
                self._kill()
        self.wall_seconds = time.monotonic() - self._began

    def _ended(self) -> bool:
        """Reap it if it has ended."""
        process, status, used = os.wait4(self._process, os.WNOHANG)
        if not process:
            return False
        self._process = 0
        # it would be ready for ever
        self._selector.unregister(self._ending)
        os.close(self._ending)
        self.ended = os.waitstatus_to_exitcode(status)
        self.cpu_seconds = max(self.cpu_seconds, used.ru_utime + used.ru_stime)
        # a run may be over before anybody looked; this is at least its largest process
        self.peak_memory = max(self.peak_memory, used.ru_maxrss * 1024)
        return True

    def _read(self, seconds: float) -> None:
        for key, _ in self._selector.select(seconds):
            if key.data == "host":
                raise Abandoned
            if key.data == "ended":
                continue
            chunk = os.read(key.fd, _CHUNK)
            if not chunk:
                self._selector.unregister(key.fd)
                os.close(key.fd)
                self._open.discard(key.data)
                continue
            if key.data == "status":
                # the clock of the command starts when its walls stand
                self._began = time.monotonic()
            self._keep(key.data, chunk)

    def _keep(self, name: str, chunk: bytes) -> None:
        text = self._texts[name]
        room = self._limits["output_bytes"] - len(text)
        text += chunk[:room]
        self.truncated = self.truncated or len(chunk) > room

    def _look(self, now: float) -> None:
        """Whether time, memory or processor are used up."""
        allowed = self._limits["seconds"] if self.walls else _SETUP_SECONDS
        if now - self._began > allowed:
            self.killed = self.killed or "timeout"
        first = first_child(self._process)
        if first is None or not self.walls:
            return
        used = measure(first, self._limits["memory"])
        self.peak_memory = max(self.peak_memory, used.memory)
        self.cpu_seconds = max(self.cpu_seconds, used.cpu_seconds)
        # the kernel ends one process of a group that is too large; the others may then wait for it until time is up
        if used.memory > self._limits["memory"] or self._control.starved():
            self.killed = self.killed or "memory"
        elif used.cpu_seconds > self._limits["cpu_seconds"]:
            self.killed = self.killed or "cpu"

    def _kill(self) -> None:
        """The first process of the namespace takes all others with it; the monitor outside is killed too."""
        for process in (first_child(self._process), self._process):
            if process:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(process, signal.SIGKILL)

    def close(self) -> None:
        """End whatever is left, empty the pipes, and wait for orphans, which come to the keeper. Twice does no harm."""
        if self._closed:
            return
        self._closed = True
        if self._orders >= 0:
            os.close(self._orders)
        for each in (self._stdin, self._seccomp):
            os.close(each)
        if self._process:
            self._kill()
        deadline = time.monotonic() + _DRAIN_SECONDS
        while self._open and time.monotonic() < deadline:
            with contextlib.suppress(Abandoned):
                self._read(0.02)
        for key in list(self._selector.get_map().values()):
            if key.data != "host" and isinstance(key.fileobj, int):
                os.close(key.fileobj)
        self._selector.close()
        with contextlib.suppress(ChildProcessError):
            while orphan := first_child(os.getpid()):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(orphan, signal.SIGKILL)
                os.waitpid(orphan, 0)


def _limit(limits: Limits) -> None:
    """What one process may use; the sum over all is the keeper's and the control group's to watch."""
    seconds = int(limits["cpu_seconds"]) + 1
    for which, soft, hard in (
        (resource.RLIMIT_CORE, 0, 0),
        (resource.RLIMIT_CPU, seconds, seconds + 2),
        (resource.RLIMIT_FSIZE, limits["file_bytes"], limits["file_bytes"]),
        # not the address space: Java, Go and V8 reserve far more of it than they use
        (resource.RLIMIT_DATA, limits["memory"], limits["memory"]),
        (resource.RLIMIT_NOFILE, _FILES_OPEN, _FILES_OPEN),
        (resource.RLIMIT_MEMLOCK, 1 << 16, 1 << 16),
        (resource.RLIMIT_MSGQUEUE, 0, 0),
    ):
        _, most = resource.getrlimit(which)
        most = hard if most < 0 else min(hard, most)
        resource.setrlimit(which, (min(soft, most), most))
