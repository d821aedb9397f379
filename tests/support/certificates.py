"""Certificates that a test makes for itself: an authority, and what it signs.

    authority = Authority(tmp_path)
    pair = authority.issue("server", "localhost", "127.0.0.1")

Keys are elliptic: they are made in a millisecond.
"""

from __future__ import annotations

import datetime
import os
import ssl
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

_DAY = datetime.timedelta(days=1)


@dataclass(frozen=True)
class Pair:
    """A certificate, its key, and when it ends (Unix time, s)."""

    certificate_file: Path
    key_file: Path
    expires_at: float
    der: bytes

    @property
    def certificate(self) -> str:
        return str(self.certificate_file)

    @property
    def key(self) -> str:
        return str(self.key_file)

    def copy_to(self, other: Pair) -> None:
        """Replace another pair's files by these, one after the other, as a writer would."""
        for mine, its in (
            (self.certificate_file, other.certificate_file),
            (self.key_file, other.key_file),
        ):
            replace(its, mine.read_bytes())


def replace(file: Path, content: bytes) -> None:
    """A new file in the place of another: never half of it is seen."""
    written = file.with_suffix(".new")
    written.write_bytes(content)
    os.replace(written, file)  # noqa: PTH105  # says what happens


class Authority:
    """Signs; its own certificate is `file`."""

    def __init__(self, folder: Path, name: str = "a test's authority") -> None:
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        certificate = (
            _builder(self._name, self._name, self._key.public_key(), _DAY)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .sign(self._key, hashes.SHA256())
        )
        self.file = folder / f"{name.replace(' ', '-')}.pem"
        self.file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))

    def issue(
        self,
        file_name: str,
        *names: str,
        subject: x509.Name | None = None,
        alternatives: tuple[x509.GeneralName, ...] = (),
        lives: datetime.timedelta = _DAY,
    ) -> Pair:
        """A certificate for these host names and addresses, in files of this name."""
        key = ec.generate_private_key(ec.SECP256R1())
        called = subject or x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0])])
        known = [*map(_general_name, names), *alternatives]
        builder = _builder(called, self._name, key.public_key(), lives)
        if known:
            builder = builder.add_extension(x509.SubjectAlternativeName(known), critical=False)
        certificate = builder.sign(self._key, hashes.SHA256())
        pair = Pair(
            self._folder / f"{file_name}.crt",
            self._folder / f"{file_name}.key",
            certificate.not_valid_after_utc.timestamp(),
            certificate.public_bytes(serialization.Encoding.DER),
        )
        pair.certificate_file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        pair.key_file.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
        return pair

    def client_context(self, shown: Pair | None = None, **limits: ssl.TLSVersion) -> ssl.SSLContext:
        """How a client that trusts this authority connects, with this certificate of its own."""
        context = ssl.create_default_context(cafile=str(self.file))
        if shown is not None:
            context.load_cert_chain(shown.certificate_file, shown.key_file)
        for name, value in limits.items():
            setattr(context, name, value)
        return context


@dataclass(frozen=True)
class ServerCertificate:
    """What a server is started with, and the file that a client must trust."""

    ca_file: Path
    context: ssl.SSLContext


def server_certificate(folder: Path, *names: str) -> ServerCertificate:
    """Make an authority and a certificate for these host names and addresses."""
    authority = Authority(folder)
    return ServerCertificate(authority.file, server_context(authority.issue("server", *names)))


def server_context(pair: Pair, clients: Authority | None = None) -> ssl.SSLContext:
    """A server's side; with `clients` it takes none without a certificate of that authority."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(pair.certificate_file, pair.key_file)
    if clients is not None:
        context.load_verify_locations(cafile=str(clients.file))
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    public: ec.EllipticCurvePublicKey,
    lives: datetime.timedelta,
) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _DAY)
        .not_valid_after(now + lives)
    )


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        return x509.DNSName(name)
