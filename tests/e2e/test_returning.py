"""Clients that come back by another connection: same id, and the service hears of neither."""

import json

from harness.server import KINDS, Server
from harness.tokens import key_folder, token
from harness.wait import until
from harness.wire import TEXT, Connection, frame, request
import pytest


def connect(server, target="/ws/room", bearer=None, protocols=None):
    connection = Connection(server.port)
    add = [("Authorization", f"Bearer {bearer}")] if bearer else []
    add += [("Sec-WebSocket-Protocol", protocols)] if protocols else []
    connection.send(request(target, add=add))
    response = connection.response()
    assert response.status == 101, (response.status, response.body)
    connection.resume = response.header("Jamsocket-Resume")
    return connection



@pytest.mark.parametrize("kind", KINDS)
def test_by_resume_token(kind):
    with Server(kind, "probe", {"auth.return_within_ms": 30_000}) as server:
        witness = connect(server)
        assert witness.next_text() == "you are 1"
        first = connect(server)
        assert first.next_text() == "you are 2"
        assert witness.next_text() == "2 connected"
        first.reset()
        second = connect(server, f"/ws/room?resume={first.resume}")
        assert second.resume == first.resume
        assert second.ask("hello") == "hello", "nothing else was said to it"
        second.close()
        third = connect(server, protocols=f"chat, jam.resume.{first.resume}")
        third.text("to 2 it is me")
        assert third.next_text() == "it is me"
        assert witness.ask("nothing came of it") == "nothing came of it"
        # A goodbye is no goodbye either: a page that is loaded again says one.
        third.leave()
        fourth = connect(server, f"/ws/room?resume={first.resume}")
        fourth.text("to 2 still me")
        assert fourth.next_text() == "still me"
        stranger = connect(server, "/ws/room?resume=2-AAAAAAAAAAAAAAAAAAAAAA")
        assert stranger.next_text() == "you are 3"


@pytest.mark.parametrize("kind", KINDS)
def test_a_resume_token_that_is_wrong_makes_a_stranger(kind):
    with Server(kind, "probe", {"auth.return_within_ms": 30_000}) as server:
        first = connect(server)
        number, secret = first.resume.split("-", 1)
        wrong = ["", "-", number, f"{number}-", f"-{secret}", f"+{first.resume}", f"{number}-{secret[:-1]}", f"{first.resume}A",
                 f"{int(number) + 1}-{secret}", f"4294967296-{secret}", f"{2 ** 64 + int(number)}-{secret}", "%00", "%ff%fe",
                 f"{number}-{'A' * 2_000}", f"{first.resume}%00"]
        first.reset()
        for place, token in enumerate(wrong):
            client = connect(server, f"/ws/room?resume={token}")
            assert client.next_text() == f"you are {place + 2}", token
            client.reset()
        assert connect(server, f"/ws/another?resume={first.resume}").next_text() == "you are 1", "a token is its room's"
        back = connect(server, f"/ws/room?resume={first.resume}")
        assert back.ask("hello") == "hello", "nothing else was said to it"


@pytest.mark.parametrize("kind", KINDS)
def test_by_subject(kind, tmp_path):
    with Server(kind, "probe", {"auth.tokens": "required", "auth.token_keys": key_folder(tmp_path),
                                "auth.return_within_ms": 30_000}) as server:
        witness = connect(server, bearer=token(sub="witness"))
        assert witness.next_text() == "you are 1"
        first = connect(server, bearer=token())
        assert first.next_text() == "you are 2"
        assert witness.next_text() == "2 connected"
        first.close()
        second = connect(server, bearer=token())
        second.text("to 2 me")
        assert second.next_text() == "me"
        third = connect(server, bearer=token())
        assert second.expect_close(4409) == "the client came back by another connection"
        third.text("to 2 me again")
        assert third.next_text() == "me again"
        # Another's resume token is of no use.
        mallory = connect(server, f"/ws/room?resume={third.resume}", bearer=token(sub="mallory"))
        assert mallory.next_text() == "you are 3"
        assert witness.next_text() == "3 connected"


