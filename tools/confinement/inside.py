"""The first thing behind the walls: close the last doors, then become the command. It imports nothing of ours,
and of the standard library only what starts fast.

`python -I -S inside.py STATUS PROCESSES LOOPBACK COUNT NAME=VALUE... COMMAND...`: STATUS is a descriptor on which the
keeper learns that the command began, COUNT that of the variables. Landlock's structures and bits are those of Linux's
`linux/landlock.h`.
"""

import ctypes
import os
import sys

_READABLE = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/etc", "/opt", "/proc")
_WRITABLE = ("/work", "/build", "/tmp", "/dev")  # noqa: S108 - the sandbox's own

_NICE = 5
_RLIMIT_NPROC = 6

_CREATE, _ADD_RULE, _RESTRICT = 444, 445, 446
_VERSION_FLAG, _PATH_BENEATH = 1, 1
_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR = 1 << 0, 1 << 1, 1 << 2, 1 << 3
_REFER, _TRUNCATE, _IOCTL_DEVICE = 1 << 13, 1 << 14, 1 << 15
_BIND_TCP, _CONNECT_TCP = 1 << 0, 1 << 1
_SCOPE_ABSTRACT_SOCKETS, _SCOPE_SIGNALS = 1 << 0, 1 << 1
# what each version of the interface added to the first thirteen rights
_RIGHTS = {1: (1 << 13) - 1, 2: _REFER, 3: _TRUNCATE, 5: _IOCTL_DEVICE}


def landlock() -> int:
    """The version of the kernel's Landlock interface; 0 where it has none."""
    try:
        return _syscall(_CREATE, None, 0, _VERSION_FLAG)
    except OSError:
        return 0


def _restrict(*, loopback: bool) -> int:
    """Leave this process and all that it starts only the sandbox's own paths; returns Landlock's version.

    Needs `no_new_privs`, which bubblewrap has set.
    """
    known = landlock()
    if not known:
        return 0
    rights = sum(bits for since, bits in _RIGHTS.items() if since <= known)
    fields = [rights]
    if known >= 4:
        fields.append(0 if loopback else _BIND_TCP | _CONNECT_TCP)
    if known >= 6:
        fields.append(_SCOPE_ABSTRACT_SOCKETS | _SCOPE_SIGNALS)
    attributes = b"".join(each.to_bytes(8, "little") for each in fields)
    ruleset = _syscall(_CREATE, attributes, len(attributes), 0)
    for path in _READABLE:
        _allow(ruleset, path, (_EXECUTE | _READ_FILE | _READ_DIR) & rights)
    # what the root holds may be listed, and lies in the sandbox anyway
    _allow(ruleset, "/", _READ_DIR & rights)
    for path in _WRITABLE:
        _allow(ruleset, path, rights)
    _syscall(_RESTRICT, ruleset, 0)
    os.close(ruleset)
    return known


def _allow(ruleset: int, path: str, rights: int) -> None:
    try:
        opened = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    rule = rights.to_bytes(8, "little") + opened.to_bytes(4, "little")
    _syscall(_ADD_RULE, ruleset, _PATH_BENEATH, rule, 0)
    os.close(opened)


def _syscall(number: int, *arguments: int | bytes | None) -> int:
    libc = ctypes.CDLL(None, use_errno=True)
    words = (ctypes.c_long(each) if isinstance(each, int) else each for each in arguments)
    result: int = libc.syscall(ctypes.c_long(number), *words)
    if result < 0:
        raise OSError(ctypes.get_errno(), f"system call {number}: {os.strerror(ctypes.get_errno())}")
    return result


def main() -> None:
    """The limit of processes is set here because the kernel counts it per user namespace, and this is the new one."""
    status, processes, loopback, count = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3] == "1", int(sys.argv[4])
    given, command = sys.argv[5 : 5 + count], sys.argv[5 + count :]
    os.set_inheritable(status, False)
    limit = (ctypes.c_ulong * 2)(processes, processes)
    if ctypes.CDLL(None).setrlimit(_RLIMIT_NPROC, limit):
        sys.exit("the limit of processes could not be set")
    version = _restrict(loopback=loopback)
    os.nice(_NICE)
    os.write(status, f"{version}\n".encode())
    try:
        os.execvpe(command[0], command, {**os.environ, **dict(each.split("=", 1) for each in given)})  # noqa: S606 - a list of arguments, no shell
    except OSError as error:
        sys.stderr.write(f"{command[0]}: {error.strerror}\n")
        sys.exit(127 if isinstance(error, FileNotFoundError) else 126)


if __name__ == "__main__":
    main()
