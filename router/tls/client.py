"""How a model server is verified, and which certificate of ours it is shown."""

import ssl

from router.tls.errors import Part
from router.tls.files import load_authorities, load_pair


def client_context(
    *, verify: bool, ca_file: str | None, certificate_file: str | None, key_file: str | None
) -> ssl.SSLContext:
    """A context for connections to model servers; HTTP/1.1 only.

    Raises:
        TlsError: a file cannot be used.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    elif ca_file is None:
        context.load_default_certs()
    if ca_file is not None:
        load_authorities(context, Part.CA, ca_file)
    if certificate_file is not None and key_file is not None:
        load_pair(context, certificate_file, key_file)
    return context
