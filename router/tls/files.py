"""What goes wrong with a file of TLS, in words that name the file and the remedy."""

import ssl
from pathlib import Path
from typing import Final

from router.tls.errors import Part, TlsError

MAX_BYTES: Final = 1024 * 1024
"""More than any chain or bundle of authorities needs (the system's has 220 KiB)."""


def read_pem(part: Part, file: str) -> str:
    """The text of a file.

    Raises:
        TlsError: it is not there, may not be read, or is too large.
    """
    try:
        with Path(file).open("rb") as opened:
            content = opened.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise TlsError(part, f"{file} does not exist", missing=True) from None
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else "no name of a file"
        raise TlsError(part, f"{file} cannot be read: {why}") from None
    if len(content) > MAX_BYTES:
        raise TlsError(part, f"{file} is larger than {MAX_BYTES} bytes: is it the right file?")
    return content.decode("latin-1")


def load_pair(context: ssl.SSLContext, certificate_file: str, key_file: str) -> None:
    """Give a context its certificate and key.

    Raises:
        TlsError: one cannot be read, or they do not belong together; the context is useless then.
    """
    certificate = read_pem(Part.CERTIFICATE, certificate_file)
    key = read_pem(Part.KEY, key_file)
    if "-----BEGIN CERTIFICATE-----" not in certificate:
        raise TlsError(
            Part.CERTIFICATE, f"{certificate_file} has no certificate in PEM (BEGIN CERTIFICATE)"
        )
    if "PRIVATE KEY-----" not in key:
        raise TlsError(Part.KEY, f"{key_file} has no private key in PEM (BEGIN PRIVATE KEY)")
    if "ENCRYPTED" in key:
        raise TlsError(
            Part.KEY,
            f"{key_file} is encrypted, and nobody is there to be asked for its password: "
            "store the key without one, readable by the router alone",
        )
    try:
        # Never asked for: OpenSSL would prompt on the terminal.
        context.load_cert_chain(certificate_file, key_file, password="")
    except ssl.SSLError as error:
        raise _why_not(error, certificate_file, key_file) from None
    except OSError as error:  # gone since it was read
        raise TlsError(Part.CERTIFICATE, f"{certificate_file}: {error.strerror}") from None


def _why_not(error: ssl.SSLError, certificate_file: str, key_file: str) -> TlsError:
    if error.reason == "KEY_VALUES_MISMATCH" or error.reason == "KEY_TYPE_MISMATCH":
        return TlsError(
            Part.KEY, f"{key_file} is not the key of the certificate in {certificate_file}"
        )
    reason = (error.reason or "malformed").replace("_", " ").lower()
    return TlsError(
        Part.CERTIFICATE,
        f"{certificate_file} and {key_file} cannot be used ({reason}): "
        "the leaf comes first, then its chain, each whole and in PEM",
    )


def load_authorities(context: ssl.SSLContext, part: Part, file: str) -> None:
    """Have a context trust the authorities of a file.

    Raises:
        TlsError: it cannot be read, or holds none.
    """
    read_pem(part, file)
    try:
        context.load_verify_locations(cafile=file)
    except ssl.SSLError as error:
        words = (error.reason or "malformed").replace("_", " ").lower()
        raise TlsError(part, f"{file} holds no authorities in PEM ({words})") from None
    except OSError as error:  # gone since it was read
        raise TlsError(part, f"{file}: {error.strerror}") from None
    if not context.cert_store_stats()["x509"]:
        raise TlsError(part, f"{file} holds no authorities in PEM")
