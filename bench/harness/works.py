"""The works: what the load client does, the floor that has the same shape, and the bars."""

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Bar:
    """The most a contender may cost: a ratio to the floor, or bytes where the work counts bytes."""

    native: float
    module: float


@dataclass(frozen=True)
class Work:
    id: str
    title: str
    service: str                     # echo or fanout
    load: tuple[str, ...]            # wsload's arguments, without those every run has
    bar: Bar
    metric: str = "server_ns"        # see METRICS
    conns: int = 100
    payload: int = 64
    coalesce: bool = False           # the floor gathers what one turn of its loop read
    # floor; one_shard, no_settings: the contender itself with one shard, without `settings`; none: absolute figures
    baseline: str = "floor"
    settings: tuple[str, ...] = ()   # KEY=VALUE, of a server that takes them; {folder} and {token}: see door.py
    door: tuple[str, ...] = ()       # wsload's arguments for a server with `settings`, and for no other
    shutdown_policy: str = "300sec"
    timed: bool = True               # takes --seconds and --warmup
    tls: bool = False
    with_floor: bool = True          # the floor does it, too


# metric -> (unit, where it is in wsload's JSON)
METRICS = {
    "server_ns": ("ns", lambda run: run["server"]["ns_per_msg"]),
    "connection_ns": ("ns", lambda run: run["server"]["ns_per_conn"]),
    "latency_p99": ("us", lambda run: run["lat_us"]["p99"]),
    "connect_p99": ("us", lambda run: run["lat_us"]["p99"]),
    "idle_bytes": ("B", lambda run: run["rss_per_conn_bytes"]),
    "room_bytes": ("B", lambda run: run["cycles"][0]["rss_per_room_bytes"]),
}

# Whom a work compares with itself; a baseline that is not here is the floor, or none.
OF_ITSELF = {"one_shard": ("native", "module"), "no_settings": ("native", "module")}

# What keeps one stranger from taking all, so wide that nobody meets it: what asking costs.
DOOR = ("limits.connections_per_address_max=1000000", "limits.connections_per_address_per_second_max=1000000",
        "limits.rooms_per_address_per_minute_max=1000000", "limits.client_messages_per_second_max=1000000",
        "limits.client_bytes_per_second_max=4GiB", "limits.memory_high_bytes=64GiB", "limits.memory_critical_bytes=64GiB")

TOKENS = ("auth.tokens=required", "auth.token_keys={folder}/door.key")
BEARER = ("--header", "Authorization: Bearer {token}")
RETURNING = ("auth.return_within_ms=10000",)
PROXY = ("proxies.trusted=127.0.0.1", "proxies.protocol=required")

ONE_FRAME = Bar(native=1.04, module=1.06)
DEEP = Bar(native=1.15, module=1.4)
ONE_UNDER_WAY = Bar(native=1.06, module=1.06)
SHAPE = Bar(native=1.15, module=1.15)


def echo(id: str, title: str, bar: Bar, conns: int = 100, depth: int = 1, **other) -> Work:
    load = ("echo", "--depth", str(depth), *other.pop("load", ()))
    return Work(id, title, "echo", load, bar, conns=conns, **other)


def fanout(id: str, title: str, bar: Bar, window: int = 1, publishers: int = 1, conns: int = 1000, **other) -> Work:
    load = ("fanout", "--window", str(window), "--publishers", str(publishers), *other.pop("load", ()))
    return Work(id, title, "fanout", load, bar, conns=conns, coalesce=window > 1, **other)


