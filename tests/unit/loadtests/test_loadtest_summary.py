from dataclasses import replace

import msgspec

from loadtests.scenarios.figures import Failure, Figures, Kind
from loadtests.scenarios.judge import Verdict
from loadtests.scenarios.memory import Sample, Samples
from loadtests.scenarios.plan import Plan
from loadtests.scenarios.profiles import PROFILES
from loadtests.scenarios.summary import Run, summary
from loadtests.scenarios.tally import Told
from router.demo.readings import Counts, Reading

RUN = Run(
    began="2026-11-23T02:00:00+00:00",
    target="staging.internal",
    processes=1,
    plan=Plan(PROFILES["steady"]),
    figures=Figures(
        seconds=60.0,
        kinds=[
            Kind("MEASURE 1/s", "tokens per second", 3, 0, 10.0, 11.0, 12.0, 9.0, 12.0),
            Kind("POST", "chat", 120, 1, 30.0, 40.0, 1500.0, 20.0, 1600.0),
        ],
        failures=[Failure("chat", "HTTP 500: a|b\n</table>", 1)],
        told=Told(answers=[("chat", 1, "v1", 70)], keyed=[("chat", 2, "v1", 7)]),
    ),
    verdicts=[
        Verdict("error ratio", "1 of 120", "0", ok=False),
        Verdict("load", "120 of 120", "0.9", ok=True),
        Verdict("memory", "too short", "5", ok=None),
    ],
    samples=Samples(
        [Sample(0.0, "control", 1, 50_000_000, 1.0), Sample(10.0, "control", 1, 51_000_000, 2.0)]
    ),
    counted={"chat": Reading({"v1": Counts(requests=77, errors=1)})},
)


def test_the_page_says_first_whether_the_run_held() -> None:
    assert summary(RUN).startswith("# Load test `steady`: **missed 1 of its thresholds**\n")
    good = replace(RUN, verdicts=RUN.verdicts[1:])
    assert summary(good).startswith("# Load test `steady`: kept to its thresholds\n")


def test_each_threshold_has_a_line_with_its_verdict() -> None:
    page = summary(RUN)
    assert "| error ratio | 1 of 120 | 0 | **MISSED** |" in page
    assert "| load | 120 of 120 | 0.9 | held |" in page
    assert "| memory | too short | 5 | not judged |" in page


def test_the_routers_numbers_stand_beside_the_clients() -> None:
    assert "| chat v1 | 77 | 77 | 1 | 0 | - | - |" in summary(RUN)


def test_times_and_rates_have_their_units() -> None:
    page = summary(RUN)
    assert "| chat | 120 | 1 | 2.0 | 30 ms | 40 ms | 1.50 s | 20 ms | 1.60 s |" in page
    assert "| tokens per second | 3 | 0 | 0.1 | 10.0 | 11.0 | 12.0 | 9.0 | 12.0 |" in page


def test_memory_and_cpu_of_each_process_are_told() -> None:
    assert "| control | 50.0 MB | 51.0 MB | 51.0 MB | 10 % |" in summary(RUN)


def test_what_an_answer_said_breaks_no_line() -> None:
    assert "* 1 times chat: HTTP 500: a\\|b </table>\n" in summary(RUN)


def test_the_page_can_be_written_without_processes_and_metrics() -> None:
    page = summary(replace(RUN, samples=None, counted={}))
    assert "Memory" not in page
    assert "router counted" not in page


def test_a_plan_outlives_its_way_to_locust() -> None:
    plan = Plan(PROFILES["soak"], kinds=("chat",), admin="http://127.0.0.1:1")
    assert msgspec.json.decode(msgspec.json.encode(plan), type=Plan) == plan
