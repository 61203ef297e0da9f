"""One round of one proxy, for the kinds of work that only TLS has."""

from . import loads_tls
from .backends import LARGE_BODY_BYTES
from .lab import Lab
from .loads import STREAMS, Work
from .loads_tls import Handshake, Version
from .measure import Sample
from .proxies import Proxy, Running
from .tls import KeyKind
from .work import Measure, measure_load, per_gib, per_request

# Of the bytes of a plain bulk measurement: ciphering takes so much longer.
BULK_SHARE = 4


def handshakes(
    kind: Handshake,
    version: Version = Version.TLS_1_3,
    key: KeyKind = KeyKind.ECDSA_P256,
) -> Measure:
    """CPU per handshake with one request."""

    def measure(lab: Lab, proxy: Proxy) -> Sample:
        task = lab.http_task(key)

        def load(running: Running, full: bool) -> Work:
            cpu, port = lab.settings.load_cpu, running.ports.https
            return loads_tls.handshakes(cpu, port, lab.length(full), kind, version, task.certificate)

        return measure_load(lab, proxy, task, load, per_request)

    return measure


def h2_small(lab: Lab, proxy: Proxy) -> Sample:
    """CPU per request of small answers over HTTP/2."""

    def load(running: Running, full: bool) -> Work:
        return loads_tls.h2(lab.settings.load_cpu, running.ports.https, "/", lab.length(full))

    return measure_load(lab, proxy, lab.http_task(), load, per_request)


def bulk(lab: Lab, proxy: Proxy) -> Sample:
    """CPU per GiB of large bodies."""
    requests = max(STREAMS, lab.settings.bulk_bytes // BULK_SHARE // LARGE_BODY_BYTES)

    def load(running: Running, full: bool) -> Work:
        count = requests if full else STREAMS
        return loads_tls.download(lab.settings.load_cpu, running.ports.https, "/large", count, LARGE_BODY_BYTES)

    return measure_load(lab, proxy, lab.http_task(), load, lambda cpu, work: per_gib(cpu, work, 1))
