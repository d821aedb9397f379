"""Contexts of TLS from files: read whole, or refused with a reason.

`server`   what the traffic port shows its clients
`client`   how a model server is verified, and what it is shown
`expiry`   until when a certificate holds
`stamps`   whether files have been replaced

Blocking: it opens files. An event loop calls it in a thread.
"""

from router.tls.client import client_context
from router.tls.errors import TlsError
from router.tls.server import ClientCertificates, Loaded, ServerTls, load_server
from router.tls.stamps import Stamps, stamps_of

__all__ = [
    "ClientCertificates",
    "Loaded",
    "ServerTls",
    "Stamps",
    "TlsError",
    "client_context",
    "load_server",
    "stamps_of",
]
