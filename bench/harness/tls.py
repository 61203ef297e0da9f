"""The certificate that every proxy of a run serves, made by openssl for that run, and a client that takes it."""

import ssl
import subprocess
from dataclasses import dataclass
from pathlib import Path

HOST_NAME = "bench.test"
# A month: proxies that warn of expiry have nothing to say.
VALID_DAYS = 31


@dataclass(frozen=True)
class Certificate:
    """Paths of PEM files: the chain, its key, and both in one as HAProxy wants them."""

    chain: Path
    key: Path
    bundle: Path


def make_certificate(directory: Path) -> Certificate:
    """A self-signed ECDSA certificate on P-256, the cheapest to serve that every browser takes."""
    certificate = Certificate(*(directory / name for name in ("server.crt", "server.key", "server.pem")))
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-noenc"]
    command += ["-subj", f"/CN={HOST_NAME}", "-addext", f"subjectAltName=DNS:{HOST_NAME}"]
    command += ["-days", str(VALID_DAYS), "-keyout", str(certificate.key), "-out", str(certificate.chain)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30)
    if done.returncode != 0:
        raise RuntimeError(f"openssl made no certificate: {done.stderr.strip()[-300:]}")
    certificate.bundle.write_text(certificate.chain.read_text() + certificate.key.read_text())
    certificate.bundle.chmod(0o600)
    return certificate


def client_context() -> ssl.SSLContext:
    """TLS 1.3 that trusts any certificate: the benchmark measures the proxy, not trust."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    return context
