"""The files of TLS that a configuration names, tried as they will be used."""

from router.config.models.route import Tls
from router.config.models.server import ListenerTls, Server
from router.config.problems import Finding
from router.tls import ServerTls, TlsError, client_context, load_server


def server_tls(section: ListenerTls) -> ServerTls:
    """The section as a worker is told of it."""
    return ServerTls(
        certificate_file=section.certificate_file,
        key_file=section.key_file,
        client_ca_file=section.client_ca_file,
        client_certificates=section.client_certificates,
        forward_client_certificate=section.forward_client_certificate,
        min_version=section.min_version,
    )


def find_in_server(server: Server, *, missing: bool = True) -> Finding | None:
    """Why `server.tls` cannot be used, if it cannot; `missing` counts files that are not there."""
    if server.tls is None:
        return None
    try:
        load_server(server_tls(server.tls))
    except TlsError as error:
        if missing or not error.missing:
            return Finding(("server", "tls", error.part.value), error.message)
    return None


def find_in_version(tls: Tls) -> Finding | None:
    """Why the files of a version's `tls` cannot be used; those that are not there say nothing."""
    try:
        client_context(
            verify=tls.verify,
            ca_file=tls.ca_file,
            certificate_file=tls.certificate_file,
            key_file=tls.key_file,
        )
    except TlsError as error:
        if not error.missing:
            return Finding((error.part.value,), error.message)
    return None
