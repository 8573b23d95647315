"""The warden: one small process that forks a keeper for every run and knows nothing of what its host knows.

It is started with a socket. Each message brings two descriptors: the connection of one run, and the lock of its place,
which its keeper holds until the run is gone. A closed connection ends a run, a closed socket ends the warden.
"""

import contextlib
import ctypes
import json
import os
import signal
import socket
import struct
import sys

from tools.confinement.job import Job
from tools.confinement.keeper import keep
from tools.confinement.stage import Abandoned

LENGTH = struct.Struct("!Q")
_MOST_BYTES = 1 << 30
_PR_SET_CHILD_SUBREAPER = 36


def serve(host: socket.socket) -> None:
    """Fork a keeper per message until the host closes the socket."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    while True:
        try:
            message, descriptors, _, _ = socket.recv_fds(host, 1, 2)
        except InterruptedError:
            continue
        if not message:
            return
        if os.fork() == 0:
            host.close()
            try:
                _keep(socket.socket(fileno=descriptors[0]))
            finally:
                os._exit(0)
        for each in descriptors:
            os.close(each)


def _keep(connection: socket.socket) -> None:
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    os.setsid()
    # whoever outlives bubblewrap becomes our child, and is waited for
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    with contextlib.suppress(Abandoned, ConnectionError, EOFError):
        try:
            report = json.dumps(keep(_receive(connection), connection))
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
