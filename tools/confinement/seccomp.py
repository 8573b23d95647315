"""A seccomp filter, as the classic BPF program that bubblewrap loads.

Assembled here because the bindings of libseccomp are LGPL, need the library on the machine, and what is refused is one
flat list. Numbers are from Linux's `asm/unistd_64.h` and `asm-generic/unistd.h`; the layout of `struct seccomp_data` is
number, architecture, instruction pointer, six arguments of eight bytes (little-endian).
"""

import errno
import socket
import struct
from functools import cache

_LOAD, _EQUAL, _GREATER_EQUAL, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_ALLOW, _ERRNO, _KILL_PROCESS = 0x7FFF0000, 0x00050000, 0x80000000
_NUMBER, _ARCHITECTURE, _FIRST, _SECOND = 0, 4, 16, 24
_X32 = 0x40000000

# (x86_64, aarch64); -1 where the architecture does not have it
_REFUSED = {
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "process_madvise": (440, 440),
    "pidfd_getfd": (438, 438),
    "kcmp": (312, 272),
    "mount": (165, 40),
    "umount2": (166, 39),
    "pivot_root": (155, 41),
    "chroot": (161, 51),
    "open_tree": (428, 428),
    "move_mount": (429, 429),
    "fsopen": (430, 430),
    "fsconfig": (431, 431),
    "fsmount": (432, 432),
    "fspick": (433, 433),
    "mount_setattr": (442, 442),
    "unshare": (272, 97),
    "setns": (308, 268),
    "bpf": (321, 280),
    "perf_event_open": (298, 241),
    "add_key": (248, 217),
    "request_key": (249, 218),
    "keyctl": (250, 219),
    "userfaultfd": (323, 282),
    "io_uring_setup": (425, 425),
    "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427),
    "kexec_load": (246, 104),
    "kexec_file_load": (320, 294),
    "init_module": (175, 105),
    "finit_module": (313, 273),
    "delete_module": (176, 106),
    "reboot": (169, 142),
    "swapon": (167, 224),
    "swapoff": (168, 225),
    "acct": (163, 89),
    "quotactl": (179, 60),
    "quotactl_fd": (443, 443),
    "syslog": (103, 116),
    "settimeofday": (164, 170),
    "clock_settime": (227, 112),
    "iopl": (172, -1),
    "ioperm": (173, -1),
    "modify_ldt": (154, -1),
    "name_to_handle_at": (303, 264),
    "open_by_handle_at": (304, 265),
    "vhangup": (153, 58),
    "personality": (135, 92),
    "fanotify_init": (300, 262),
    "move_pages": (279, 239),
    "migrate_pages": (256, 238),
    "vmsplice": (278, 75),
    # memory that no file system and no process's own size accounts for
    "memfd_create": (319, 279),
    "memfd_secret": (447, 447),
    "shmget": (29, 194),
    "msgget": (68, 186),
}
_SOCKET, _SOCKETPAIR, _CLONE, _CLONE3, _IOCTL = (41, 198), (53, 199), (56, 220), (435, 435), (16, 29)
_TIOCSTI, _TIOCLINUX = 0x5412, 0x541C
# every CLONE_NEW*: time, mounts, cgroup, host name, IPC, users, pids, network
_NAMESPACES = 0x80 | 0x20000 | 0x2000000 | 0x4000000 | 0x8000000 | 0x10000000 | 0x20000000 | 0x40000000
_ARCHITECTURES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}


def supported(machine: str) -> bool:
    """Whether there are numbers for this machine."""
    return machine in _ARCHITECTURES


@cache
def program(machine: str, *, loopback: bool) -> bytes:
    """The filter. Sockets are local ones; with `loopback` also TCP and UDP, for a network namespace with nothing in it.

    The vsock family must never pass: it belongs to no network namespace and leads out of a virtual machine.
    """
    column, architecture = _ARCHITECTURES[machine]
    refuse = _ERRNO | errno.EPERM
    families = [socket.AF_UNIX, *([socket.AF_INET, socket.AF_INET6] if loopback else [])]
    code = [
        _step(_LOAD, _ARCHITECTURE),
        _step(_EQUAL, architecture, 1, 0),
        _step(_RETURN, _KILL_PROCESS),
        _step(_LOAD, _NUMBER),
    ]
    if machine == "x86_64":
        code += _when(_GREATER_EQUAL, _X32, [_step(_RETURN, _KILL_PROCESS)])
    for numbers in _REFUSED.values():
        if numbers[column] >= 0:
            code += _when(_EQUAL, numbers[column], [_step(_RETURN, refuse)])
    # glibc falls back to clone, whose flags can be read; those of clone3 lie in memory
    code += _when(_EQUAL, _CLONE3[column], [_step(_RETURN, _ERRNO | errno.ENOSYS)])
    flags = [_step(_LOAD, _FIRST), _step(_ANY_BIT, _NAMESPACES, 0, 1), _step(_RETURN, refuse), _step(_RETURN, _ALLOW)]
    code += _when(_EQUAL, _CLONE[column], flags)
    for call in (_SOCKET, _SOCKETPAIR):
        passing = [_step(_EQUAL, family, len(families) - at, 0) for at, family in enumerate(families)]
        tail = [_step(_RETURN, refuse), _step(_RETURN, _ALLOW)]
        code += _when(_EQUAL, call[column], [_step(_LOAD, _FIRST), *passing, *tail])
    terminal = [_step(_EQUAL, _TIOCSTI, 1, 0), _step(_EQUAL, _TIOCLINUX, 0, 1)]
    code += _when(
        _EQUAL, _IOCTL[column], [_step(_LOAD, _SECOND), *terminal, _step(_RETURN, refuse), _step(_RETURN, _ALLOW)]
    )
    return b"".join([*code, _step(_RETURN, _ALLOW)])


def _step(code: int, value: int, when_true: int = 0, when_false: int = 0) -> bytes:
    """One `struct sock_filter`."""
    return struct.pack("<HBBI", code, when_true, when_false, value)


def _when(test: int, value: int, steps: list[bytes]) -> list[bytes]:
    """Steps that are skipped unless the loaded word passes the test."""
    return [_step(test, value, 0, len(steps)), *steps]
