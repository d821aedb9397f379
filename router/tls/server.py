"""What the traffic port shows its clients, and what it wants to see of them."""

import ssl
from dataclasses import dataclass
from enum import StrEnum

import msgspec

from router.tls.errors import Part, TlsError
from router.tls.expiry import expiry_of_pem
from router.tls.files import load_authorities, load_pair, read_pem


class ClientCertificates(StrEnum):
    """What is asked of a client."""

    OFF = "off"
    OPTIONAL = "optional"
    REQUIRED = "required"


class ServerTls(msgspec.Struct, frozen=True, kw_only=True):
    """Which files, and how they are used.

    `look_s`: how often (seconds) the files are looked at for a change.
    """

    certificate_file: str
    key_file: str
    client_ca_file: str | None = None
    client_certificates: ClientCertificates = ClientCertificates.OFF
    forward_client_certificate: bool = False
    min_version: str = "1.2"
    look_s: float = 5.0

    @property
    def files(self) -> tuple[str, ...]:
        """Those that may be replaced while the router runs."""
        own = (self.certificate_file, self.key_file)
        return own if self.client_ca_file is None else (*own, self.client_ca_file)


@dataclass(frozen=True, slots=True)
class Loaded:
    """A context that is never changed again, and when its certificate ends (Unix time, s)."""

    context: ssl.SSLContext
    expires_at: float


def load_server(tls: ServerTls) -> Loaded:
    """Read the files into a new context.

    Raises:
        TlsError: one of them cannot be used.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = (
        ssl.TLSVersion.TLSv1_3 if tls.min_version == "1.3" else ssl.TLSVersion.TLSv1_2
    )
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
    context.set_alpn_protocols(["http/1.1"])
    load_pair(context, tls.certificate_file, tls.key_file)
    if tls.client_ca_file is not None:
        load_authorities(context, Part.CLIENT_CA, tls.client_ca_file)
    match tls.client_certificates:
        case ClientCertificates.REQUIRED:
            context.verify_mode = ssl.CERT_REQUIRED
        case ClientCertificates.OPTIONAL:
            context.verify_mode = ssl.CERT_OPTIONAL
        case ClientCertificates.OFF:
            pass
    return Loaded(context, _expiry(tls.certificate_file))


def _expiry(file: str) -> float:
    try:
        return expiry_of_pem(read_pem(Part.CERTIFICATE, file))
    except ValueError:  # OpenSSL has taken it a moment ago: it is being replaced
        raise TlsError(Part.CERTIFICATE, f"{file} changed while it was read") from None