def test_both_may_be_there(tmp_path):
    with Server("module", "probe", {"auth.tokens": "required", "auth.token_keys": key_folder(tmp_path),
                                    "auth.return_within_ms": 30_000, "auth.return_twice": "both"}) as server:
        first = connect(server, bearer=token())
        assert first.next_text() == "you are 1"
        second = connect(server, bearer=token())
        assert second.next_text() == "you are 2"
        assert first.next_text() == "2 connected"
        assert first.ask("hello") == "hello"


def test_who_stays_away_has_left():
    with Server("module", "probe", {"auth.return_within_ms": 300}) as server:
        witness = connect(server)
        witness.next_text()
        first = connect(server)
        first.next_text()
        assert witness.next_text() == "2 connected"
        first.reset()
        assert witness.next_text() == "2 disconnected"
        second = connect(server, f"/ws/room?resume={first.resume}")
        assert second.next_text() == "you are 3"


def test_what_was_said_meanwhile():
    for kept, expected in ((0, ["hello"]), ("64KiB", ["one", "two", "hello"])):
        with Server("module", "probe", {"auth.return_within_ms": 30_000, "auth.return_queue_bytes_max": kept,
                                        "admin.port": 0}) as server:
            witness = connect(server)
            witness.next_text()
            first = connect(server)
            first.next_text()
            witness.next_text()
            first.reset()
            # It is absent once the server has seen the reset: then what is sent to it goes nowhere, or is kept.
            until(lambda: witness.ask("ping") == "ping" and absent(server), 10, "the server has not noticed")
            for word in ("one", "two"):
                witness.text(f"to 2 {word}")
            assert witness.ask("sent") == "sent"
            second = connect(server, f"/ws/room?resume={first.resume}")
            second.text("hello")
            assert [second.next_text() for _ in expected] == expected


def absent(server):
    import urllib.request
    port = next(line["port"] for line in server.log_lines() if line.get("event") == "admin.listening")
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/admin/rooms/room", timeout=20) as answer:
        return any(client["absent"] for client in json.load(answer)["clients"])


def test_the_first_message_tells():
    with Server("module", "probe", {"auth.return_within_ms": 30_000, "auth.return_tell": "message"}) as server:
        first = connect(server)
        assert first.resume is None
        told = json.loads(first.next_text())["jamsocket"]
        assert told["client"] == 1
        assert first.next_text() == "you are 1"
        first.close()
        second = connect(server, f"/ws/room?resume={told['resume']}")
        assert json.loads(second.next_text())["jamsocket"] == told
        assert second.ask("hello") == "hello"


def test_it_comes_back_by_its_first_message(tmp_path):
    with Server("module", "probe", {"auth.tokens": "required", "auth.token_keys": key_folder(tmp_path),
                                    "auth.token_carriers": "message", "auth.return_within_ms": 30_000,
                                    "auth.return_tell": "message", "auth.return_twice": "both"}) as server:
        def hello(**more):
            connection = connect(server)
            connection.send(frame(TEXT, json.dumps({"token": token(), **more})))
            return connection, json.loads(connection.next_text())["jamsocket"]
        first, told = hello()
        assert first.next_text() == "you are 1"
        first.close()
        second, again = hello(resume=told["resume"])
        assert again == told
        assert second.ask("hello") == "hello"


# a revolving door of one client is one client.
def test_r_15_a_thousand_in_a_row(tmp_path):
    with Server("module", "probe", {"auth.tokens": "required", "auth.token_keys": key_folder(tmp_path),
                                    "auth.return_within_ms": 30_000}) as server:
        witness = connect(server, bearer=token(sub="witness"))
        witness.next_text()
        idle = server.descriptors()
        good = token()
        last = None
        for _ in range(300):
            newer = connect(server, bearer=good)
            if last is not None:
                last.close()
            last = newer
        last.text("to 2 me")
        last.await_text("me")
        assert witness.next_text() == "2 connected"
        assert witness.ask("that was all") == "that was all"
        last.close()
        server.wait_for_descriptors(idle)


# Over a restart nobody is there who was so before: the service hears `disconnect`, as without this.
def test_over_a_restart(tmp_path):
    settings = {"auth.return_within_ms": 30_000, "server.data": tmp_path / "data"}
    with Server("module", "probe", settings) as server:
        first = connect(server)
        assert first.next_text() == "you are 1"
        first.reset()
    with Server("module", "probe", settings) as server:
        second = connect(server, f"/ws/room?resume={first.resume}")
        assert second.next_text() == "you are 2"
