"""A: who may come in with which token. Each entry of the group has a case here, in the unit tests of src/auth, or in NOT_HERE."""

import json
import time

from harness.admin import admin_port, ask
from harness.deflate import deflated
from harness.deflate import upgrade as upgrade_deflating
from harness.server import KINDS, Server
from harness.tokens import SECRET, b64, command_token, key_folder, make_key, sign, token
from harness.wait import until
from harness.wire import BINARY, TEXT, Connection, close_frame, frame, http, request
import pytest

# What the group asks for and cannot apply, or is shown elsewhere.
NOT_HERE = {
    "A-01, A-02, A-03, A-04": "byte by byte in src/auth/token_test.cpp and keys_test.cpp; some of each here, over sockets",
    "A-06 at the same time on two nodes": "there is one node; a ticket lives on one thread of it",
}


def settings(folder, **more):
    return {"auth.tokens": "required", "auth.token_keys": folder, **{f"auth.{key}": value for key, value in more.items()}}


@pytest.fixture(scope="module", params=KINDS)
def server(request, tmp_path_factory):
    folder = key_folder(tmp_path_factory.mktemp("tokens"))
    with Server(request.param, "probe", {**settings(folder), "service.client_headers": "authorization,sec-websocket-protocol,user-agent",
                                         "service.room_strategy": "implicit"}) as running:
        running.keys = folder
        yield running


def upgrade(server, target="/ws/room", bearer=None, protocols=None, add=()):
    """The answer to an upgrade request, and the connection."""
    connection = Connection(server.port)
    headers = list(add)
    if bearer is not None:
        headers.append(("Authorization", f"Bearer {bearer}"))
    if protocols is not None:
        headers.append(("Sec-WebSocket-Protocol", protocols))
    connection.send(request(target, add=headers))
    return connection.response(), connection


def status(server, target="/ws/room", **how):
    response, connection = upgrade(server, target, **how)
    if response.status == 101:
        assert connection.next_text().startswith("you are ")
    elif response.status == 401:
        assert response.header("WWW-Authenticate") == "Bearer"
        connection.expect_end()
    connection.close()
    return response.status


def test_the_service_sees_who_it_is(server):
    good = token(role="admin", rank=3)
    for how in ({"bearer": good}, {"protocols": f"chat, jam.bearer.{good}"}, {"protocols": f"jam.bearer.{b64(good.encode())}, chat"}):
        response, connection = upgrade(server, "/ws/seen?who", **how)
        assert response.status == 101, response.body
        assert response.header("Sec-WebSocket-Protocol") == ("chat" if "protocols" in how else None)
        connection.next_text()
        assert [connection.next_text() for _ in range(4)] == ["subject alice", "role admin", "rank 3", "query who"]
        connection.close()


def test_the_service_may_refuse(server):
    response, _ = upgrade(server, bearer=token(refuse=True))
    assert (response.status, response.body) == (403, b"not this one")


def test_without_a_token_nobody_comes_in(server):
    assert status(server) == 401
    assert status(server, add=[("Authorization", "Basic YTpi")]) == 401
    assert status(server, bearer="") == 401
    assert http(server.port, "POST", "/ws/made").status == 401
    assert http(server.port, "POST", "/ticket/room").status == 401
    assert http(server.port, "GET", "/status").status == 200


@pytest.mark.parametrize("kind", KINDS)
def test_one_subject_has_so_many_connections(kind, tmp_path):
    limit = "connections_per_subject_max"
    with Server(kind, "probe", {**settings(key_folder(tmp_path)), f"limits.{limit}": 2, "server.shards": 2}) as server:
        held = [upgrade(server, f"/ws/{room}", bearer=token())[1] for room in ("a", "b")]
        assert status(server, bearer=token()) == 429
        assert status(server, bearer=token(sub="bob")) == 101, "others are not meant"
        until(lambda: any(line["event"] == "limit.hit" and line["limit"] == limit for line in server.log_lines()), 10, "no line")
        assert "alice" not in server.log_text()
        held.pop().close()
        until(lambda: status(server, bearer=token()) == 101, 10, "the place is not free again")


