"""H-10, H-25, A-10: which pages may connect, and under which names the server answers."""

import dataclasses

from harness.wait import until
from harness.server import KINDS, Server
from harness.wire import Connection, request
import pytest

HOST = "rooms.example:8080"
ALLOWED = "https://good.com, https://*.example.com"


def ask(server, origins=(), host=HOST, target="/ws/a", method="GET", add=()):
    with Connection(server.port) as connection:
        headers = None if method == "GET" else [("Host", host)]
        connection.send(request(target, method, headers=headers, change={"Host": host},
                                add=[("Origin", origin) for origin in origins] + list(add)))
        return connection.response()


@dataclasses.dataclass
class Row:
    origin: str
    same_host: int   # The status where only the same host may connect, which is the default,
    listed: int      # and where the list above may.


ROWS = [
    Row("http://rooms.example:8080", 101, 403),
    Row("https://rooms.example:8080", 101, 403),
    Row("https://rooms.example", 403, 403),
    Row("http://rooms.example:8081", 403, 403),
    Row("https://good.com", 403, 101),
    Row("https://good.com:443", 403, 101),
    Row("https://a.example.com", 403, 101),
    Row("https://a.b.example.com", 403, 101),
    Row("https://example.com", 403, 403),
    Row("https://evilexample.com", 403, 403),
    Row("https://evil.com", 403, 403),
    Row("null", 403, 403),
    Row("", 403, 403),
    Row("https://good.com.evil.com", 403, 403),
    Row("https://evilgood.com", 403, 403),
    Row("https://good.com:444", 403, 403),
    Row("http://good.com", 403, 403),
    Row("https://GOOD.com", 403, 403),
    Row("https://good.com.", 403, 403),
    Row("https://xn--god-sna.com", 403, 403),
    Row("https://gööd.com", 403, 403),
    Row("file://", 403, 403),
]


@pytest.mark.parametrize("kind", KINDS)
def test_origins_are_held_exactly(kind):
    with Server(kind, "echo") as same, Server(kind, "echo", {"auth.origins": ALLOWED.replace(" ", "")}) as listed:
        for row in ROWS:
            assert ask(same, [row.origin]).status == row.same_host, row
            assert ask(listed, [row.origin]).status == row.listed, row
        for server in (same, listed):
            assert ask(server).status == 101, "whoever sends no Origin is no page"
            assert ask(server, ["https://good.com", "https://good.com"]).status == 400
            # A refusal made no room, told nothing of itself to the log but once a second, and nothing raw.
            refusals = until(lambda: [line for line in server.log_lines() if line.get("event") == "server.refused"], 10)
            assert 1 <= len(refusals) <= 10, refusals


def test_any_origin():
    with Server("module", "echo", {"auth.origins": "any"}) as server:
        assert ask(server, ["https://evil.com"]).status == 101
        assert ask(server, ["null"]).status == 101


def test_a_foreign_page_with_cookies_is_refused():
    """A-10: what a browser adds of its own accord, cookies and credentials, makes a foreign page no less foreign."""
    with Server("module", "echo") as server:
        answer = ask(server, ["https://evil.com"], add=[("Cookie", "session=alice"), ("Authorization", "Basic YTpi")])
        assert answer.status == 403
        assert b"auth.origins" in answer.body


def test_a_foreign_page_makes_no_room():
    with Server("module", "echo", {"service.room_strategy": "api"}) as server:
        assert ask(server, ["https://evil.com"], method="POST").status == 403
        assert ask(server).status == 404, "no room was made"
        assert ask(server, ["http://rooms.example:8080"], method="POST").status == 200
        assert ask(server).status == 101
    with Server("module", "echo", {"service.room_strategy": "uuid"}) as server:
        assert ask(server, ["https://evil.com"], method="POST", target="/new_room").status == 403


# H-10: a page at a name that its owner points at this machine is "the same host" to a browser.
def test_only_names_of_the_list_are_answered_to():
    with Server("module", "echo", {"auth.hosts": "rooms.example,127.0.0.1"}) as server:
        for host in ("rooms.example:8080", "rooms.example", "ROOMS.example", "127.0.0.1:99"):
            assert ask(server, host=host).status == 101, host
        for host in ("evil.example", "rooms.example.evil.example", "rooms.example.", "localhost", "127.0.0.2"):
            assert ask(server, ["http://" + host], host=host).status == 421, host
            assert ask(server, host=host, method="POST").status == 421, host
        assert ask(server, host="evil.example", target="/status", method="GET").status == 200, "health checks have no name"
