"""Until when a certificate holds, read out of its bytes."""

from __future__ import annotations

import datetime
import ssl
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis.strategies import binary

from router.tls.expiry import expiry_of_der, expiry_of_pem
from tests.support.certificates import Authority

FAR = datetime.timedelta(days=365 * 60)
"""Beyond 2049, where certificates write their years in four digits (RFC 5280 §4.1.2.5)."""


@pytest.mark.parametrize("lives", [datetime.timedelta(hours=1), datetime.timedelta(days=800), FAR])
def test_the_end_is_what_the_certificate_says(tmp_path: Path, lives: datetime.timedelta) -> None:
    pair = Authority(tmp_path).issue("server", "localhost", lives=lives)
    assert expiry_of_der(pair.der) == pair.expires_at
    assert expiry_of_pem(pair.certificate_file.read_text()) == pair.expires_at


def test_of_a_chain_the_first_counts(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    pair = authority.issue("server", "localhost", lives=FAR)
    chain = "a comment\n" + pair.certificate_file.read_text() + authority.file.read_text()
    assert expiry_of_pem(chain) == pair.expires_at


def test_every_certificate_of_this_system_is_read(tmp_path: Path) -> None:
    context = ssl.create_default_context()
    known = zip(context.get_ca_certs(binary_form=True), context.get_ca_certs(), strict=True)
    for der, parsed in known:
        assert expiry_of_der(der) == ssl.cert_time_to_seconds(str(parsed["notAfter"]))


@given(junk=binary(max_size=60))
def test_whatever_the_bytes_are_it_is_a_number_or_a_value_error(junk: bytes) -> None:
    for data in (junk, b"\x30" + junk, b"\x30\x20\x30\x10" + junk):
        with suppress(ValueError):
            assert isinstance(expiry_of_der(data), float)


@pytest.mark.parametrize("cut", range(0, 300, 7))
def test_a_certificate_that_breaks_off_is_a_value_error(tmp_path: Path, cut: int) -> None:
    der = Authority(tmp_path).issue("server", "localhost").der
    with pytest.raises(ValueError, match="certificate"):
        expiry_of_der(der[:cut])