NOW = int(time.time())
BAD = {
    "A-01 none": lambda: f'{b64(b"""{"alg":"none"}""")}.{b64(json.dumps({"sub": "a", "exp": NOW + 600}).encode())}.',
    "A-01 nOnE": lambda: sign('{"alg":"nOnE","kid":"shared"}', '{"sub":"a","exp":9999999999}'),
    "A-01 another secret": lambda: token(secret=b"x" * 32),
    "A-01 no signature": lambda: token().rsplit(".", 1)[0] + ".",
    "A-01 half a signature": lambda: token()[:-20],
    "A-01 HS512": lambda: token(header={"alg": "HS512", "kid": "shared"}),
    "A-02 a kid that is a path": lambda: token(header={"alg": "HS256", "kid": "../../dev/null"}, secret=b""),
    "A-02 a kid that is SQL": lambda: token(header={"alg": "HS256", "kid": "' OR 1=1 --"}),
    "A-02 jku": lambda: token(header={"alg": "HS256", "kid": "shared", "jku": "http://127.0.0.1:1/"}),
    "A-02 jwk": lambda: token(header={"alg": "HS256", "jwk": {"kty": "oct", "k": b64(SECRET)}}),
    "A-02 a kid that is not known": lambda: token(header={"alg": "HS256", "kid": "unknown"}),
    "A-02 x5u": lambda: token(header={"alg": "HS256", "kid": "shared", "x5u": "http://127.0.0.1:1/"}),
    "A-02 crit": lambda: token(header={"alg": "HS256", "kid": "shared", "crit": ["exp"]}),
    "A-03 a minute too old": lambda: token(exp=NOW - 61),
    "A-03 no exp": lambda: token(exp=None),
    "A-03 exp as a text": lambda: token(exp="9999999999"),
    "A-03 exp of 1e300": lambda: token(exp=1e300),
    "A-03 nbf to come": lambda: token(nbf=NOW + 600),
    "A-03 iat to come": lambda: token(iat=NOW + 600),
    "A-03 exp beyond all calendars": lambda: token(exp=1 << 60),
    "A-04 an audience that is not ours": lambda: token(aud="others"),
    "A-04 a claim twice": lambda: sign('{"alg":"HS256","kid":"shared"}', '{"sub":"a","sub":"b","exp":9999999999}'),
    "A-04 a shorter room": lambda: token(room="roo"),
    "A-04 a longer room": lambda: token(room="room1"),
    "A-04 a room by detour": lambda: token(room="x/../room"),
    "A-04 no subject": lambda: token(sub=None),
    "A-05 4,097 bytes": lambda: "a" * 4097,
    "no token at all": lambda: "alice",
}


@pytest.mark.parametrize("name", BAD)
def test_bad_tokens(server, name):
    bad = BAD[name]()
    assert status(server, bearer=bad) == 401
    if all(c.isalnum() or c in "._-" for c in bad):
        assert status(server, protocols=f"jam.bearer.{bad}, chat") == 401
    text = server.log_text()
    assert bad not in text, "a token is in the log"


def test_a_05_a_megabyte_of_kid_is_too_much_for_a_header(server):
    """A-02, A-05: a kid of 1 MiB."""
    assert status(server, bearer=token(header={"alg": "HS256", "kid": "k" * (1 << 20)})) == 431


def test_a_room_that_is_named_is_good(server):
    assert status(server, bearer=token(room="room")) == 101
    assert status(server, bearer=token(room=["other", "room"])) == 101
    assert status(server, "/ws/room%31", bearer=token(room="room1")) == 101


def test_one_token_in_one_place(server):
    """A-07: a subprotocol alone, two tokens, a token here and there."""
    good = token()
    assert status(server, protocols=f"jam.bearer.{good}") == 400
    assert status(server, protocols=f"chat, jam.bearer.{good}, jam.bearer.{token(sub='bob')}") == 400
    assert status(server, bearer=good, protocols=f"chat, jam.bearer.{good}") == 400
    assert status(server, "/ws/room?ticket=1-x", bearer=good) == 400
    assert status(server, "/ws/room?ticket=1-x&ticket=1-x") == 400
    assert status(server, bearer=good, add=[("Authorization", f"Bearer {good}")]) == 400


