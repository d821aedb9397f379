"""How a request comes to have a place: the first half of an exchange.

    begin → collect → route → wait → admitted

It collects as much of the body as routing looks into, follows the table to route and version, and
takes a place of the route, and of the version where that has bounds; or waits for one.  Whoever
has waited is decided anew, on the table that is served then.

Only `router.dataplane.exchange` is made of this: it sets the fields (one `__init__` for both
halves: a second call would cost 0.1 µs a request) and goes on at `_attempt`.
"""

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Final

from router.clock import NEVER
from router.dataplane import replies
from router.dataplane.admission import Admission
from router.dataplane.client import Client
from router.dataplane.decide import (
    Destination,
    Plan,
    Refusal,
    choose_version,
    find_destination,
    no_route,
    plan_of,
    read_fields,
    unknown_model,
)
from router.dataplane.table import LiveRoute, LiveVersion
from router.dataplane.waiting import NoPlace, Wait
from router.errors import ErrorCode
from router.http1.caller import has_passed
from router.http1.request import RequestHead
from router.routing.body import NO_FIELDS, BodyFields, model_of_prefix

if TYPE_CHECKING:
    from router.dataplane.server import DataPlane

LOOK_AHEAD: Final = 16 * 1024


class Arrival(ABC):
    """See the module."""

    __slots__ = (
        "_admission",
        "_body_complete",
        "_circuit",
        "_client",
        "_content_length",
        "_destination",
        "_fields",
        "_head",
        "_looked_ahead",
        "_pieces",
        "_plan",
        "_plane",
        "_received",
        "_version",
        "_wait",
        "deadline",
        "done",
    )

    _plane: "DataPlane"
    _client: Client
    _head: RequestHead
    _content_length: int | None
    _plan: Plan
    # collect
    _pieces: list[bytes]
    _received: int
    _body_complete: bool
    _looked_ahead: bool
    # route: `_admission` and `_circuit` are where the exchange holds a place of its route and
    # of its version; `_version` is set while it holds all that it needs
    _fields: BodyFields
    _destination: Destination | None
    _admission: Admission | None
    _circuit: Admission | None
    _version: LiveVersion | None
    _wait: Wait | None
    deadline: float
    done: bool

    # -- how it goes on ----------------------------------------------------------------------

    @abstractmethod
    def _attempt(self, route: LiveRoute, version: LiveVersion, fresh: bool = False) -> None:
        """It has its places: forward it."""

    @abstractmethod
    def _refuse(
        self,
        code: ErrorCode,
        message: str,
        param: str | None = None,
        *,
        retry_after_s: int = replies.SOONEST_RETRY_S,
    ) -> None:
        """Answer with an error."""

    @abstractmethod
    def _reply(self, status: int, fields: bytes, body: bytes) -> None:
        """Answer from here."""

    # -- collect: as much of the body as routing needs ---------------------------------------

    def begin(self, body: bytes, complete: bool) -> None:
        """Take the request's head, and what came of its body with it."""
        plane, plan, head = self._plane, self._plan, self._head
        if body:
            self._pieces.append(body)
            self._received = len(body)
        self._body_complete = complete
        if head.via is not None and has_passed(head.via, plane.pseudonym):
            self._refuse(ErrorCode.LOOP_DETECTED, "this request has been here before")
        elif not plan.nodes:
            self._answer_locally(no_route(head))
        elif complete:
            self._route()
        elif (self._content_length or 0) > plan.table.max_body_bytes:
            self._refuse_body(plan.table.max_body_bytes)
        else:
            self._collect()

    def _collect(self) -> None:
        """Go on once there is as much of the body as routing looks into."""
        destination = self._destination
        if destination is not None:
            needed = destination.route.spec.limits.max_inspect_bytes
        else:
            needed = self._plan.table.max_inspect_bytes if self._plan.inspects else 0
        if self._body_complete or self._received >= needed or self._model_stands_first():
            self._route()
        else:
            self._client.ask_for_body()
            self.deadline = self._plane.now() + self._plane.settings.body_timeout_s

    def _model_stands_first(self) -> bool:
        """Look for the model in the first bytes of a long body: then the rest can stream through.

        Tried once; most clients write it first, and those that do not are simply waited for.
        """
        if self._destination is not None or self._received < LOOK_AHEAD or self._looked_ahead:
            return False
        self._looked_ahead = True
        if self._plan.boundary is not None:
            return False
        model = model_of_prefix(self._join_pieces()[:LOOK_AHEAD])
        if model is None:
            return False
        self._fields = BodyFields(model=model)
        return True

    def _join_pieces(self) -> bytes:
        body = b"".join(self._pieces)
        self._pieces = [body]
        return body

    # -- route: match, version, admission ----------------------------------------------------

    def _route(self) -> None:
        """Choose route and version; then take a place, or wait for one."""
        plan, destination = self._plan, self._destination
        try:
            if destination is None:
                model = self._read_fields(plan).model if plan.inspects else None
                destination = plan.destinations.get(model)
                if destination is None:
                    destination = find_destination(plan, self._head, model)
                self._destination = destination
                route = destination.route
                limit = route.max_body_bytes
                if self._received > limit or (self._content_length or 0) > limit:
                    self._refuse_body(limit)
                    return
                if not self._body_complete and plan.looks_inside(route):
                    self._collect()
                    return
            else:
                route = destination.route
            if route.body_fields and (self._fields is NO_FIELDS or self._looked_ahead):
                self._read_fields(plan)
        except Refusal as refusal:
            if destination is None:
                self._answer_locally(refusal)
            else:
                self._refuse(refusal.code, str(refusal), refusal.param)
            return
        if self._plane.shedder.share and self._is_shed(destination):
            return
        admission = route.admission
        if admission.enter():
            self._admission = admission
            version = destination.version
            if version is None:
                version = choose_version(destination, self._head, self._fields)
            self._admitted(route, version)
        else:
            self._wait_for(admission, None)

    def _read_fields(self, plan: Plan) -> BodyFields:
        if self._fields is not NO_FIELDS and not self._body_complete:
            return self._fields
        pieces = self._pieces
        body = pieces[0] if len(pieces) == 1 else self._join_pieces()
        fields = self._fields = read_fields(plan, body, self._body_complete)
        return fields

    def _is_shed(self, destination: Destination) -> bool:
        """Whether it is refused, because the worker has more to do than it can."""
        plane, route, rank = self._plane, destination.route, destination.rank
        if not plane.shedder.refuses(rank, route.admission.bounds.classes, plane.draw()):
            return False
        plane.count_shed(route.spec.name, route.class_of(rank))
        self._refuse(
            ErrorCode.ROUTER_OVERLOADED,
            "the router cannot keep up",
            retry_after_s=plane.shedder.retry_after_s,
        )
        return True

    # -- wait: for a place of the route, then for one of the version -------------------------

    @property
    def _waits(self) -> bool:
        return self._wait is not None and self._wait.line is not None

    def _wait_for(
        self, line: Admission, version: LiveVersion | None, *, replay: bool = False
    ) -> None:
        """Queue for a place of the route, or of this version; or be refused at once."""
        now, destination, wait = self._plane.now(), self._destination, self._wait
        assert destination is not None
        if wait is None:
            wait = self._wait = Wait(now + line.bounds.queue_timeout_s)
        wait.line, wait.version, wait.replay = line, version, replay
        self.deadline = wait.due
        if not line.wait(self, destination.rank, now):
            self._refuse_place(wait, NoPlace.FULL)

    def on_admitted(self) -> None:
        """A place has become free (see `admission.Waiter`); the version is chosen only now."""
        wait = self._wait
        assert wait is not None
        line, wait.line = wait.line, None
        self.deadline = NEVER
        if wait.version is None:
            self._admission = line
            self._decide_anew()
            self._choose_again()
        else:  # the table that it was chosen in is still served: see `on_table_changed`
            self._circuit = line
            self._admitted(self._held_route, wait.version)

    def on_displaced(self) -> None:
        """See `admission.Waiter`."""
        assert self._wait is not None
        self._refuse_place(self._wait, NoPlace.DISPLACED)

    def on_table_changed(self) -> None:
        """See `admission.Waiter`: the version that it waited for may have no traffic any more."""
        wait = self._wait
        assert wait is not None
        wait.line = None
        self.deadline = NEVER
        self._decide_anew()
        if wait.replay:
            route = self._held_route
            self._admitted(route, route.versions[route.stable], replay=True)
        else:
            self._choose_again()

    def _choose_again(self) -> None:
        destination = self._destination
        assert destination is not None
        version = destination.version or choose_version(destination, self._head, self._fields)
        self._admitted(destination.route, version)

    def _refuse_place(self, wait: Wait, why: NoPlace) -> None:
        """There is no place; nothing was sent because of it, and no version has failed."""
        line, wait.line = wait.line, None
        assert line is not None
        plane, name = self._plane, self._held_route.spec.name
        if wait.version is None:
            plane.count_queue_refusal(name, why)
        else:
            plane.count_circuit_refusal(name, wait.version.spec.name, why)
        self._refuse(wait.code, wait.explain(why), retry_after_s=line.retry_after_s(plane.now()))

    def _stop_waiting(self, wait: Wait) -> None:
        if wait.line is not None:
            wait.line.give_up(self)
            wait.line = None

    def _decide_anew(self) -> None:
        """Follow the table that is served now: the wait may have been longer than a switch.

        Where its route is gone, a request that has been let in is still answered.
        """
        table, route = self._plane.table, self._held_route
        if self._plan.table is table or table.routes.get(route.spec.name) is route:
            return
        plan = plan_of(table, self._head)
        model = self._fields.model if plan.inspects else None
        try:
            destination = plan.destinations.get(model) or find_destination(plan, self._head, model)
            if destination.route.spec.name != route.spec.name:
                return
            if destination.route.body_fields and self._fields is NO_FIELDS:
                self._read_fields(plan)
        except Refusal:
            return
        self._plan, self._destination = plan, destination

    def _admitted(self, route: LiveRoute, version: LiveVersion, *, replay: bool = False) -> None:
        """It has a place of its route; where the version has bounds, it needs one of them, too."""
        circuit = version.circuit
        if circuit is not None and self._circuit is None:
            if not circuit.enter():
                self._wait_for(circuit, version, replay=replay)
                return
            self._circuit = circuit
        self._version = version
        version.bind()
        version.recorder.in_flight += 1
        self._attempt(route, version)

    def _answer_locally(self, refusal: Refusal) -> None:
        """`GET /v1/models` where no route claims it; else say why there is no route."""
        head, models = self._head, self._plan.table.index.models
        if head.method in (b"GET", b"HEAD") and models:
            created = int(self._plane.clock.wall())
            if head.path == b"/v1/models":
                self._reply(200, replies.JSON, replies.model_list(models, created))
                return
            if head.path.startswith(b"/v1/models/"):
                name = head.path[11:].decode("utf-8", "replace")
                if name in models:
                    self._reply(200, replies.JSON, replies.model_card(name, created))
                    return
                refusal = unknown_model(name)
        self._refuse(refusal.code, str(refusal), refusal.param)

    @property
    def _held_route(self) -> LiveRoute:
        destination = self._destination
        assert destination is not None
        return destination.route

    def _refuse_body(self, limit: int) -> None:
        self._refuse(ErrorCode.BODY_TOO_LARGE, f"the body is larger than {limit} bytes")
