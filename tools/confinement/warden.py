"""The warden: one small process that forks a keeper for every run and knows nothing of what its host knows.

It is started with a socket. Each message brings two descriptors: the connection of one run, and the lock of its place,
which its keeper holds until the run is gone. A closed connection ends a run, a closed socket ends the warden.
One keeper is always forked ahead of its run, because namespaces and control groups make one wait.
"""

import contextlib
import ctypes
import json
import os
import signal
import socket
import struct
import sys

from tools.confinement import seccomp
from tools.confinement.job import Job
from tools.confinement.keeper import Prepared, keep, prepare
from tools.confinement.stage import Abandoned
from tools.confinement.workspace import compiled

LENGTH = struct.Struct("!Q")
_MOST_BYTES = 1 << 30
_PR_SET_CHILD_SUBREAPER = 36


def serve(host: socket.socket) -> None:
    """Hand each run to a keeper that is ready, and make the next one ready, until the host closes the socket."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    # a host as root may have become a real-time process (an AV1 encoder does that), which no control group takes in
    os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
    _warm_up()
    spare = _spare(host)
    while True:
        message, descriptors, _, _ = socket.recv_fds(host, 1, 2)
        if not message:
            return
        try:
            socket.send_fds(spare, [message], descriptors)
        except OSError:
            # it was killed while it waited
            spare.close()
            spare = _spare(host)
            socket.send_fds(spare, [message], descriptors)
        for each in descriptors:
            os.close(each)
        spare.close()
        spare = _spare(host)


def _warm_up() -> None:
    """What every keeper would make again, it inherits."""
    compiled()
    if seccomp.supported(os.uname().machine):
        seccomp.program(os.uname().machine, loopback=False)


def _spare(host: socket.socket) -> socket.socket:
    """A forked keeper; it takes one run from the socket and ends."""
    ours, theirs = socket.socketpair()
    if os.fork() == 0:
        host.close()
        ours.close()
        try:
            _keep(theirs)
        finally:
            os._exit(0)
    theirs.close()
    return ours


def _keep(warden: socket.socket) -> None:
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    os.setsid()
    # whoever outlives bubblewrap becomes our child, and is waited for
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    prepared, failure = None, ""
    try:
        prepared = prepare()
    except OSError as error:
        failure = str(error)
    try:
        message, descriptors, _, _ = socket.recv_fds(warden, 1, 2)
        if message:
            _serve_one(prepared, failure, socket.socket(fileno=descriptors[0]))
    finally:
        if prepared is not None:
            prepared.close()


def _serve_one(prepared: Prepared | None, failure: str, connection: socket.socket) -> None:
    with contextlib.suppress(Abandoned, ConnectionError, EOFError):
        job = _receive(connection)
        try:
            report = json.dumps({"failed": failure} if prepared is None else keep(prepared, job, connection))
        except (OSError, ValueError) as error:
            report = json.dumps({"failed": str(error) or type(error).__name__})
        data = report.encode()
        connection.sendall(LENGTH.pack(len(data)) + data)


def _receive(connection: socket.socket) -> Job:
    size = LENGTH.unpack(_exactly(connection, LENGTH.size))[0]
    if size > _MOST_BYTES:
        raise ValueError(f"a job of {size} bytes")
    job: Job = json.loads(_exactly(connection, size))
    return job


def _exactly(connection: socket.socket, size: int) -> bytes:
    data = bytearray()
    while len(data) < size:
        chunk = connection.recv(min(size - len(data), 1 << 20))
        if not chunk:
            raise EOFError
        data += chunk
    return bytes(data)


if __name__ == "__main__":
    serve(socket.socket(fileno=int(sys.argv[1])))
