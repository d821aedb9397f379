"""Files of TLS that cannot be used: the words name the file and the remedy, never what is in it."""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization

from router.tls import ServerTls, TlsError, client_context, load_server
from tests.support.certificates import Authority, Pair


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
def pair(authority: Authority) -> Pair:
    return authority.issue("server", "localhost")


def why(certificate: str, key: str, client_ca: str | None = None) -> str:
    with pytest.raises(TlsError) as refused:
        load_server(ServerTls(certificate_file=certificate, key_file=key, client_ca_file=client_ca))
    assert "MII" not in str(refused.value)  # how every key and certificate begins in PEM
    return str(refused.value)


def test_a_good_pair_is_read_with_its_end(pair: Pair) -> None:
    loaded = load_server(ServerTls(certificate_file=pair.certificate, key_file=pair.key))
    assert loaded.expires_at == pair.expires_at


def test_one_file_may_hold_both(pair: Pair, tmp_path: Path) -> None:
    both = tmp_path / "both.pem"
    both.write_bytes(pair.certificate_file.read_bytes() + pair.key_file.read_bytes())
    loaded = load_server(ServerTls(certificate_file=str(both), key_file=str(both)))
    assert loaded.expires_at == pair.expires_at


def test_a_missing_file_is_named(pair: Pair) -> None:
    assert why("/nowhere.crt", pair.key) == "certificateFile: /nowhere.crt does not exist"
    assert why(pair.certificate, "/nowhere.key") == "keyFile: /nowhere.key does not exist"


def test_a_folder_is_no_file(pair: Pair, tmp_path: Path) -> None:
    assert why(str(tmp_path), pair.key).startswith(f"certificateFile: {tmp_path} cannot be read: ")


def test_another_certificates_key_is_refused(authority: Authority, pair: Pair) -> None:
    other = authority.issue("other", "localhost")
    assert why(pair.certificate, other.key) == (
        f"keyFile: {other.key} is not the key of the certificate in {pair.certificate}"
    )


def test_files_that_were_mixed_up_are_told_apart(pair: Pair) -> None:
    assert "has no certificate in PEM" in why(pair.key, pair.certificate)
    assert "has no private key in PEM" in why(pair.certificate, pair.certificate)


def test_a_key_with_a_password_is_refused_and_nobody_is_asked(pair: Pair, tmp_path: Path) -> None:
    key = serialization.load_pem_private_key(pair.key_file.read_bytes(), None)
    locked = tmp_path / "locked.key"
    locked.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"hunter2"),
        )
    )
    assert "store the key without one" in why(pair.certificate, str(locked))


def test_a_certificate_that_breaks_off_is_refused(pair: Pair) -> None:
    pair.certificate_file.write_bytes(pair.certificate_file.read_bytes()[:200])
    assert why(pair.certificate, pair.key).startswith(f"certificateFile: {pair.certificate} and ")


def test_authorities_that_are_none_are_refused(pair: Pair, tmp_path: Path) -> None:
    empty = tmp_path / "empty.pem"
    empty.write_text("nothing\n")
    assert "holds no authorities in PEM" in why(pair.certificate, pair.key, str(empty))
    with pytest.raises(TlsError, match=r"caFile: .*empty\.pem holds no authorities in PEM"):
        client_context(verify=True, ca_file=str(empty), certificate_file=None, key_file=None)


def test_authorities_with_words_of_any_language_between_them_are_read(
    authority: Authority, tmp_path: Path
) -> None:
    bundle = tmp_path / "bundle.pem"
    bundle.write_text(f"# Főtanúsítvány\n{authority.file.read_text()}", encoding="utf-8")
    context = client_context(verify=True, ca_file=str(bundle), certificate_file=None, key_file=None)
    assert context.cert_store_stats()["x509"] == 1


def test_a_file_that_is_far_too_large_is_refused(pair: Pair, tmp_path: Path) -> None:
    huge = tmp_path / "huge.pem"
    with huge.open("wb") as file:
        file.truncate(2 * 1024 * 1024)
    assert "is it the right file?" in why(str(huge), pair.key)
