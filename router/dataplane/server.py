"""One worker's data plane: its table, its exchanges, its server.

Everything here belongs to one event loop.  The data plane needs control for nothing but a new
snapshot; what it counts and sees is fetched or called back.
"""

import asyncio
import contextlib
import logging
import math
import random
import socket
import ssl
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final, Protocol

import msgspec
import uvicorn

from router.clock import Clock, SystemClock
from router.dataplane.accesslog import AccessLog, AccessLogSettings
from router.dataplane.draining import Drains
from router.dataplane.frontends import asgi
from router.dataplane.frontends.native import NativeProtocol
from router.dataplane.hangup import hang_up
from router.dataplane.listener import SecureListener
from router.dataplane.mirror import Mirrors
from router.dataplane.table import EMPTY, Installer, LiveVersion, Table
from router.dataplane.upstream.endpoint import EndpointState
from router.dataplane.upstream.idle import CEILING_S
from router.dataplane.upstream.outliers import Outliers
from router.dataplane.upstream.pool import SWEEP_S
from router.http1.caller import forwarded_lines
from router.http1.client_certificate import client_certificate_line
from router.http1.reader import HeadReader
from router.http1.request import RequestHead, parse_request
from router.http1.rules import RULES, ClientRules
from router.link.messages import EndpointHealth, Gone, Health, Pair, Panic, Trip
from router.routing.shedding import Shedder
from router.snapshot import Snapshot, SnapshotChange, apply
from router.telemetry import families
from router.telemetry.recorder import Series, WorkerRecorder
from router.tls import ServerTls

if TYPE_CHECKING:
    from router.dataplane.exchange import Exchange

log: Final = logging.getLogger(__name__)

TICK_S: Final = 0.1
FAREWELL_LOOK_S: Final = 0.02
HANG_UP_S: Final = 1.0
"""How long a TLS connection that was told to close may say nothing, when the server ends."""
_GOODBYE_S: Final = 30.0
"""The same while it serves: nobody waits for it then, and something may still be on its way."""
_LAST_WORDS_S: Final = 5.0
_SWEEP_EVERY: Final = round(SWEEP_S / TICK_S)
"""Idle connections are looked at every so many ticks."""


class DataPlaneSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What a worker must know besides the snapshot; times in seconds.

    `farewell_s`: so long after it has stopped to accept a server waits for the next request of its
    connections, which is answered with `Connection: close`, before it closes those without one.
    `shed_delay_s`: new requests are refused while the event loop runs later than this; 0: never.
    """

    worker: str = "0"
    door: str = "native"
    drain_s: float = 600.0
    drain_delay_s: float = 0.0
    farewell_s: float = 0.0
    access_log: AccessLogSettings = AccessLogSettings()
    head_timeout_s: float = 10.0
    body_timeout_s: float = 60.0
    write_timeout_s: float = 60.0
    keep_alive_s: float = 75.0
    upstream_idle_s: float = CEILING_S
    rules: ClientRules = RULES
    tls: ServerTls | None = None
    shed_delay_s: float = 0.5
    pseudonym: str = "inference-router"
    backlog: int = 2048


class Connection(Protocol):
    """A client connection, as the tick sees it."""

    deadline: float

    def on_deadline(self) -> None:
        """Its time is over."""
        ...


class DataPlane:
    """The state that all exchanges of one worker share."""

    def __init__(self, settings: DataPlaneSettings, *, clock: Clock | None = None) -> None:
        self.settings: Final = settings
        self.rules: Final = settings.rules
        self.clock: Final = clock or SystemClock()
        self.now: Final = self.clock.monotonic
        self.draw: Final = random.random
        self.recorder: Final = WorkerRecorder(settings.worker)
        self.observe_request_overhead: Final = self.recorder.overhead_request.observe
        self.observe_response_overhead: Final = self.recorder.overhead_response.observe
        self.idle_due = 0.0
        self.log: Final = AccessLog(settings.access_log, self.recorder, self.draw)
        self.pseudonym: Final = settings.pseudonym.lower().encode()
        self.table: Table = EMPTY
        self.active: Final[set[Exchange]] = set()
        self.drains: Final = Drains()
        self.outliers: Final = Outliers()
        self.shedder: Final = Shedder(settings.shed_delay_s or math.inf)
        self.connections: Final[set[Connection]] = set()
        self.bodies: Final[set[Connection]] = set()
        """Requests of the asgi door whose bodies are still coming."""
        self.peers: Final = asgi.Peers()
        self.watchers: Final = asgi.Watchers()
        self.draining = False
        self.secure: SecureListener | None = None
        self.on_health: Callable[[Health], None] | None = None
        self.on_pair: Callable[[Pair], bool] = lambda _pair: False
        self._mirrors: Final = Mirrors(self)
        self._installer = Installer(
            self.recorder,
            self.clock,
            self.draw,
            self._tell_health,
            self._mirrors,
            settings.upstream_idle_s,
        )
        self._id_prefix = f"{random.getrandbits(48):012x}-".encode()
        self._next_id = 0
        self._ticks = 0
        self._tick_due = 0.0
        self._timer: asyncio.TimerHandle | None = None

    # -- what control sends ------------------------------------------------------------------

    @property
    def generation(self) -> int:
        """The generation that every request is decided on from now on."""
        return self.table.generation

    def install(self, snapshot: Snapshot) -> None:
        """Serve this snapshot; the one assignment makes it atomic for requests."""
        old = self.table
        self.table = self._installer.install(snapshot, old)
        self.drains.follow(old, self.table, now=self.now(), wall=self.clock.wall())
        self._let_waiters_follow(old)

    def _let_waiters_follow(self, old: Table) -> None:
        """Decide anew who waits for a version's place, and give away places that were added.

        At once: a version that answers nothing any more frees no place, and whoever waits for one
        could go elsewhere by the new table.
        """
        for name, route in self.table.routes.items():
            before = old.routes.get(name)
            if before is None or before is route:
                continue
            for version in before.circuits:
                assert version.circuit is not None
                for waiter in version.circuit.take_waiters():
                    waiter.on_table_changed()
            route.admission.admit()

    def change(self, change: SnapshotChange) -> bool:
        """Serve what the change makes of the present snapshot; False if it does not fit it."""
        if change.base != self.table.generation:
            return False
        self.install(apply(self.table.snapshot, change))
        return True

    # -- what control is told ----------------------------------------------------------------

    def health(self) -> Health:
        """Every endpoint as this worker sees it, and every breaker that has tripped."""
        versions = [v for route in self.table.routes.values() for v in route.versions.values()]
        return Health(
            endpoints=[self._health_of(e) for version in versions for e in version.endpoints],
            trips=[_trip_of(version) for version in versions if version.tripped],
            panics=[_panic_of(version) for version in versions if version.panic],
            complete=True,
        )

    def _tell_health(self, *endpoints: EndpointState, gone: Sequence[EndpointState] = ()) -> None:
        if self.on_health is None:
            return
        versions = {each.version for each in (*endpoints, *gone) if each.version is not None}
        self.on_health(
            Health(
                endpoints=[self._health_of(each) for each in endpoints],
                panics=[_panic_of(version) for version in versions],
                gone=[_gone_of(each) for each in gone],
            )
        )

    def _health_of(self, endpoint: EndpointState) -> EndpointHealth:
        version, ramp, idle_time = endpoint.version, endpoint.ramp, endpoint.origin.pool.idle_time
        now, wall = self.now(), self.clock.wall()
        # It may get requests, or nothing would ever start; but nobody may promise that it is
        # healthy.
        unproven = endpoint.probe_key is not None and endpoint.probed is None
        out_s = endpoint.left_alone_for_s(now)
        return EndpointHealth(
            version.route if version else "",
            version.spec.name if version else "",
            endpoint.spec.url,
            endpoint.healthy and not unproven,
            endpoint.reason or ("not probed yet" if unproven else ""),
            endpoint.times_ejected,
            wall + out_s if out_s else 0.0,
            wall + ramp.since - now if ramp is not None else 0.0,
            wall + ramp.until - now if ramp is not None else 0.0,
            idle_time.limit_s if idle_time.learned else 0.0,
            endpoint.address,
        )

    # -- the breaker -------------------------------------------------------------------------

    def note_failure(self, failed: LiveVersion) -> None:
        """A version's failure was booked: perhaps it was one too many."""
        breaker, counts = failed.breaker, failed.counts
        if breaker is None:
            return
        requests, failures = sum(counts.requests.values()), sum(counts.errors.values())
        if breaker.failed(requests, failures, self.now()):
            self._trip(failed)

    def _trip(self, failed: LiveVersion) -> None:
        """Give its share to stable from the next decision on, and tell control.

        Unless its breaker belongs to an older table: then it has lost its share already.
        """
        route = self.table.routes.get(failed.route)
        version = route.versions.get(failed.spec.name) if route is not None else None
        if version is None or version.breaker is not failed.breaker:
            return
        trip = _trip_of(failed)
        log.warning("%s/%s is out of the split: %s", trip.route, trip.version, trip.reason)
        old = self.table
        self.table = self._installer.trip(old, failed.route)
        self._let_waiters_follow(old)
        if self.on_health is not None:
            self.on_health(Health(trips=[trip]))

    def gauges(self) -> list[Series]:
        """What is not counted but looked at: connections and queues."""
        worker = self.settings.worker
        idle = busy = connecting = 0
        pools = [origin.pool for origin in self._installer.origins.values()]
        for pool in [*pools, *(pool for mirror in self._mirrors for pool in mirror.pools)]:
            now_idle, now_busy, now_connecting = pool.statistics()
            idle, busy, connecting = idle + now_idle, busy + now_busy, connecting + now_connecting
        states = (("idle", idle), ("busy", busy), ("connecting", connecting))
        rows = [
            Series(families.UPSTREAM_CONNECTIONS.name, (worker, state), value)
            for state, value in states
        ]
        rows.append(Series(families.CONNECTIONS.name, (worker,), len(self.connections)))
        if self.secure is not None:
            in_progress, expires_at = self.secure.in_progress, self.secure.expires_at
            rows.append(Series(families.TLS_HANDSHAKES_IN_PROGRESS.name, (worker,), in_progress))
            rows.append(Series(families.TLS_EXPIRY.name, (worker,), expires_at))
            rows.append(Series(families.TLS_REFUSED.name, (worker,), float(self.secure.refused)))
        rows += [
            Series(families.QUEUED.name, (name,), route.admission.queued)
            for name, route in self.table.routes.items()
            if route.admission.queued
        ]
        rows.append(Series(families.SHED_SHARE.name, (worker,), self.shedder.share))
        for version in self.table.circuits:
            rows += _circuit_gauges(version)
        rows += [
            Series(families.SHADOW_QUEUED.name, (mirror.route,), mirror.queued)
            for mirror in self._mirrors
        ]
        return rows

    # -- what exchanges and doors need -------------------------------------------------------

    def next_request_id(self) -> bytes:
        """An id that no other request of any worker has."""
        self._next_id += 1
        return b"%b%08x" % (self._id_prefix, self._next_id)

    def forwarded_fields(self, peer: str, scheme: str) -> bytes:
        """Who called, for the model server; what the client itself said of it is replaced."""
        return forwarded_lines([peer.encode()], scheme.encode(), b"1.1 " + self.pseudonym)

    def certificate_line(self, transport: asyncio.BaseTransport) -> bytes:
        """The field that tells of a client's verified certificate, where it is to be told."""
        tls = self.settings.tls
        if tls is None or not tls.forward_client_certificate:
            return b""
        shown: ssl.SSLObject = transport.get_extra_info("ssl_object")
        der = shown.getpeercert(binary_form=True)
        # What is verified is parsed; whatever else there was is not told.
        parsed = shown.getpeercert()
        return client_certificate_line(der, parsed) if der and parsed else b""

    def head_reader(self) -> HeadReader[RequestHead]:
        """Reads the heads of one client connection, by this worker's rules."""
        if self.rules == RULES:
            return HeadReader(parse_request)
        return HeadReader(lambda head: parse_request(head, self.rules))

    def count_unrouted(self, code: str) -> None:
        """A request was refused before a version had it."""
        self.recorder.unrouted[code] = self.recorder.unrouted.get(code, 0) + 1

    def count_refusal(self, status: str, reason: str) -> None:
        """A message broke HTTP."""
        key = (status, reason)
        self.recorder.refusals[key] = self.recorder.refusals.get(key, 0) + 1

    def count_pair_dropped(self, route: str, reason: str) -> None:
        """Two answers will not be compared."""
        key = (route, reason)
        self.recorder.pairs_dropped[key] = self.recorder.pairs_dropped.get(key, 0) + 1

    def count_queue_refusal(self, route: str, reason: str) -> None:
        """Admission refused a request."""
        key = (route, reason)
        self.recorder.queue_refusals[key] = self.recorder.queue_refusals.get(key, 0) + 1

    def count_circuit_refusal(self, route: str, version: str, reason: str) -> None:
        """A version has no place for a request; that is no failure of the version."""
        key = (route, version, reason)
        self.recorder.circuit_refusals[key] = self.recorder.circuit_refusals.get(key, 0) + 1

    def count_shed(self, route: str, class_: str) -> None:
        """A request was refused because the event loop cannot keep up."""
        key = (route, class_)
        self.recorder.shed[key] = self.recorder.shed.get(key, 0) + 1

    # -- life --------------------------------------------------------------------------------

    async def start(self) -> None:
        """Begin to watch deadlines."""
        self.idle_due = self.now() + self.settings.keep_alive_s
        self._tick_due = asyncio.get_running_loop().time() + TICK_S
        self._timer = asyncio.get_running_loop().call_at(self._tick_due, self._tick)

    async def close(self) -> None:
        """End everything that runs in the background."""
        if self._timer is not None:
            self._timer.cancel()
        self._installer.close()
        self.log.close()

    def _tick(self) -> None:
        loop = asyncio.get_running_loop()
        late = loop.time() - self._tick_due
        self.recorder.loop_delay.observe(max(0.0, late))
        self.shedder.observe(max(0.0, late), TICK_S + late)
        self._tick_due = loop.time() + TICK_S
        self._timer = loop.call_at(self._tick_due, self._tick)
        self.recorder.fold()
        now = self.now()
        self.idle_due = now + self.settings.keep_alive_s
        for exchange in [each for each in self.active if each.deadline <= now]:
            # One that ends gives its place to another of these, which then is not due any more.
            if not exchange.done and exchange.deadline <= now:
                exchange.on_deadline()
        self._mirrors.tick(now)
        self._installer.tick(now)
        if self.outliers.due <= now:
            self.outliers.readmit(now)
        if self.drains.due <= now:
            self.drains.end_due(self.active, now)
        self._ticks += 1
        if self._ticks % _SWEEP_EVERY == 0:
            for connection in [each for each in self.connections if each.deadline <= now]:
                if connection.deadline <= now:
                    connection.on_deadline()
            for body in [each for each in self.bodies if each.deadline <= now]:
                body.on_deadline()
            self._installer.sweep()

    def break_off_all(self) -> None:
        """The time to drain is over: what still runs ends with an error."""
        # Those that wait first: else they would get the others' places, and be sent to be cut off.
        for exchange in sorted(self.active, key=lambda each: each.version is not None):
            exchange.on_drained("the router is shutting down")

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """The asgi door."""
        await asgi.answer(self, scope, receive, _closing(send) if self.draining else send)


