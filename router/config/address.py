"""Where to listen, and where model servers are: addresses as people write them.

Pure: nothing is resolved or opened here.  A refused text is a ValueError that shows the right one.
"""

import ipaddress
import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

_SCHEMES: Final = {"http": 80, "https": 443, "dns": 80}
_HOST: Final = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9._-]{0,251}[A-Za-z0-9_.])?", re.ASCII)
_PATH: Final = re.compile(r"(/([A-Za-z0-9._~!$&'()*+,;=:@-]|%[0-9A-Fa-f]{2})*)*", re.ASCII)
_BLANK: Final = re.compile(r"[\x00-\x20\x7f]")
_PORT: Final = re.compile(r"[0-9]{1,5}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Address:
    """A host and a TCP port to listen on; port 0 lets the system choose."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def loopback(self) -> bool:
        """Whether only this machine can reach it."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False


@dataclass(frozen=True, slots=True)
class EndpointUrl:
    """The base URL of a model server, taken apart; `text` is as it was written."""

    text: str
    host: str
    port: int
    https: bool = False
    dns: bool = False
    base_path: str = ""

    def __str__(self) -> str:
        return self.text


def parse_address(value: object) -> Address:
    """Read `0.0.0.0:8080`, `[::]:8080` or `localhost:8080`."""
    if isinstance(value, Address):
        return value
    host, colon, port = str(value).rpartition(":")
    wrong = ValueError(f'not an address: "{value}" (write host:port, like 0.0.0.0:8080)')
    if not colon or not _PORT.fullmatch(port) or int(port) > 65_535:
        raise wrong
    if host.startswith("[") and host.endswith("]"):
        return Address(_ipv6(host[1:-1], wrong), int(port))
    if not _HOST.fullmatch(host):
        raise wrong
    return Address(host, int(port))


def parse_endpoint(value: object) -> EndpointUrl:
    """Read `http://host:port/base`, `https://…` or `dns://host:port`."""
    if isinstance(value, EndpointUrl):
        return value
    text = str(value)
    scheme, separator, rest = text.partition("://")
    if not separator:
        raise ValueError(_not_a_url(text))
    if _BLANK.search(text):  # urlsplit would remove CR, LF and TAB without a word
        raise ValueError("an endpoint has no white space or control characters")
    if scheme not in _SCHEMES:
        raise ValueError(f'scheme "{scheme}" is not one of http, https, dns')
    if "@" in rest:
        raise ValueError("an endpoint takes no user name or password")
    if "?" in rest or "#" in rest:
        plain = re.split("[?#]", text, maxsplit=1)[0]  # a key may stand in the query
        raise ValueError(f'an endpoint takes no query or fragment: leave it at "{plain}"')
    host, port = _split_authority(text, rest.partition("/")[0], _SCHEMES[scheme])
    base_path = rest[rest.index("/") :].rstrip("/") if "/" in rest else ""
    if not _PATH.fullmatch(base_path):
        raise ValueError(f'not a URL path: "{base_path}"')
    if scheme == "dns" and _is_ip(host):
        raise ValueError(f'dns:// needs a name to resolve, not an address: "{host}"')
    return EndpointUrl(text, host, port, scheme == "https", scheme == "dns", base_path)


def _not_a_url(text: str) -> str:
    candidate = f"http://{text.lstrip('/')}"
    try:
        parse_endpoint(candidate)
    except ValueError:
        return "not a URL" if "?" in text or "@" in text else f'not a URL: "{text}"'
    return f'not a URL: "{text}" (did you mean {candidate} ?)'


def _split_authority(text: str, authority: str, default_port: int) -> tuple[str, int]:
    wrong = ValueError(f'not a URL: "{text}"')
    try:
        parts = urlsplit(f"//{authority}")
        port = parts.port
    except ValueError:
        raise ValueError(f'not a host and port: "{authority}"') from None
    if parts.hostname is None or port == 0:
        raise wrong
    host = _ipv6(parts.hostname, wrong) if authority.startswith("[") else parts.hostname
    if not authority.startswith("[") and not _HOST.fullmatch(host):
        raise wrong
    # A name that ends in a number is an address with a typing error (RFC 3986 §3.2.2).
    number_at_end = host.rpartition(".")[2].isdigit() and not _is_ip(host)
    if authority.endswith(":") or number_at_end:
        raise wrong
    return host, port if port is not None else default_port


def _ipv6(host: str, wrong: ValueError) -> str:
    try:
        return str(ipaddress.IPv6Address(host))
    except ValueError:
        raise wrong from None


def _is_ip(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
