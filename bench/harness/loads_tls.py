"""The load generators that only speak TLS: handshakes by `openssl s_time`, HTTP/2 and bulk by h2load."""

import re
import socket
import time
from enum import Enum

from .loads import GRACE_SECONDS, SLOWEST_BYTES_PER_SECOND, STREAMS, Work, local
from .process import Client
from .tls import Certificate, client_context

HANDSHAKE_CLIENTS = 16
H2_CONNECTIONS = 16
H2_STREAMS = 10
# s_time writes "GET {path} HTTP/1.0"; the path given here ends that request line and leaves the rest to a header.
_REQUEST_HEAD = "/ HTTP/1.1\r\nHost: bench\r\nConnection: close\r\nX-Rest:"
# A line of marks, one per connection: "r" for a resumed session, another for a full handshake.
_TALLY = re.compile(r"^[r*t3]+$", re.MULTILINE)
_BYTES_READ = re.compile(r"bytes read (\d+)")


class Handshake(Enum):
    """Which handshakes are made, with the option of s_time and the mark it prints for each."""

    FULL = ("-new", "*")
    RESUMED = ("-reuse", "r")


class Version(Enum):
    """The only version that a client offers, with the option of s_time."""

    TLS_1_2 = "-tls1_2"
    TLS_1_3 = "-tls1_3"


def handshakes(
    cpu: int,
    port: int,
    seconds: float,
    kind: Handshake,
    version: Version,
    certificate: Certificate,
) -> Work:
    """Closed loop: connect, shake hands, one request with `Connection: close`, read to the end.

    The clients offer this version and the signatures of this kind of certificate, no others. Raises RuntimeError if
    a single handshake failed or was not of this kind, or a single answer was not the good one. With RESUMED, each
    client starts with a full handshake that is not counted.
    """
    option, mark = kind.value
    length = max(1, round(seconds))
    answer_bytes = _good_answer_bytes(port)
    command = ["openssl", "s_time", "-connect", local(port), version.value, option, "-time", str(length)]
    command += ["-www", _REQUEST_HEAD]
    environment = {"OPENSSL_CONF": str(certificate.client_configuration)}
    started = time.monotonic()
    clients = [Client(command, cpu, environment) for _ in range(HANDSHAKE_CLIENTS)]
    outputs = [client.output(length + GRACE_SECONDS) for client in clients]
    elapsed = time.monotonic() - started
    tally = "".join("".join(_TALLY.findall(output)) for output in outputs)
    if wrong := len(tally) - tally.count(mark):
        raise RuntimeError(f"{wrong} of {len(tally)} handshakes were not {kind.name.lower()}")
    read = sum(int(count) for output in outputs for count in _BYTES_READ.findall(output))
    if read != len(tally) * answer_bytes:
        raise RuntimeError(f"{len(tally)} answers of {answer_bytes} bytes were due, {read} bytes came")
    return Work(len(tally), elapsed)


def h2(cpu: int, port: int, path: str, seconds: float) -> Work:
    """Closed loop over HTTP/2, several streams on each connection."""
    length = max(1, round(seconds))
    options = [f"-c{H2_CONNECTIONS}", f"-m{H2_STREAMS}", f"-D{length}", "--npn-list=h2"]
    output = _h2load(cpu, port, path, options, length)
    return _h2load_work(output, "h2", length)


def download(cpu: int, port: int, path: str, requests: int, bytes_each: int) -> Work:
    """Large bodies over HTTP/1.1, several connections at once; done counts bytes."""
    total = requests * bytes_each
    options = [f"-c{STREAMS}", f"-n{requests}", "--h1"]
    started = time.monotonic()
    output = _h2load(cpu, port, path, options, total / SLOWEST_BYTES_PER_SECOND)
    work = _h2load_work(output, "http/1.1", time.monotonic() - started)
    received = int(_field(output, r"\((\d+)\) data"))
    if received != total:
        raise RuntimeError(f"{received} of {total} bytes arrived")
    return Work(received, work.seconds, work.errors)


def _good_answer_bytes(port: int) -> int:
    """Length of the whole answer to the request that s_time makes."""
    received = b""
    with socket.create_connection(("127.0.0.1", port), timeout=5) as plain:
        with client_context().wrap_socket(plain) as connection:
            connection.sendall(f"GET {_REQUEST_HEAD} HTTP/1.0\r\n\r\n".encode())
            while some := connection.recv(65536):
                received += some
    if not received.startswith(b"HTTP/1.1 200"):
        raise RuntimeError(f"answer to a request with 'Connection: close': {received[:80]!r}")
    return len(received)


def _h2load(cpu: int, port: int, path: str, options: list[str], seconds: float) -> str:
    return Client(["h2load", *options, f"https://{local(port)}{path}"], cpu).output(seconds + GRACE_SECONDS)


def _h2load_work(output: str, protocol: str, seconds: float) -> Work:
    for said, wanted in (("TLS Protocol", "TLSv1.3"), ("Application protocol", protocol)):
        spoken = _field(output, rf"{said}: (\S+)")
        if spoken != wanted:
            raise RuntimeError(f"the proxy chose {spoken}, not {wanted}")
    succeeded, failed = (int(_field(output, rf"(\d+) {outcome}")) for outcome in ("succeeded", "failed"))
    return Work(succeeded, seconds, failed)


def _field(output: str, pattern: str) -> str:
    found = re.search(pattern, output)
    if not found:
        raise RuntimeError(f"h2load said nothing like '{pattern}', but: {output.strip()[-300:]}")
    return found[1]