def _gone_of(endpoint: EndpointState) -> Gone:
    version = endpoint.version
    assert version is not None
    return Gone(version.route, version.spec.name, endpoint.spec.url, endpoint.address)


def _panic_of(version: LiveVersion) -> Panic:
    return Panic(version.route, version.spec.name, version.panic)


def _circuit_gauges(version: LiveVersion) -> list[Series]:
    circuit = version.circuit
    assert circuit is not None
    key = (version.route, version.spec.name)
    return [
        Series(families.CIRCUIT_LIMIT.name, key, circuit.max_in_flight),
        Series(families.CIRCUIT_IN_FLIGHT.name, key, circuit.in_flight),
        Series(families.CIRCUIT_PENDING.name, key, circuit.queued),
    ]


def _trip_of(version: LiveVersion) -> Trip:
    return Trip(version.route, version.spec.name, version.tripped)


def _closing(send: asgi.Send) -> asgi.Send:
    """Let an ASGI server's answer say that its connection closes; the native door knows itself."""

    async def send_closing(message: asgi.Message) -> None:
        if message["type"] == "http.response.start":
            headers = message["headers"]
            if all(name != b"connection" for name, _ in headers):
                message = {**message, "headers": [*headers, (b"connection", b"close")]}
        await send(message)

    return send_closing