def test_a_service_sees_no_token(server):
    # The configuration passes these headers on: what is in them is none of the service's business all the same.
    good = token()
    response, connection = upgrade(server, "/ws/hidden?info=1", bearer=good, add=[("User-Agent", "me")])
    assert response.status == 101
    heard = [connection.next_text() for _ in range(5)]
    assert "query info=1" in heard and "user-agent me" in heard
    connection.close()
    assert good not in server.log_text()


def ticket(server, room="room", **claims):
    answer = http(server.port, "POST", f"/ticket/{room}", headers=[("Authorization", f"Bearer {token(**claims)}")])
    assert answer.status == 200, answer.body
    assert answer.header("Cache-Control") == "no-store"
    return answer.body.decode()


def test_a_ticket_is_good_once(server):
    """A-06: used twice."""
    good = ticket(server, role="guest")
    response, connection = upgrade(server, f"/ws/room?who=1&ticket={good}")
    assert response.status == 101
    connection.next_text()
    assert [connection.next_text() for _ in range(4)] == ["subject alice", "role guest", "rank (none)", "query who=1"]
    connection.close()
    assert status(server, f"/ws/room?ticket={good}") == 401
    assert good not in server.log_text()


def test_a_ticket_is_its_rooms(server):
    """A-06: of one room on another."""
    good = ticket(server)
    for room in range(20):
        assert status(server, f"/ws/other{room}?ticket={good}") == 401
    assert status(server, f"/ws/room?ticket={good}") == 101
    assert http(server.port, "POST", "/ticket/room", headers=[("Authorization", f"Bearer {token(room='other')}")]).status == 401


def test_tickets_are_taken_back(tmp_path):
    """A-06: after revocation."""
    with Server("module", "probe", {**settings(key_folder(tmp_path)), "admin.port": 0, "server.shards": 2}) as server:
        rooms = [f"room{number}" for number in range(10)]
        taken, kept = [ticket(server, room) for room in rooms], ticket(server, "room", sub="bob")
        operator = lambda path: json.loads(ask(admin_port(server), path, "DELETE")[1])
        assert operator("/admin/tickets/alice?service=other") == {"revoked": 0}
        assert operator("/admin/tickets/alice") == {"revoked": 10}
        assert operator("/admin/tickets/alice") == {"revoked": 0}
        assert [status(server, f"/ws/{room}?ticket={bad}") for room, bad in zip(rooms, taken)] == [401] * 10
        assert status(server, f"/ws/room?ticket={kept}") == 101


def test_tickets_that_were_never_given(server):
    good = ticket(server)
    for bad in ("", "1", "1-", "-", good[:-1], good + "A", "0-" + good.split("-", 1)[1], "99999999999999999999-x", "%31-x"):
        assert status(server, f"/ws/room?ticket={bad}") == 401, bad


def test_of_many_with_one_ticket_one_comes_in(server):
    """A-06: at the same time."""
    good = ticket(server)
    connections = [Connection(server.port) for _ in range(20)]
    for connection in connections:
        connection.send(request(f"/ws/room?ticket={good}"))
    answers = sorted(connection.response().status for connection in connections)
    assert answers == [101] + [401] * 19


def test_tickets_grow_old_and_are_bounded(tmp_path):
    folder = key_folder(tmp_path)
    with Server("module", "probe", {**settings(folder, ticket_lifetime_ms=200), "limits.tickets_max": 2, "server.shards": 1}) as server:
        old = [ticket(server), ticket(server)]
        refused = http(server.port, "POST", "/ticket/room", headers=[("Authorization", f"Bearer {token()}")])
        assert refused.status == 503
        until(lambda: http(server.port, "POST", "/ticket/room", headers=[("Authorization", f"Bearer {token()}")]).status == 200,
              10, "no ticket after the old ones ran out")
        assert status(server, f"/ws/room?ticket={old[0]}") == 401


