"""How far a route has come, and where it goes next.  Pure: `now` comes in as an argument.

spec         what a route's configuration asks for: its release, its strategy, its gates
stage        the stages of a blue-green rollout
state        what is recorded about a route beside its configuration
rollout      the part of the state that tells how a release is doing
phases       phases, reasons, and the table of every legal move between phases
diagram      the same table, drawn
events       what can happen: the loop has looked (`Tick`), or a person has said something
effects      what a decision asks the loop to do, and the notes that say why
machine      `advance`: (spec, state, event, now) -> decision
turn         one decision while it is made
commands     what a person says
release      the release of the configuration against the version that is stable
dangers      what ends a rollout: verdicts, breakers, a version that is gone
health       whether enough endpoints of a version are healthy
blue_green   one stage of a blue-green rollout after the other
switching    a person's switch
walk         one step after the other, as far as they let it
gates        questions to somebody outside, before it goes on
warmups      warm-ups: begun, judged, stopped
runs         analysis runs: begun, judged, stopped
ending       promoted, aborted, rewound
status       what people are told; when to look again
"""
