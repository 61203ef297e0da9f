"""The load generators: each runs to its end and says how much work was done and what went wrong."""

import http.client
import json
import select
import socket
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

from .backends import TRAFFIC
from .process import Client
from .proxies import PEERS
from .tls import client_context

CONNECTIONS = 64
GRACE_SECONDS = 30
WARM_UP_SECONDS = 0.5
STREAMS = 4
# Idle connections are opened by so many at a time, to be done before the first is idle for too long.
OPENERS = 4
# Below this a bulk measurement is given up.
SLOWEST_BYTES_PER_SECOND = 50e6


@dataclass(frozen=True)
class Work:
    """What a load generator got done."""

    done: int
    seconds: float
    errors: int = 0


def wrk(
    cpu: int,
    port: int,
    path: str,
    seconds: float,
    close: bool = False,
    secure: bool = False,
    cookie: str | None = None,
) -> Work:
    """Closed loop over HTTP or, `secure`, HTTPS; with `close`, a connection per request."""
    length = max(1, round(seconds))
    command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{length}s", "--timeout", "5s"]
    command += ["-s", str(PEERS / "wrk_report.lua")]
    if close:
        command += ["-H", "Connection: close"]
    if cookie:
        command += ["-H", f"Cookie: {cookie}"]
    scheme = "https" if secure else "http"
    client = Client([*command, f"{scheme}://{local(port)}{path}"], cpu)
    output = client.output(length + GRACE_SECONDS)
    report = json.loads(output.splitlines()[-1])
    return Work(report["requests"], report["duration_us"] / 1e6, report["errors"])


def cookie_of(port: int) -> str | None:
    """The cookie that a new client is given, `name=value`."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/")
        response = connection.getresponse()
        response.read()
    finally:
        connection.close()
    given = response.getheader("Set-Cookie")
    return given.partition(";")[0] if given else None


def ping(cpu: int, port: int, seconds: float) -> Work:
    """Closed loop of 64-byte messages over TCP."""
    client = _traffic(cpu, "ping", to=local(port), connections=CONNECTIONS, seconds=seconds)
    report = _report(client, seconds)
    return Work(report["round_trips"], report["seconds"], report["errors"])


def sink(cpu: int, port: int, total_bytes: int) -> Work:
    """Bulk bytes from the source behind the proxy, several streams at once."""
    client = _traffic(cpu, "sink", **{"from": local(port)}, streams=STREAMS, bytes=total_bytes)
    report = _report(client, total_bytes / SLOWEST_BYTES_PER_SECOND)
    return Work(report["bytes"], report["seconds"], report["errors"])


def open_loop(
    cpu: int,
    port: int,
    rate: float,
    seconds: float,
    deadline_ms: int = 10_000,
    connections_max: int = CONNECTIONS,
    midway: Callable[[], None] | None = None,
) -> dict:
    """Requests at a fixed rate; the traffic tool's report as it is.

    `midway` is called after a quarter of the time.
    """
    client = _traffic(
        cpu,
        "open-loop",
        to=local(port),
        rate=rate,
        warmup_seconds=WARM_UP_SECONDS,
        seconds=seconds,
        deadline_ms=deadline_ms,
        connections=CONNECTIONS,
        connections_max=connections_max,
    )
    try:
        if midway:
            time.sleep(WARM_UP_SECONDS + seconds / 4)
            midway()
    finally:
        report = _report(client, seconds + deadline_ms / 1000)
    return report


@contextmanager
def idle_connections(port: int, count: int, secure: bool) -> Iterator[list[socket.socket]]:
    """Opens keep-alive connections, each of which has served one request, and holds them."""
    context = client_context() if secure else None
    held: list[socket.socket] = []

    def open_one(place: int) -> None:
        # Several source addresses, so that no port range is exhausted.
        source = (f"127.0.0.{2 + place % 8}", 0)
        connection = socket.create_connection(("127.0.0.1", port), timeout=10, source_address=source)
        if context:
            connection = context.wrap_socket(connection)
        held.append(connection)
        connection.sendall(b"GET / HTTP/1.1\r\nHost: bench\r\n\r\n")
        _read_answer(connection)

    try:
        with ThreadPoolExecutor(OPENERS) as openers:
            # Exhausts the results, so that the first failure ends it.
            deque(openers.map(open_one, range(count)), maxlen=0)
        yield held
    finally:
        for connection in held:
            connection.close()


def local(port: int) -> str:
    """The port as programs take it."""
    return f"127.0.0.1:{port}"


def still_open(connections: list[socket.socket]) -> int:
    """How many of them the proxy has neither closed nor written to."""
    poll = select.poll()
    for connection in connections:
        poll.register(connection, select.POLLIN)
    return len(connections) - len(poll.poll(0))


def _read_answer(connection: socket.socket) -> None:
    received = b""
    while b"\r\n\r\n" not in received:
        received += _some(connection)
    head, _, body = received.partition(b"\r\n\r\n")
    if not head.startswith(b"HTTP/1.1 200"):
        raise RuntimeError(f"answer to an idle connection: {head[:80]!r}")
    fields = dict(line.lower().split(b":", 1) for line in head.split(b"\r\n")[1:])
    if fields.get(b"connection", b"").strip() == b"close":
        raise RuntimeError("the proxy does not keep the connection")
    left = int(fields[b"content-length"]) - len(body)
    while left > 0:
        left -= len(_some(connection))


def _some(connection: socket.socket) -> bytes:
    received = connection.recv(65536)
    if not received:
        raise RuntimeError("the proxy closed a connection instead of answering")
    return received


def _traffic(cpu: int, role: str, **options: object) -> Client:
    arguments = (word for name, value in options.items() for word in (f"--{name.replace('_', '-')}", str(value)))
    return Client([TRAFFIC, role, *arguments], cpu)


def _report(client: Client, seconds: float) -> dict:
    return json.loads(client.output(seconds + GRACE_SECONDS))
