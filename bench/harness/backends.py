"""The back ends behind the proxies, all on the load generator's processor."""

from pathlib import Path

from .process import Child, free_port
from .proxies import EXAMPLES, PEERS

BODY_64K = bytes(place * 31 % 251 for place in range(64 * 1024))
# Long enough for what a connection costs to vanish in what its bytes cost.
LARGE_BODY_BYTES = 64 * 2**20
TRAFFIC = str(EXAMPLES / "bench_traffic")


class Backends:
    """The long-lived back ends, started once and shared by every proxy of the run."""

    def __init__(self, cpu: int, directory: Path, max_connections: int):
        self._cpu = cpu
        self._directory = directory
        self._children: list[Child] = []
        try:
            self.http_port = self._start_nginx(max_connections)
            self.echo_port = self._start_role("echo")
            self.source_port = self._start_role("source")
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        for child in self._children:
            child.stop()

    def _start_nginx(self, max_connections: int) -> int:
        port = free_port()
        root = self._directory / "www"
        root.mkdir()
        (root / "64k").write_bytes(BODY_64K)
        with (root / "large").open("wb") as large:
            large.truncate(LARGE_BODY_BYTES)
        text = (PEERS / "backend.conf").read_text()
        for name, value in {
            "PORT": port,
            "DIRECTORY": self._directory,
            "MAX_CONNECTIONS": max_connections,
        }.items():
            text = text.replace(f"@{name}@", str(value))
        path = self._directory / "backend.conf"
        path.write_text(text)
        child = Child(
            "back end",
            ["nginx", "-p", str(self._directory), "-c", str(path), "-e", "stderr"],
            self._cpu,
            self._directory / "backend.log",
        )
        self._children.append(child)
        child.wait_for_port(port)
        return port

    def _start_role(self, role: str) -> int:
        child, port = start_role([role], self._cpu, self._directory / f"{role}.log")
        self._children.append(child)
        return port


def start_role(role: list[str], cpu: int, log: Path) -> tuple[Child, int]:
    """A listening role of the traffic tool on a port of its own choice."""
    child = Child(role[0], [TRAFFIC, *role, "--listen", "127.0.0.1:0"], cpu, log)
    try:
        line = child.wait_for_line("ready")
    except BaseException:
        child.stop()
        raise
    return child, int(line.rpartition(":")[2])