class _Server(uvicorn.Server):
    """uvicorn's server without its own idea of signals: the worker's process has one already."""

    def __init__(
        self, config: uvicorn.Config, dataplane: DataPlane, on_serving: Callable[[], None]
    ) -> None:
        super().__init__(config)
        self._dataplane: Final = dataplane
        self._on_serving: Final = on_serving

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """See `uvicorn.Server`."""
        secure = self._dataplane.secure
        if secure is None:
            await super().startup(sockets)
        else:
            self.servers = [await self._listen(sock, secure) for sock in sockets or ()]
            self.started = True
        self._on_serving()

    async def _listen(self, sock: socket.socket, secure: SecureListener) -> asyncio.Server:
        """Accept TLS as uvicorn does, which knows no deadlines for it."""
        settings = self._dataplane.settings

        def make() -> asyncio.Protocol:
            kind: Callable[..., asyncio.Protocol] = self.config.http_protocol_class
            return kind(config=self.config, server_state=self.server_state, app_state={})

        return await asyncio.get_running_loop().create_server(
            make,
            sock=sock,
            backlog=settings.backlog,
            ssl=secure.context,
            ssl_handshake_timeout=settings.head_timeout_s,
            ssl_shutdown_timeout=min(_GOODBYE_S, settings.write_timeout_s),
        )

    def stop_keeping_alive(self) -> None:
        """Have uvicorn's own protocols close after the answer they owe, and say so in its head.

        Where the head is gone already, the client may send its next request as soon as the answer
        ends; that one's answer says it.
        """
        for connection in self.server_state.connections:
            cycle = getattr(connection, "cycle", None)  # the native door has none
            if cycle is not None and not cycle.response_started:
                cycle.keep_alive = False

    def idle_connections(self) -> list[Any]:
        """Those that give no answer now."""
        return [each for each in self.server_state.connections if _is_idle(each)]

    def stop_accepting(self) -> None:
        """Let go of the port; connections that were accepted stay."""
        for server in self.servers if self.started else ():
            server.close()

    async def wait_farewell(
        self, deadline_s: float, while_true: Callable[[], bool] = lambda: True
    ) -> None:
        """Wait until every connection is closed, time is up, or there is no reason any more."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(deadline_s):
                while self._somebody_is_there and while_true():  # noqa: ASYNC110  # uvicorn tells nobody
                    await asyncio.sleep(FAREWELL_LOOK_S)

    @property
    def _somebody_is_there(self) -> bool:
        """A connection, or a client that shakes hands and will be one."""
        secure = self._dataplane.secure
        shaking_hands = secure is not None and secure.in_progress > 0
        return shaking_hands or bool(self.server_state.connections)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals alone."""
        yield


