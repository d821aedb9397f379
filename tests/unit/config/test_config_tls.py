"""`server.tls`: what is refused, with its line; what `check` says of files that are here."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from router.app.configuration import prove_tls
from router.config import Config, ConfigProblems, Problem, check
from router.config.tls import server_tls
from router.tls import ClientCertificates
from tests.support.certificates import Authority, Pair

Write = Callable[..., str]
Refusals = Callable[[str], list[Problem]]
Loads = Callable[[str], Config]

ROUTES = """
routes:
- name: chat
  match: [{path: /v1/chat/completions}]
  versions:
    v1:
      endpoints: [https://a.test:8443]
      TLS
  release: v1
"""


def with_server(tls: str, *, door: str = "native") -> str:
    return f"server:\n  door: {door}\n  tls: {tls}\n{ROUTES.replace('      TLS', '')}"


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
def pair(authority: Authority) -> Pair:
    return authority.issue("server", "localhost")


def test_names_are_relative_to_the_file_and_the_rest_has_safe_defaults(
    loads: Loads, tmp_path: Path
) -> None:
    section = loads(with_server("{certificateFile: a.crt, keyFile: a.key}")).server.tls
    assert section is not None
    tls = server_tls(section)
    assert tls.certificate_file == str(tmp_path / "a.crt")
    assert tls.client_certificates is ClientCertificates.OFF
    assert (tls.min_version, tls.forward_client_certificate) == ("1.2", False)


def test_off_and_a_version_need_no_quotes(loads: Loads) -> None:
    text = "{certificateFile: a, keyFile: b, clientCertificates: off, minVersion: 1.3}"
    section = loads(with_server(text)).server.tls
    assert section is not None
    assert section.min_version == "1.3"


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ("clientCertificates: required", "clientCertificates needs clientCaFile"),
        ("clientCaFile: ca.pem", "verifies nobody while clientCertificates is off"),
        ("forwardClientCertificate: true", "forwardClientCertificate needs clientCertificates"),
        ("minVersion: 1.1", "1.2"),
        ("clientCertificates: maybe", "required"),
    ],
)
def test_what_contradicts_itself_is_refused_with_its_line(
    refusals: Refusals, more: str, words: str
) -> None:
    (problem,) = refusals(with_server(f"{{certificateFile: a, keyFile: b, {more}}}"))
    assert (problem.line, problem.field.startswith("server.tls")) == (3, True)
    assert words in problem.message


def test_a_certificate_cannot_be_told_by_the_asgi_door(refusals: Refusals) -> None:
    tls = (
        "{certificateFile: a, keyFile: b, clientCaFile: c, clientCertificates: optional, "
        "forwardClientCertificate: true}"
    )
    (problem,) = refusals(with_server(tls, door="asgi"))
    assert problem.message == "tls.forwardClientCertificate needs door: native"


def test_files_that_are_not_here_are_warned_of_and_refused_by_serve(
    write: Write, loads: Loads
) -> None:
    text = with_server("\n    certificateFile: a.crt\n    keyFile: a.key")
    file = write(text)
    (report,) = check([file]).files
    assert report.problems == ()
    assert [(each.line, each.field) for each in report.warnings][:2] == [
        (4, "server.tls.certificateFile"),
        (5, "server.tls.keyFile"),
    ]
    with pytest.raises(ConfigProblems, match=r":4 server\.tls\.certificateFile: .*does not exist"):
        prove_tls(Path(file), loads(text))


def test_a_key_of_another_certificate_is_a_problem_with_its_line(
    write: Write, loads: Loads, authority: Authority, pair: Pair
) -> None:
    other = authority.issue("other", "localhost")
    text = with_server(f"\n    certificateFile: {pair.certificate}\n    keyFile: {other.key}")
    (report,) = check([write(text)]).files
    (problem,) = report.problems
    assert (problem.line, problem.field) == (5, "server.tls.keyFile")
    assert problem.message.endswith(f"is not the key of the certificate in {pair.certificate}")
    with pytest.raises(ConfigProblems):
        prove_tls(Path(write(text)), loads(text))


def test_a_good_pair_is_no_problem(write: Write, loads: Loads, pair: Pair) -> None:
    text = with_server(f"{{certificateFile: {pair.certificate}, keyFile: {pair.key}}}")
    assert check([write(text)]).ok
    prove_tls(Path(write(text)), loads(text))


def test_a_versions_pair_that_does_not_fit_is_a_problem_with_its_line(
    write: Write, authority: Authority, pair: Pair
) -> None:
    other = authority.issue("other", "localhost")
    tls = f"tls: {{certificateFile: {pair.certificate}, keyFile: {other.key}}}"
    file = write(ROUTES.replace("TLS", tls))
    (report,) = check([file]).files
    (problem,) = report.problems
    assert problem.field == "routes[0].versions.v1.tls.keyFile"
    assert tls in Path(file).read_text().splitlines()[problem.line - 1]
