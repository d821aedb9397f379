"""What outlives every process: states, generations, the audit trail, runs.

    create_store("sqlite:///var/lib/router/state.db") -> Store    not yet open
    create_pair_store("sqlite:///var/lib/router/state.db") -> PairStore
    verify_trail(store, anchors) -> Verdict                       the whole audit trail

base      the port: what every store promises
location  which store a configuration means
memory    for embedding and tests: promises everything but to outlive the process
sqlite    one file, one writer: the default
pairs     recorded pairs of answers, in a file of their own
verify    the audit trail of any of them

Below them: `plan` (what a commit will write, decided once for all stores), `codec`, and for
SQLite `writer` `readers` `changes` `queries` `schema` `file` `connection` `lock`.
"""

from router.store.location import create_pair_store, create_store
from router.store.verify import verify_trail

__all__ = ["create_pair_store", "create_store", "verify_trail"]