def _is_idle(connection: Any) -> bool:
    if isinstance(connection, NativeProtocol):
        return connection.idle
    cycle = connection.cycle
    return cycle is None or bool(cycle.response_complete)


def _door(dataplane: DataPlane) -> Callable[..., Any]:
    """What uvicorn calls for each connection (its `http=` hook)."""
    if dataplane.settings.door == "native":
        return _native_door(dataplane)
    # Only here: uvicorn's parser would be memory that a worker with the native door never uses.
    from router.dataplane.frontends.patience import patient_protocol

    return patient_protocol(dataplane)


def _native_door(dataplane: DataPlane) -> Callable[..., NativeProtocol]:

    def make(*, server_state: uvicorn.server.ServerState, **_: object) -> NativeProtocol:
        return NativeProtocol(dataplane, server_state.connections)

    return make


async def serve(
    dataplane: DataPlane,
    sockets: list[socket.socket],
    *,
    draining: asyncio.Event,
    succeeded: asyncio.Event | None = None,
    on_serving: Callable[[], None] = lambda: None,
) -> None:
    """Serve on these sockets until `draining` is set, then drain and return.

    Drain: readiness is off already → `drain_delay_s` → stop accepting → `farewell_s` → idle
    connections close, what runs finishes, for `drain_s` at most → error event, close.  From its
    beginning on every answer says `Connection: close`.

    If we are `succeeded`, another process accepts on the same sockets: nobody has to go elsewhere,
    so there is no delay, and idle connections end when they always do, at `keep_alive_s`; until it
    is cleared again (the router ends), and within `drain_s`.

    Raises:
        TlsError: the files of `tls` cannot be used; nothing was accepted.
    """
    if dataplane.settings.tls is None:
        await _serve(dataplane, sockets, draining, succeeded, on_serving)
        return
    dataplane.secure = await SecureListener.open(dataplane.settings.tls, dataplane.recorder)
    following = asyncio.get_running_loop().create_task(dataplane.secure.follow())
    try:
        await _serve(dataplane, sockets, draining, succeeded, on_serving)
    finally:
        following.cancel()