WORKS: tuple[Work, ...] = (
    echo("echo-100", "echo, 100 connections", ONE_FRAME),
    echo("echo-1000", "echo, 1,000 connections", ONE_FRAME, conns=1000),
    echo("echo-100-text", "echo, 100 connections, text", ONE_FRAME, load=("--text",)),
    echo("echo-100-deep", "echo, 100 connections, 16 in flight", DEEP, depth=16),
    echo("echo-1000-deep", "echo, 1,000 connections, 16 in flight", DEEP, conns=1000, depth=16),
    fanout("fanout-1", "fan-out to 1,000, one under way", ONE_UNDER_WAY),
    fanout("fanout-8", "fan-out to 1,000, eight under way", SHAPE, window=8),
    fanout("fanout-8-publishers", "fan-out to 1,000, eight publishers", SHAPE, window=8, publishers=8),
    fanout("fanout-1k-1", "fan-out of 1 KiB, one under way", ONE_UNDER_WAY, payload=1024),
    fanout("fanout-1k-8", "fan-out of 1 KiB, eight under way", SHAPE, window=8, payload=1024),
    fanout("rooms-100x10", "100 rooms of 10, a publisher in each", SHAPE, conns=9, load=("--rooms", "100")),
    echo("echo-16k-text", "echo of 16 KiB text", SHAPE, payload=16384, load=("--text",)),
    echo("echo-16k-binary", "echo of 16 KiB bytes", SHAPE, payload=16384),
    fanout("open-loop", "50,000 deliveries/s, p99 latency", SHAPE, metric="latency_p99", load=("--rate", "50")),
    echo("two-shards", "echo in 100 rooms, two shards over one", Bar(native=1.1, module=1.1), baseline="one_shard",
         load=("--rooms", "100")),
    echo("door-100", "echo, 100 connections, all limits on over none", Bar(native=1.02, module=1.02),
         baseline="no_settings", settings=DOOR),
    echo("door-100-deep", "echo, 16 in flight, all limits on over none", Bar(native=1.02, module=1.02), depth=16,
         baseline="no_settings", settings=DOOR),
    echo("door-tokens-100", "echo, 100 connections, tokens over none", Bar(native=1.02, module=1.02),
         baseline="no_settings", settings=TOKENS, door=BEARER),
    echo("door-returning-100", "echo, 100 connections, clients may return over none", Bar(native=1.02, module=1.02),
         baseline="no_settings", settings=RETURNING),
    echo("door-proxy-100", "echo, 100 connections, PROXY protocol over none", Bar(native=1.02, module=1.02),
         baseline="no_settings", settings=PROXY, door=("--proxy",)),
    # They all have one token, so one subject: both of two stay.
    echo("door-everything-100", "echo, 100 connections, all of these over none", Bar(native=1.02, module=1.02),
         baseline="no_settings", settings=(*DOOR, *TOKENS, *RETURNING, "auth.return_twice=both", *PROXY), door=(*BEARER, "--proxy")),
    Work("idle-10000", "idle connection, 10,000 of them", "echo", ("idle", "--seconds", "1"),
         Bar(native=300, module=300), metric="idle_bytes", conns=10_000, baseline="none", timed=False),
    echo("echo-100-tls", "echo over TLS, 100 connections", SHAPE, tls=True),
    Work("idle-returning-10000", "idle connection that may return over one that may not", "echo",
         ("idle", "--seconds", "1"), Bar(native=3, module=3), metric="idle_bytes", conns=10_000, baseline="no_settings",
         settings=RETURNING, timed=False),
    Work("idle-10000-tls", "idle TLS connection, 10,000 of them", "echo", ("idle", "--seconds", "1"),
         Bar(native=20_480, module=20_480), metric="idle_bytes", conns=10_000, baseline="none", timed=False, tls=True),
    # The time of a handshake and its request is the only limit here: at its default, 10 s.
    Work("trickle-10000-tls", "TLS connect, 10,000 handshakes trickle: p99", "echo", ("trickle", "--rate", "100"),
         Bar(native=100_000, module=100_000), metric="connect_p99", conns=10_000, baseline="none", tls=True,
         with_floor=False),
    Work("churn-1", "connect, join, leave in sequence", "echo", ("churn", "--burst", "1"),
         Bar(native=1.5, module=1.5), metric="connection_ns", conns=10_000, timed=False),
    Work("churn-500", "connect, join, leave, 500 at once", "echo", ("churn", "--burst", "500"),
         Bar(native=1.5, module=1.5), metric="connection_ns", conns=10_000, timed=False),
    Work("rooms-10000", "live room, 10,000 of them", "echo", ("rooms",), Bar(native=20_480, module=20_480),
         metric="room_bytes", conns=10_000, baseline="none", shutdown_policy="immediate", timed=False),
)


def small(work: Work) -> Work:
    """The same work with few connections: whether it runs, not how fast."""
    load = tuple("10" if before == "--rooms" else now for before, now in zip(("", *work.load), work.load))
    return replace(work, load=load, conns=min(work.conns, 50))


def within_descriptors(work: Work, descriptors: int) -> Work:
    """The work with as many connections as a process may open (a few are needed for other things)."""
    return replace(work, conns=min(work.conns, descriptors - 200))