# Who says first, by a message, who it is, D-03.
@pytest.fixture(scope="module")
def by_message(tmp_path_factory):
    folder = key_folder(tmp_path_factory.mktemp("messages"))
    with Server("module", "probe", {**settings(folder, token_carriers="message,authorization", token_message_timeout_ms=700,
                                               token_message_bytes_max=6000), "server.compression": "message"}) as running:
        yield running


def hello(value=None, **claims):
    return frame(TEXT, json.dumps({"token": value or token(**claims)}))


def waiting(server, target="/ws/room", **changes):
    return Connection(server.port).upgrade(target, **changes)


def test_a_first_message_brings_the_token(by_message):
    with waiting(by_message, "/ws/hello?who") as connection:
        connection.send(hello(role="admin"))
        assert connection.next_text() == "you are 1"
        assert [connection.next_text() for _ in range(4)] == ["subject alice", "role admin", "rank (none)", "query who"]
        assert connection.ask("hello") == "hello"
        connection.leave()


def test_what_comes_with_the_first_message_waits_for_connect(by_message):
    """A-08: hello twice."""
    with Connection(by_message.port) as connection:
        # All in one segment, the request too; the second hello is a message like any other.
        connection.send(request("/ws/pipelined") + hello() + frame(TEXT, "one") + frame(TEXT, '{"token":"x"}'))
        assert connection.response().status == 101
        assert [connection.next_text() for _ in range(3)] == ["you are 1", "one", '{"token":"x"}']
        connection.leave()


def test_a_token_in_a_header_needs_no_message(by_message):
    assert status(by_message, bearer=token()) == 101


FIRST = {
    "A-08 a message before the hello": (frame(TEXT, "hello"), 4401),
    "A-08 a hello that is binary": (frame(BINARY, json.dumps({"token": "x"}).encode()), 1003),
    "an empty message": (frame(TEXT, ""), 4401),
    "JSON that is none": (frame(TEXT, "{"), 4401),
    "JSON of two meanings": (frame(TEXT, '{"token":"a","token":"b"}'), 4401),
    "JSON with more than it may have": (frame(TEXT, '{"token":"a","admin":true}'), 4401),
    "JSON that is deep": (frame(TEXT, "[" * 5000), 4401),
    "a wrong token": (hello(secret_token := "a.b.c"), 4401),
    "an old token": (None, 4401),
    "R-05 more than the budget": (frame(TEXT, "x" * 6001), 1009),
    "R-05 the budget in pings": (frame(9, b"x" * 125) * 60, 1009),
    "R-05 many fragments": (frame(TEXT, "x", fin=False) + frame(0, "x", fin=False) * 20, 1008),
    "a frame without a mask": (frame(TEXT, "x", key=None), 1002),
    "text that is none": (frame(TEXT, b"\xff"), 1007),
    "10 MiB without a hello": (frame(TEXT, "x" * (10 << 20)), 1009),
}


@pytest.mark.parametrize("name", FIRST)
def test_first_messages_that_bring_none(by_message, name):
    data, code = FIRST[name]
    if name == "an old token":
        data = hello(exp=NOW - 600)
    with waiting(by_message) as connection:
        connection.send_until_refused(data)
        while (received := connection.frame()).opcode == 10:
            pass
        assert received.close_code == code, received
        connection.send_until_refused(close_frame(code))
        connection.expect_end()


@pytest.mark.parametrize("data, code", [
    (deflated(bytes(5 << 20)), 1009),
    (deflated(b"x" * 6001), 1009),
    (deflated(b"x" * 6000), 4401),
    (deflated(json.dumps({"token": "a.b.c"}).encode()), 4401),
    (b"\x07", 1007),
], ids=["5 MiB", "one byte more than the budget", "the budget", "a wrong token", "block type 3"])
def test_a_bomb_before_the_hello(by_message, data, code):
    """D-03: the first message's budget is its length once inflated, however small it came."""
    assert len(data) < 6000
    with Connection(by_message.port) as connection:
        upgrade_deflating(connection, "/ws/bomb")
        connection.send_until_refused(frame(TEXT, data, rsv=4))
        connection.expect_close(code)


