"""X-Forwarded-Client-Cert: nothing in a certificate can end its line, element or quotes."""

from __future__ import annotations

import re
from hashlib import sha256
from typing import Any

from hypothesis import given
from hypothesis.strategies import lists, sampled_from, text, tuples

from router.http1.client_certificate import MAX_BYTES, client_certificate_line

DER = b"der"
HASH = f"Hash={sha256(DER).hexdigest()}"
KINDS = sampled_from(["URI", "DNS", "email", "IP Address"])
ELEMENT = re.compile(r'(Hash=[0-9a-f]{64}|(?:URI|DNS|Subject)=(?:"[^"\\]*"|[^",;=\\]*))')
SUBJECT = re.compile(r'(?:[^"\\]|\\[0-9A-F]{2}|\\[+,;<>])*')


def line(parsed: dict[str, Any]) -> str:
    written = client_certificate_line(DER, parsed).decode("ascii")
    assert written.startswith(f"x-forwarded-client-cert: {HASH}")
    assert written.endswith("\r\n")
    return written.removeprefix("x-forwarded-client-cert: ").removesuffix("\r\n")


def named(*parts: tuple[str, str]) -> dict[str, Any]:
    return {"subject": tuple(((part),) for part in parts)}


def test_the_subject_is_written_backwards_with_short_names() -> None:
    parsed = named(("countryName", "DE"), ("organizationName", "Acme"), ("commonName", "app"))
    assert line(parsed) == f'{HASH};Subject="CN=app,O=Acme,C=DE"'


def test_a_certificate_without_a_subject_has_an_empty_one() -> None:
    parsed = {"subjectAltName": (("URI", "spiffe://a/b"), ("email", "x@y"), ("DNS", "a.test"))}
    assert line(parsed) == f'{HASH};Subject="";URI=spiffe://a/b;DNS=a.test'


def test_what_has_a_meaning_is_escaped_or_quoted() -> None:
    parsed = {
        **named(("commonName", ' #a,b+c"d\\e;f\r\nx-evil: 1 ')),
        "subjectAltName": (("URI", 'https://a/?b=c;d,e"f\\ g'),),
    }
    assert line(parsed) == (
        rf'{HASH};Subject="CN=\20#a\,b\+c\22d\5Ce\;f\0D\0Ax-evil: 1\20"'
        r';URI="https://a/?b=c;d,e%22f%5C%20g"'
    )


def test_a_line_is_never_longer_than_its_bound_and_has_the_hash_always() -> None:
    many = {"subjectAltName": tuple(("DNS", f"{number}.test") for number in range(1_000))}
    assert MAX_BYTES - 20 < len(client_certificate_line(DER, many)) <= MAX_BYTES
    assert line(named(("commonName", "x" * 10_000))) == HASH


@given(
    subject=lists(tuples(sampled_from(["commonName", "strange"]), text(max_size=12)), max_size=3),
    names=lists(tuples(KINDS, text(max_size=12)), max_size=4),
)
def test_whatever_a_certificate_says_it_is_one_line_of_printable_elements(
    subject: list[tuple[str, str]], names: list[tuple[str, str]]
) -> None:
    written = line({**named(*subject), "subjectAltName": tuple(names)})
    assert re.fullmatch(r"[ -~]*", written)
    quoted = re.search(r'Subject="([^"]*)"', written)
    assert quoted is not None
    assert SUBJECT.fullmatch(quoted[1])
    rest = written.replace(quoted[0], 'Subject=""')
    found = ELEMENT.findall(rest)
    assert ";".join(found) == rest
    assert len(found) == 2 + sum(kind in ("URI", "DNS") for kind, _ in names)
