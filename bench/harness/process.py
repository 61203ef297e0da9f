"""Child processes: pinned to a processor, ended by their id, never left behind."""

import ctypes
import os
import signal
import socket
import subprocess
import time
from pathlib import Path

from . import procfs

_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)


class StartFailed(RuntimeError):
    """A program did not come up; the message holds the end of what it wrote."""


class Child:
    """A running program with its standard error in a file."""

    def __init__(
        self,
        name: str,
        command: list[str],
        cpu: int,
        log: Path,
        environment: dict[str, str] | None = None,
    ):
        self.name = name
        self.log = log
        try:
            with log.open("wb") as errors:
                self._popen = subprocess.Popen(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=errors,
                    env={**os.environ, **(environment or {})},
                    preexec_fn=lambda: _settle(cpu),
                )
        except OSError as error:
            raise StartFailed(f"{name}: {error}") from error

    @property
    def pid(self) -> int:
        return self._popen.pid

    def cpu_seconds(self) -> float:
        return procfs.cpu_seconds(self.pid)

    def wait_for_line(self, prefix: str, seconds: float = 10) -> str:
        """The first line of standard error that starts with `prefix`."""
        return self._poll(seconds, f"the line '{prefix}'", lambda: self._line(prefix))

    def wait_for_port(self, port: int, seconds: float = 10) -> None:
        """Returns once something accepts on 127.0.0.1:port."""
        self._poll(seconds, f"port {port}", lambda: _accepts(port))

    def signal(self, number: signal.Signals) -> None:
        self._popen.send_signal(number)

    def stop(self) -> None:
        """SIGTERM, again for those that drain on the first; then SIGKILL for the whole tree."""
        tree = procfs.process_tree(self.pid) if self._popen.poll() is None else []
        for patience in (0.3, 2.0):
            if self._popen.poll() is None:
                self._popen.terminate()
                try:
                    self._popen.wait(patience)
                except subprocess.TimeoutExpired:
                    continue
        if self._popen.poll() is None:
            for member in tree:
                _kill(member)
            self._popen.wait(5)

    def kill(self) -> None:
        """SIGKILL at once."""
        self._popen.kill()
        self._popen.wait(5)

    def _line(self, prefix: str) -> str | None:
        return next(
            (line for line in self.log.read_text(errors="replace").splitlines() if line.startswith(prefix)),
            None,
        )

    def _poll(self, seconds, what, probe):
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if found := probe():
                return found
            if self._popen.poll() is not None:
                status = self._popen.returncode
                raise StartFailed(f"{self.name} ended with {status}:\n{self._last_words()}")
            time.sleep(0.02)
        raise StartFailed(f"{self.name}: no {what} within {seconds:.0f} s:\n{self._last_words()}")

    def _last_words(self) -> str:
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-8:])


class Client:
    """A load generator that runs to its end on one processor."""

    def __init__(self, command: list[str], cpu: int, environment: dict[str, str] | None = None):
        self._command = command
        self._popen = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, **(environment or {})},
            preexec_fn=lambda: _settle(cpu),
        )

    def output(self, seconds: float) -> str:
        """What it printed, once it has ended; it is killed if that takes longer than `seconds`."""
        try:
            output, errors = self._popen.communicate(timeout=seconds)
        except BaseException as error:
            self._popen.kill()
            self._popen.communicate()
            if isinstance(error, subprocess.TimeoutExpired):
                raise RuntimeError(f"{self._command[0]} did not end within {seconds:.0f} s") from error
            raise
        if self._popen.returncode != 0:
            raise RuntimeError(f"{' '.join(self._command)} failed:\n{errors.strip()[-500:]}")
        return output


def free_port() -> int:
    """A port of 127.0.0.1 that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _settle(cpu: int) -> None:
    """In the child: one processor, ahead of other programs if allowed, no life after our own."""
    os.setsid()
    os.sched_setaffinity(0, {cpu})
    try:
        os.setpriority(os.PRIO_PROCESS, 0, -20)
        # Where sessions share a processor as groups, the priority counts only inside the group.
        Path("/proc/self/autogroup").write_text("-20")
    except OSError:
        pass
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def _accepts(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(0.5)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