def test_a_first_message_may_be_compressed(by_message):
    """D-03: an honest one."""
    with Connection(by_message.port) as connection:
        upgrade_deflating(connection, "/ws/packed")
        connection.send(frame(TEXT, deflated(json.dumps({"token": token()}).encode()), rsv=4))
        assert connection.next_text() == "you are 1"
        connection.leave()


def test_a_08_nothing_comes_in_time(by_message):
    """A-08: too late."""
    with waiting(by_message) as silent, waiting(by_message) as slow:
        data = hello()
        for byte in data[:3]:
            slow.send(bytes([byte]))
        assert silent.expect_close(4401) == "no token came in time"
        slow.expect_close(4401)


def test_who_waits_is_nobodys_client(by_message):
    with waiting(by_message, "/ws/empty") as waits, Connection(by_message.port) as alice:
        alice.send(request("/ws/empty", add=[("Authorization", f"Bearer {token()}")]))
        assert alice.response().status == 101
        assert alice.next_text() == "you are 1"
        assert alice.ask("hello") == "hello"
        waits.send(close_frame(1000))
        waits.expect_close(1000, answer=False)
        assert alice.ask("still alone") == "still alone"
        alice.leave()


def test_a_refusal_after_the_upgrade_is_a_close_code(by_message):
    with waiting(by_message) as connection:
        connection.send(hello(refuse=True))
        assert connection.expect_close(4403) == "not this one"


def test_a_connection_ends_with_its_token(tmp_path):
    """A-09: it outlives its token by no more than 5 s."""
    folder = key_folder(tmp_path)
    with Server("module", "probe", settings(folder, token_leeway_ms=0)) as server:
        end = time.time() + 1.5
        with Connection(server.port) as alice, Connection(server.port) as bob:
            for connection, sub in ((alice, "alice"), (bob, "bob")):
                connection.send(request("/ws/room", add=[("Authorization", f"Bearer {token(sub=sub, exp=end if sub == 'alice' else None or end + 600)}")]))
                assert connection.response().status == 101
                assert connection.next_text().startswith("you are ")
            assert alice.next_text() == "2 connected"
            # Not even one who talks all the time.
            while time.time() < end - 0.5:
                assert alice.ask("hello") == "hello"
            assert alice.expect_close(4401) == "the token has expired"
            assert end - 0.1 <= time.time() <= end + 5 * 3
            assert bob.next_text() == "1 disconnected"
            assert bob.ask("hello") == "hello"


def test_keys_are_changed_while_clients_are_connected(tmp_path):
    """A-09: key rotation. Whoever is connected stays; from then on the new key counts, and the old one does not."""
    from harness.server import module_path
    for name in ("old", "new"):
        (tmp_path / name).mkdir()
    (tmp_path / "old" / "shared.key").write_bytes(SECRET)
    (tmp_path / "new" / "shared.key").write_bytes(b"another secret of thirty-two bytes")
    described = lambda folder: json.dumps({"module": str(module_path("probe")), "tokens": "required", "token_keys": str(folder)}).encode()
    # In a sandbox, only what the settings name can be read.
    with Server("module", "probe", {"admin.port": 0, "auth.token_keys": tmp_path}) as server:
        port = admin_port(server)
        assert ask(port, "/admin/services/chat", "POST", described(tmp_path / "old"))[0] == 200
        response, connected = upgrade(server, "/ws/chat/room", bearer=token())
        assert response.status == 101 and connected.next_text() == "you are 1"
        assert ask(port, "/admin/services/chat", "PUT", described(tmp_path / "new"))[0] == 200
        assert status(server, "/ws/chat/other", bearer=token()) == 401
        assert status(server, "/ws/chat/other", bearer=token(secret=b"another secret of thirty-two bytes")) == 101
        assert connected.ask("still here") == "still here"
        connected.leave()


def test_optional_tokens(tmp_path):
    folder = key_folder(tmp_path)
    with Server("module", "probe", {**settings(folder), "auth.tokens": "optional"}) as server:
        response, connection = upgrade(server, "/ws/room?who")
        assert response.status == 101
        connection.next_text()
        assert connection.next_text() == "subject "
        connection.close()
        assert status(server, bearer="a.b.c") == 401, "a wrong token is worse than none"
        assert status(server, bearer=token()) == 101


