"""`matches` finds what expr's Go finds, and refuses what it refuses."""

from __future__ import annotations

import pytest

from router.analysis.conditions import ConditionError, regex
from router.analysis.conditions.regex import check_pattern
from router.analysis.conditions.run import Run


def found(pattern: str, text: str) -> bool:
    return regex.found_in(text, pattern, Run(None))


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        ("", ""),
        ("b", "abc"),
        ("^a.c$", "abc"),
        ("^(v1|v2)-[0-9]+$", "v2-17"),
        ("^a{2,3}$", "aaa"),
        ("^a{2,}$", "aaaa"),
        ("^a{2}$", "aa"),
        ("a{x}", "a{x}"),
        ("^a{,2}$", "a{,2}"),
        ("^(?i)ABC$", "aBc"),
        ("^a(?i:B)c$", "abc"),
        ("^(?i:a(?-i)b)c$", "Abc"),
        ("(?m)^b$", "a\nb\nc"),
        ("(?s)a.b", "a\nb"),
        (r"^\d\w\s\D\W\S$", "1a x-y"),
        (r"\bcat\b", "a cat!"),
        (r"a\Bb", "ab"),
        (r"\Aab\z", "ab"),
        ("^[^a-c]$", "d"),
        ("^[]a]+$", "]a"),
        ("^[a-]+$", "a-"),
        (r"^[\d.]+$", "1.5"),
        ("^[[:alpha:]_]+$", "ab_"),
        ("^[[:^digit:]]+$", "ab"),
        (r"^\pL\p{Lu}\P{L}\p{^L}$", "éÀ11"),
        (r"^\x41\x{1F600}\101\t$", "A😀A\t"),
        (r"^\Qa.b*\E$", "a.b*"),
        ("^(?P<name>a)(?<other>b)(?:c)$", "abc"),
        ("^a+?b*?c??$", "aab"),
        (r"^\.\*\[$", ".*["),
        ("^(?i)[k-m]$", "L"),
        ("^(|a)*$", "aa"),
        (r"^\p{Greek}+$", "λόγος"),
        ("^(?i)straße$", "STRAßE"),
        ("^.{2}$", "é😀"),
        ("^a.b$", "a\ud800b"),
    ],
)
def test_a_pattern_matches_anywhere_in_the_text(pattern: str, text: str) -> None:
    assert found(pattern, text)


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        ("^b", "abc"),
        ("a$", "a\n"),
        ("a.b", "a\nb"),
        ("^a{2}$", "aaa"),
        ("ABC", "abc"),
        (r"\bat", "cat"),
        (r"^\d$", "٣"),
        (r"^\w$", "é"),
        (r"\s", "\v"),
        ("[^a]", "a"),
        ("(?m)^c$", "a\nb"),
        (r"\x41", "B"),
        ("^(?i:b)c$", "BC"),
    ],
)
def test_a_pattern_does_not_match_what_re2_does_not(pattern: str, text: str) -> None:
    assert not found(pattern, text)


@pytest.mark.parametrize(
    ("pattern", "words"),
    [
        ("(?=a)", "invalid perl operator: (?="),
        ("(?<!a)", "invalid perl operator: (?<!"),
        (r"(a)\1", r"invalid escape sequence: \1"),
        ("[", "missing ]: ["),
        ("(a", "missing ): (a"),
        ("a)", "unexpected ): a)"),
        ("*a", "no argument for repetition operator: *"),
        ("a**", "bad repetition operator: **"),
        ("a{2,1}", "invalid repetition size: {2,1}"),
        ("a{1001}", "invalid repetition size: {1001}"),
        ("[b-a]", "invalid character class range: b-a"),
        ("[[:nope:]]", "invalid character class range: [:nope:]"),
        (r"\p{Nope}", r"invalid character class range: \p{Nope}"),
        (r"\y", r"invalid escape sequence: \y"),
        ("a\\", "trailing \\"),
        ("(?P<a-b>x)", "invalid named capture group: (?P<a-b>"),
        (r"\x{110000}", "invalid escape sequence"),
    ],
)
def test_a_pattern_that_re2_refuses_is_refused(pattern: str, words: str) -> None:
    with pytest.raises(ConditionError) as caught:
        check_pattern(pattern)
    assert f"error parsing regexp: {words}" in str(caught.value)
