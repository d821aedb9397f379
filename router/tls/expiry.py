"""Until when a certificate holds, read out of its bytes.

The standard library tells this of a peer's certificate only, and a library that could do more
(cryptography) costs each worker 20 MB.  The way to the date is short and fixed (RFC 5280 §4.1):
the first element of the first element, behind version, serial number, algorithm and issuer.

Pure.  Whatever the bytes are: a number, or `ValueError`.
"""

import ssl
from datetime import UTC, datetime
from typing import Final

_SEQUENCE: Final = 0x30
_VERSION: Final = 0xA0
_UTC_TIME: Final = 0x17
_GENERALIZED_TIME: Final = 0x18
_END: Final = "-----END CERTIFICATE-----"
_BEGIN: Final = "-----BEGIN CERTIFICATE-----"


def expiry_of_pem(text: str) -> float:
    """Unix time (s) at which the first certificate of a PEM text ends.

    Raises:
        ValueError: there is none in it, or it is none.
    """
    start = text.index(_BEGIN)
    end = text.index(_END, start) + len(_END)
    return expiry_of_der(ssl.PEM_cert_to_DER_cert(text[start:end]))


def expiry_of_der(certificate: bytes) -> float:
    """Unix time (s) at which a certificate ends.

    Raises:
        ValueError: these bytes are no certificate.
    """
    body, _ = _content(certificate, 0, _SEQUENCE)
    signed, _ = _content(body, 0, _SEQUENCE)
    at = 0
    if signed[:1] == bytes((_VERSION,)):
        _, at = _content(signed, at)
    for _ in ("serial number", "algorithm", "issuer"):
        _, at = _content(signed, at)
    validity, _ = _content(signed, at, _SEQUENCE)
    _, at = _content(validity, 0)
    if at >= len(validity):
        raise ValueError("a certificate without an end")
    return _time(validity[at], _content(validity, at)[0])


def _content(data: bytes, at: int, tag: int | None = None) -> tuple[bytes, int]:
    """What stands in the element at `at`, and where the next one begins (X.690 §8.1)."""
    if len(data) < at + 2 or (tag is not None and data[at] != tag):
        raise ValueError("not a certificate")
    length, start = data[at + 1], at + 2
    if length & 0x80:
        size = length & 0x7F
        length, start = int.from_bytes(data[start : start + size]), start + size
    if start + length > len(data):
        raise ValueError("a certificate that breaks off")
    return data[start : start + length], start + length


def _time(tag: int, digits: bytes) -> float:
    if tag not in (_UTC_TIME, _GENERALIZED_TIME):
        raise ValueError("a certificate whose end is no time")
    text = digits.decode("ascii")
    if tag == _UTC_TIME:  # RFC 5280 §4.1.2.5.1: 50 to 99 are of the last century
        text = ("19" if text >= "50" else "20") + text
    return datetime.strptime(text, "%Y%m%d%H%M%SZ").replace(tzinfo=UTC).timestamp()