def test_refusals_name_the_client_and_not_its_proxy(tmp_path):
    values = {**settings(key_folder(tmp_path)), "proxies.trusted": "127.0.0.1", "proxies.header": "x-forwarded-for"}
    with Server("module", "probe", values) as server:
        assert status(server, bearer="a.b.c", add=[("X-Forwarded-For", "203.0.113.7")]) == 401
        lines = until(lambda: [line for line in server.log_lines() if line["event"] == "server.refused"], 10)
        assert lines[0]["remote_address"] == "203.0.113.7"


def test_tokens_that_are_off_mean_nothing():
    with Server("module", "probe", {"service.subprotocols": "jam.bearer.x"}) as server:
        response, connection = upgrade(server, "/ws/room?who&ticket=1-x", bearer="a.b.c", protocols="jam.bearer.x")
        assert response.status == 101
        assert response.header("Sec-WebSocket-Protocol") == "jam.bearer.x"
        connection.next_text()
        assert [connection.next_text() for _ in range(4)][3] == "query who&ticket=1-x"
        connection.close()
        assert http(server.port, "POST", "/ticket/room").status == 404


# Tokens and keys of the command's own, in all three algorithms.
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("algorithm", ["HS256", "EdDSA", "ES256"])
def test_the_commands_own_tokens(tmp_path, kind, algorithm):
    folder = tmp_path / "keys"
    folder.mkdir()
    key = make_key(folder, "mine", algorithm)
    other = tmp_path / "other"
    other.mkdir()
    stranger = make_key(other, "mine2", algorithm)
    with Server(kind, "probe", settings(folder, token_audiences="rooms", token_issuers="me")) as server:
        ours = ["--sub", "alice", "--aud", "rooms", "--iss", "me"]
        assert status(server, bearer=command_token(key, *ours)) == 101
        assert status(server, bearer=command_token(key, *ours, "--room", "room", "--claim", 'role="x"')) == 101
        assert status(server, bearer=command_token(key, *ours, "--room", "other")) == 401
        assert status(server, bearer=command_token(key, "--sub", "alice", "--aud", "rooms")) == 401
        assert status(server, bearer=command_token(key, *ours, "--for", "-60")) == 401
        assert status(server, bearer=command_token(stranger, *ours)) == 401
        if algorithm != "HS256":
            # what everybody may know signs nothing.
            public = (folder / "mine.jwk").read_bytes().strip()
            claims = json.dumps({"sub": "alice", "aud": "rooms", "iss": "me", "exp": NOW + 600})
            for alg in ("HS256", algorithm):
                assert status(server, bearer=sign(json.dumps({"alg": alg, "kid": "mine"}), claims, public)) == 401


def test_a_05_many_bad_signatures(tmp_path):
    """A-05: checking costs a bounded share of a loop, and rooms go on."""
    folder = tmp_path / "keys"
    folder.mkdir()
    (tmp_path / "honest").mkdir()
    key = make_key(folder, "mine", "ES256")
    good = command_token(key, "--sub", "alice")
    bad = good[:-10] + "AAAAAAAAAA"
    with Server("module", "probe", {**settings(folder), "limits.token_cpu_ms_per_second_max": 1, "server.shards": 1}) as server:
        with Connection(server.port) as canary, Connection(server.port) as flood:
            until(lambda: status(server, bearer=good) == 101, 10, "an honest token never came in")
            canary.send(request("/ws/canary", add=[("Authorization", f"Bearer {good}")]))
            answer = canary.response()
            asked = http(server.port, "POST", "/ws/x", headers=[("Authorization", f"Bearer {bad}")])
            assert answer.status in (101, 503) and asked.status in (401, 503)
            head = request("/ws/x", "POST", headers=[("Host", "x"), ("Authorization", f"Bearer {bad}")])
            flood.send_and_listen(head * 500)
            answers = [flood.response().status for _ in range(500)]
            assert set(answers) <= {401, 503} and 503 in answers, set(answers)
            if answer.status == 101:
                canary.next_text()
                assert canary.ask("still here") == "still here"