async def _serve(
    dataplane: DataPlane,
    sockets: list[socket.socket],
    draining: asyncio.Event,
    succeeded: asyncio.Event | None,
    on_serving: Callable[[], None],
) -> None:
    settings = dataplane.settings
    config = uvicorn.Config(
        dataplane,
        http=_door(dataplane),  # type: ignore[arg-type]  # uvicorn calls it like the class it asks for
        loop="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=False,
        proxy_headers=False,
        ws="none",
        backlog=settings.backlog,
        timeout_keep_alive=int(settings.keep_alive_s),
        timeout_graceful_shutdown=int(settings.drain_s + _LAST_WORDS_S),
    )
    server = _Server(config, dataplane, on_serving)
    loop = asyncio.get_running_loop()
    running = loop.create_task(server.serve(sockets=sockets))
    waiting = loop.create_task(draining.wait())
    await asyncio.wait({running, waiting}, return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    dataplane.draining = True
    server.stop_keeping_alive()
    if not running.done():
        handed_over = succeeded is not None and succeeded.is_set()
        await asyncio.sleep(0 if handed_over else settings.drain_delay_s)
        # Closing a connection whose next request is on its way loses that request, and nothing in
        # HTTP/1.1 tells the client in time (RFC 9112 §9.5): so those in use are told first.
        server.stop_accepting()
        deadline = loop.call_later(settings.drain_s, dataplane.break_off_all)
        if succeeded is not None:
            idle_s = min(settings.keep_alive_s, settings.drain_s)
            await server.wait_farewell(idle_s, while_true=succeeded.is_set)
        await server.wait_farewell(settings.farewell_s)
        idle = server.idle_connections()
        server.should_exit = True
        while dataplane.secure is not None and not running.done():
            await asyncio.wait({running}, timeout=HANG_UP_S)
            hang_up(each for each in idle if each in server.server_state.connections)
        await asyncio.wait({running})
        deadline.cancel()
    await running
