"""Three ways for a back end to fail: killed, frozen, black-holed."""

import ctypes
import os
import signal
import socket
import struct
from pathlib import Path

from .process import Child

_SYS_PIDFD_OPEN = 434
_SYS_PIDFD_GETFD = 438
_SO_ATTACH_FILTER = 26
# One instruction of classic BPF, "return 0": the socket drops every segment that reaches it.
_DROP_ALL = struct.pack("HBBI", 0x06, 0, 0, 0)
_libc = ctypes.CDLL(None, use_errno=True)


def kill(backend: Child) -> None:
    """The process dies; its kernel answers with resets."""
    backend.kill()


def freeze(backend: Child) -> None:
    """The process stops; its kernel goes on acknowledging and accepting."""
    backend.signal(signal.SIGSTOP)


def black_hole(backend: Child) -> None:
    """Every segment to it is lost, as behind a dead switch: no answer, no reset."""
    pidfd = _syscall(_SYS_PIDFD_OPEN, backend.pid, 0)
    try:
        for entry in Path(f"/proc/{backend.pid}/fd").iterdir():
            if os.readlink(entry).startswith("socket:"):
                with socket.socket(fileno=_syscall(_SYS_PIDFD_GETFD, pidfd, int(entry.name), 0)) as stolen:
                    if stolen.family == socket.AF_INET and stolen.type == socket.SOCK_STREAM:
                        _drop_all(stolen)
    finally:
        os.close(pidfd)


FAULTS = {"kill": kill, "freeze": freeze, "black_hole": black_hole}


def _drop_all(target: socket.socket) -> None:
    program = ctypes.create_string_buffer(_DROP_ALL, len(_DROP_ALL))
    target.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, struct.pack("HP", 1, ctypes.addressof(program)))


def _syscall(number: int, *arguments: int) -> int:
    result = _libc.syscall(number, *arguments)
    if result < 0:
        error = ctypes.get_errno()
        raise OSError(error, f"system call {number}: {os.strerror(error)}")
    return result
