"""What a model server is told of a verified client certificate: X-Forwarded-Client-Cert.

Envoy's format: `Hash=…;Subject="…";URI=…;DNS=…`.  The values come from a certificate, which an
authority has signed but somebody else may have filled in: nothing in them can end the line, the
element or the quotes.

Pure.  Field names and their bound: no line is longer than `MAX_BYTES`; what does not fit is left
out, from the end on, and the hash is always there.
"""

from collections.abc import Iterable, Mapping
from hashlib import sha256
from typing import Any, Final

MAX_BYTES: Final = 4096
_SHORT: Final = {
    "commonName": "CN",
    "countryName": "C",
    "domainComponent": "DC",
    "localityName": "L",
    "organizationName": "O",
    "organizationalUnitName": "OU",
    "stateOrProvinceName": "ST",
    "streetAddress": "STREET",
    "userId": "UID",
}
_SPECIAL: Final = frozenset("+,;<>")
_NEVER: Final = frozenset('"\\')
"""What could end a quoted value, for one reader at least, is always written as its code."""


def client_certificate_line(der: bytes, parsed: Mapping[str, Any]) -> bytes:
    """The field line for a certificate, `parsed` as `ssl.SSLObject.getpeercert()` does."""
    line = f"x-forwarded-client-cert: Hash={sha256(der).hexdigest()}"
    for element in _elements(parsed):
        if len(line) + 1 + len(element) + 2 > MAX_BYTES:
            break
        line += f";{element}"
    return f"{line}\r\n".encode("ascii")


def _elements(parsed: Mapping[str, Any]) -> Iterable[str]:
    yield f'Subject="{_distinguished_name(parsed.get("subject", ()))}"'
    for kind, value in parsed.get("subjectAltName", ()):
        if kind in ("URI", "DNS"):
            yield f"{kind}={_value(value)}"


def _distinguished_name(subject: Iterable[Iterable[tuple[str, str]]]) -> str:
    """RFC 4514: the last part first, what has a meaning there escaped."""
    return ",".join(
        "+".join(f"{_SHORT.get(name, name)}={_escaped(value)}" for name, value in part)
        for part in reversed(list(subject))
    )


def _escaped(value: str) -> str:
    text = ""
    for place, letter in enumerate(value):
        at_an_end = place in (0, len(value) - 1)
        if letter in _SPECIAL:
            text += f"\\{letter}"
        elif (letter == " " and not at_an_end) or (_is_plain(letter) and (place or letter != "#")):
            text += letter
        else:
            text += _code(letter, "\\")
    return text


def _value(text: str) -> str:
    """In quotes where something in it has a meaning for the field."""
    safe = "".join(letter if _is_plain(letter) else _code(letter, "%") for letter in text)
    return f'"{safe}"' if set(safe) & set(",;=") else safe


def _is_plain(letter: str) -> bool:
    return "!" <= letter <= "~" and letter not in _NEVER


def _code(letter: str, mark: str) -> str:
    """Its bytes in hexadecimal: `\\2C` in a name (RFC 4514 §2.4), `%2C` in a URI."""
    return "".join(f"{mark}{byte:02X}" for byte in letter.encode("utf-8", "replace"))
