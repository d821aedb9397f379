"""A configured pattern reads as in Python, takes linear time, or is refused with a remedy."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from router import pattern
from router.pattern import PatternError, bytes_pattern, text_pattern, utf8

PROPERTY = settings(deadline=None, max_examples=200)

ATOMS = st.sampled_from(
    [
        "a",
        "b",
        ".",
        "-",
        r"\.",
        "[ab]",
        "[^a]",
        r"\d",
        r"\w",
        r"\W",
        "é",
        r"\xff",
        "^",
        r"\b",
        "(?:)",
    ]
)
PIECES = st.recursive(
    ATOMS,
    lambda inner: st.one_of(
        st.tuples(inner, inner).map("".join),
        st.builds("({}|{})".format, inner, inner),
        st.builds("(?:{}){}".format, inner, st.sampled_from(["*", "+", "?", "+?", "{2}", "{0,2}"])),
        st.builds("(?i:{})".format, inner),
    ),
    max_leaves=6,
)
PATTERNS = PIECES | PIECES.map("(?s){}".format) | PIECES.map("{}$".format)
LETTERS = [b"a", b"b", b"B", b"-", b".", b"1", b" ", "é".encode(), b"\xff", b"\x80", b"\0"]
TEXTS = st.lists(st.sampled_from(LETTERS), max_size=8).map(b"".join)

EVIL = [
    r"(a+)+b",
    r"(a|a)*b",
    r"(a|aa)+b",
    r"(.*a){12}b",
    r"^(([a-z])+.)+[A-Z]([a-z])+$",
    r"(a?){20}(a){20}b",
    r"([^,]*,)*x",
    r"\s*a*\s*a*\s*a*b",
]


@PROPERTY
@given(PATTERNS, TEXTS)
def test_a_header_is_matched_whole_as_pythons_re_matches_it(written: str, text: bytes) -> None:
    expected = re.fullmatch(written.encode(), text) is not None
    assert bytes_pattern(written).matches_whole(text) is expected


@PROPERTY
@given(PATTERNS, TEXTS)
def test_an_answer_is_searched_as_pythons_re_searches_it(written: str, text: bytes) -> None:
    assert bytes_pattern(written).found_in(text) is (re.search(written.encode(), text) is not None)


@pytest.mark.parametrize("written", EVIL)
def test_a_pattern_that_backtracks_elsewhere_is_done_with_a_long_text_at_once(written: str) -> None:
    # `re` would take longer than the universe has been there.  Its own process, so that a stall
    # fails this test instead of stopping them all.
    work = (
        "import sys; from router.pattern import bytes_pattern; "
        "pattern, text = bytes_pattern(sys.argv[1]), b'a' * 65_536; "
        "print(pattern.matches_whole(text), pattern.found_in(text))"
    )
    ran = subprocess.run(
        [sys.executable, "-c", work, written],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert ran.stdout == "False False\n"


@pytest.mark.parametrize(
    ("written", "words"),
    [
        ("(?=a)b", "there is no look-ahead"),
        ("(?!a)b", "there is no look-ahead"),
        ("(?<=a)b", "there is no look-behind"),
        ("(?<!a)b", "there is no look-behind"),
        (r"(a)\1", "there are no references back to a group"),
        ("(?P<n>a)(?P=n)", "there are no references back to a group"),
        ("(a)?(?(1)b|c)", "there are no references back to a group"),
        ("(?>a)", "write (?:…): nothing backtracks here"),
        ("a++", "write +: nothing backtracks here"),
        ("a{2}+", "write {2}: nothing backtracks here"),
        (r"a\Z", r"write \z"),
        ("(?#why)a", "there are no comments in a pattern"),
        ("(?x) a", "of flags there are i, m, s and U"),
        ("a{1001}", "1000 times at most"),
        ("a{,2}", "{,2}: write {0,2}"),
        (r"\N{EM DASH}", r"write the character itself, or \x{…}"),
    ],
)
def test_what_re2_does_not_have_is_refused_with_what_to_write_instead(
    written: str, words: str
) -> None:
    re.compile(written)  # Python's would take it
    with pytest.raises(PatternError) as caught:
        bytes_pattern(written)
    assert words in str(caught.value)


@pytest.mark.parametrize("written", [r"a\{,2}", "[{,2}]", "[^]{,2}]", r"[\]{,2}]"])
def test_braces_that_count_nothing_are_no_count_with_an_open_end(written: str) -> None:
    assert bytes_pattern(written)


@pytest.mark.parametrize(
    "written", ["a" * 3_000, "[ab]{1000}[cd]{1000}", "(a{30}b){33}(a{30}b){33}"]
)
def test_a_pattern_of_too_many_instructions_is_refused(written: str) -> None:
    with pytest.raises(PatternError, match="repeats too much"):
        bytes_pattern(written)


def test_a_pattern_that_would_take_too_much_memory_is_refused() -> None:
    with pytest.raises(PatternError, match=r"too large.*repeat less"):
        text_pattern("a" * pattern.MAX_MEMORY_BYTES)


def test_a_refusal_quotes_the_pattern_as_it_was_written_and_not_all_of_it() -> None:
    with pytest.raises(PatternError, match=r"^missing \]: \[é$"):
        bytes_pattern("é[é")
    with pytest.raises(PatternError) as caught:
        bytes_pattern("(" * 900)
    assert len(str(caught.value)) < 100


def test_characters_are_one_each_in_texts_and_their_bytes_on_the_wire() -> None:
    assert text_pattern("^.$").found_in(utf8("é"))
    assert not bytes_pattern("^.$").found_in("é".encode())
    assert bytes_pattern("caf.*").matches_whole(b"caf\xe9")


def test_half_a_character_is_looked_at_as_one_that_cannot_be_shown() -> None:
    assert utf8("a\ud800b") == "a\ufffdb".encode()
    assert utf8("\ud83d\ude00") == "😀".encode()


def test_who_has_no_pattern_does_not_load_re2() -> None:
    work = (
        "import sys, router.dataplane.server, router.config, router.controller.plane; "
        "print('re2' in sys.modules); "
        "from router.pattern import bytes_pattern; bytes_pattern('a'); print('re2' in sys.modules)"
    )
    ran = subprocess.run([sys.executable, "-c", work], capture_output=True, text=True, check=True)
    assert ran.stdout.split() == ["False", "True"]
