import msgspec
import pytest
from hypothesis import given
from hypothesis.strategies import integers, lists, sampled_from, tuples

from loadtests.scenarios import tally
from loadtests.scenarios.tally import Tally, Told, Weights

rows = tuples(sampled_from(["chat", "embeddings"]), integers(1, 5), sampled_from(["v1", "v2"]))


def note(book: Tally, answers: list[tuple[str, int, str]]) -> None:
    for number, row in enumerate(answers):
        book.on_begun()
        book.on_answer(row, keyed=number % 3 == 0)
        book.on_ended((200, 503)[number % 2])


def as_sent(told: Told) -> Told:
    """Through the bytes that Locust's processes send one another."""
    sent = msgspec.msgpack.encode(msgspec.to_builtins(told))
    return msgspec.convert(msgspec.msgpack.decode(sent), Told)


def in_order(told: Told) -> Told:
    return msgspec.structs.replace(
        told, answers=sorted(told.answers), keyed=sorted(told.keyed), complaints=[]
    )


@given(parts=lists(lists(rows, max_size=20), max_size=5))
def test_what_processes_tell_piece_by_piece_adds_up_to_what_one_would_have_told(
    parts: list[list[tuple[str, int, str]]],
) -> None:
    together, alone = Tally(), Tally()
    for part in parts:
        process = Tally()
        note(process, part)
        note(alone, part)
        together.add(as_sent(process.take()))
        together.add(as_sent(process.take()))  # nothing is told twice
    assert in_order(together.told()) == in_order(alone.told())


def test_a_status_of_500_or_more_is_a_server_error_and_none_is_not() -> None:
    book = Tally()
    for status in (0, 200, 404, 499, 500, 503):
        book.on_ended(status)
    assert (book.told().ended, book.told().server_errors) == (6, 2)


def test_what_goes_wrong_is_counted_and_its_first_cases_are_kept() -> None:
    book = Tally()
    for number in range(30):
        book.on_change_failed(f"change {number}")
        book.on_moved(f"conversation {number}")
    told = book.told()
    assert (told.failed_changes, told.moved) == (30, 30)
    assert told.complaints[:2] == ["change 0", "conversation 0"]
    assert len(told.complaints) == tally.MAX_COMPLAINTS


def test_rows_that_do_not_fit_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tally, "MAX_ROWS", 2)
    book = Tally()
    for generation in (1, 2, 3, 3, 1):
        book.on_answer(("chat", generation, "v1"), keyed=False)
        book.on_changed(Weights("chat", generation, {"v1": 100}))
    told = book.told()
    assert told.answers == [("chat", 1, "v1", 2), ("chat", 2, "v1", 1)]
    assert len(told.weights) == 2
    assert told.unfitting == 2 + 3
