"""The certificates that every proxy of a run serves, made by openssl for that run, and clients that take them."""

import ssl
import subprocess
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

HOST_NAME = "bench.test"
# A month: proxies that warn of expiry have nothing to say.
VALID_DAYS = 31
# What a client of openssl offers: one strength of cipher suite, X25519 first (in TLS 1.2 the list of groups also says
# which curves a certificate may have), and the signatures of one kind of key, so that no handshake succeeds with
# another. @SIGNATURES@ is filled in.
CLIENT_CONFIGURATION = """
openssl_conf = library
[library]
ssl_conf = ssl
[ssl]
system_default = client
[client]
Ciphersuites = TLS_AES_128_GCM_SHA256
CipherString = ECDHE+AESGCM+AES128
Groups = X25519:P-256
SignatureAlgorithms = @SIGNATURES@
"""


class KeyKind(Enum):
    """The key of a certificate: how openssl is asked for it, and what it signs a handshake with."""

    ECDSA_P256 = ("ec -pkeyopt ec_paramgen_curve:prime256v1", "ecdsa_secp256r1_sha256")
    RSA_2048 = ("rsa:2048", "rsa_pss_rsae_sha256")


@dataclass(frozen=True)
class Certificate:
    """Paths of PEM files: the chain, its key, and both in one as HAProxy wants them. And of a configuration for openssl,
    with which a client takes certificates of this kind only."""

    chain: Path
    key: Path
    bundle: Path
    client_configuration: Path


def make_certificate(directory: Path, kind: KeyKind) -> Certificate:
    """A self-signed certificate; ECDSA is the cheapest to serve that every browser takes."""
    new_key, signatures = kind.value
    paths = (directory / f"{kind.name.lower()}.{suffix}" for suffix in ("crt", "key", "pem", "cnf"))
    certificate = Certificate(*paths)
    certificate.client_configuration.write_text(CLIENT_CONFIGURATION.replace("@SIGNATURES@", signatures))
    command = ["openssl", "req", "-x509", "-newkey", *new_key.split(), "-noenc"]
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
