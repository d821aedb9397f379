"""Where to listen, and where model servers are."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.config.address import Address, EndpointUrl, parse_address, parse_endpoint


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("0.0.0.0:8080", Address("0.0.0.0", 8080)),
        ("[::]:8080", Address("::", 8080)),
        ("localhost:0", Address("localhost", 0)),
    ],
)
def test_an_address_is_read_and_written_alike(text: str, address: Address) -> None:
    assert parse_address(text) == address
    assert str(address) == text


@pytest.mark.parametrize("text", ["8080", ":8080", "a:b", "a:65536", "[x]:1", "a b:1", "", None])
def test_what_is_no_address_is_refused(text: object) -> None:
    with pytest.raises(ValueError, match="not an address"):
        parse_address(text)


def test_loopback_is_known_by_name_and_by_number() -> None:
    loopback = {text: parse_address(text).loopback for text in ("localhost:1", "[::1]:1")}
    assert loopback == {"localhost:1": True, "[::1]:1": True}
    assert parse_address("127.8.8.8:1").loopback
    assert not parse_address("0.0.0.0:1").loopback
    assert not parse_address("example.com:1").loopback


@pytest.mark.parametrize(
    ("text", "host", "port", "https", "dns", "base_path"),
    [
        ("http://10.0.0.1:8000", "10.0.0.1", 8000, False, False, ""),
        ("http://10.0.0.1", "10.0.0.1", 80, False, False, ""),
        ("https://Llama.Example/", "llama.example", 443, True, False, ""),
        ("https://a:8443/v/llama/", "a", 8443, True, False, "/v/llama"),
        ("dns://vllm.ai.svc:8000", "vllm.ai.svc", 8000, False, True, ""),
        ("http://[::1]:8000/x", "::1", 8000, False, False, "/x"),
    ],
)
def test_an_endpoint_is_taken_apart(
    text: str, host: str, port: int, https: bool, dns: bool, base_path: str
) -> None:
    assert parse_endpoint(text) == EndpointUrl(text, host, port, https, dns, base_path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("10.0.0.1:8000", 'not a URL: "10.0.0.1:8000" (did you mean http://10.0.0.1:8000 ?)'),
        ("llama", 'not a URL: "llama" (did you mean http://llama ?)'),
        ("//a:1", 'not a URL: "//a:1" (did you mean http://a:1 ?)'),
        ("", 'not a URL: ""'),
        ("ftp://a", 'scheme "ftp" is not one of http, https, dns'),
        ("http://u:p@a", "an endpoint takes no user name or password"),
        ("http://a/?x=1", 'an endpoint takes no query or fragment: leave it at "http://a/"'),
        ("http://a#b", 'an endpoint takes no query or fragment: leave it at "http://a"'),
        ("http://", 'not a URL: "http://"'),
        ("http://a:99999", 'not a host and port: "a:99999"'),
        ("http://a:0", 'not a URL: "http://a:0"'),
        ("http://a:", 'not a URL: "http://a:"'),
        ("http://10.0.0.256:8000", 'not a URL: "http://10.0.0.256:8000"'),
        ("http://[::zz]:1", 'not a host and port: "[::zz]:1"'),
        ("http://a b", "an endpoint has no white space or control characters"),
        ("http://a/é", 'not a URL path: "/é"'),
        ("http://a\r\nx", "an endpoint has no white space or control characters"),
        ("dns://10.0.0.1:80", 'dns:// needs a name to resolve, not an address: "10.0.0.1"'),
    ],
)
def test_what_is_no_endpoint_is_refused_with_a_reason(text: str, message: str) -> None:
    with pytest.raises(ValueError) as refused:
        parse_endpoint(text)
    if "::zz" in text:
        return  # Python versions differ in who notices first
    assert str(refused.value) == message


def test_a_password_is_not_repeated_in_the_refusal() -> None:
    with pytest.raises(ValueError) as refused:
        parse_endpoint("http://user:hunter2@host")
    assert "hunter2" not in str(refused.value)


@given(st.text(max_size=40))
def test_any_text_is_an_endpoint_or_a_value_error(text: str) -> None:
    for candidate in (text, f"http://{text}"):
        try:
            url = parse_endpoint(candidate)
        except ValueError:
            continue
        assert url.host
        assert 1 <= url.port <= 65_535
        assert not set(url.text) & set("\r\n\t \0@?#")
