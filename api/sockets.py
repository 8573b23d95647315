"""The listening socket of a host."""

import socket

from tools.errors import Conflict


def listen(host: str, port: int, *, backlog: int = 512) -> socket.socket:
    """A bound TCP socket; port 0 takes a free one. Raises `Conflict` for a port that is in use.

    The protocol is named on purpose: asyncio turns Nagle's algorithm off only for sockets that say they are TCP, and
    with it on every small answer waits 40 ms for the client's delayed acknowledgement.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((host, port))
        listening.listen(backlog)
    except OSError as error:
        listening.close()
        raise Conflict(
            f"{host}:{port} cannot be listened on: {error.strerror}.",
            remedy="Set SUTRADHAR_SERVER__PORT to another port, or to 0 for a free one.",
        ) from error
    return listening
