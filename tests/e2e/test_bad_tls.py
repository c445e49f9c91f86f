"""What TLS clients say in records and pieces that no library makes. See test_tls.py, too."""

import tempfile

import pytest

from harness.server import KINDS, Server
from harness.tls import client_context, make_certificate, settings
from harness.tls_by_hand import ALERT, CLOSE_NOTIFY, TlsByHand
from harness.tokens import key_folder, token
from harness.wire import Connection, frame, request
from test_tls import join


@pytest.fixture(scope="module")
def files():
    with tempfile.TemporaryDirectory(prefix="jamsocket-tls-") as folder:
        yield make_certificate(folder)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("limit", [{"limits.client_messages_per_second_max": 20}, {"limits.client_bytes_per_second_max": "1KiB"}], ids=["messages", "bytes"])
def test_a_client_that_is_not_read_for_a_while(files, kind, limit):
    """T-06: what TLS had decrypted by then waits in the server, where no event tells of it: it is heard all the same, before the end."""
    with Server(kind, "probe", {**settings(*files), **limit, "server.shards": 1}) as server:
        server.context = client_context(files[0])
        with join(server, "/ws/rate") as watcher, TlsByHand(server.port) as client:
            client.say(client.seal(request("/ws/rate")))
            client.hear(b"you are 2")
            watcher.expect_text("2 connected")
            texts = [f"all message {number}" for number in range(60)]
            client.say(client.seal(b"".join(frame(1, text) for text in texts)), client.seal(CLOSE_NOTIFY, ALERT))
            for text in texts:
                watcher.expect_text(text.removeprefix("all "))
            watcher.expect_text("2 disconnected")
            assert client.hear() == "closed"


@pytest.mark.parametrize("kind", KINDS)
def test_a_rate_and_large_messages(files, kind):
    """T-06: records and reads that are larger than what a client may say at once."""
    with Server(kind, "echo", {**settings(*files), "limits.client_bytes_per_second_max": "1MiB"}) as server:
        with Connection(server.port, tls=client_context(files[0])).upgrade("/ws/large") as connection:
            for size in (1 << 14, 100_000, 300_000):
                connection.send(frame(2, b"x" * size))
                assert connection.frame().payload == b"x" * size
            connection.leave()


@pytest.mark.parametrize("in_one", [True, False], ids=["with the request", "behind it"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_token_and_the_end_in_one_piece(files, tmp_path, kind, in_one):
    """T-06, A-08: a good first message is not lost because its client says goodbye with it."""
    values = {**settings(*files), "auth.tokens": "required", "auth.token_keys": key_folder(tmp_path), "auth.token_carriers": "message,authorization"}
    with Server(kind, "probe", values) as server:
        server.context = client_context(files[0])
        watcher = Connection(server.port, tls=server.context).upgrade("/ws/token", add=[("Authorization", f"Bearer {token()}")])
        watcher.expect_text("you are 1")
        with TlsByHand(server.port) as client:
            first = client.seal(request("/ws/token"))
            said = [client.seal(frame(1, f'{{"token": "{token(sub="bob")}"}}')), client.seal(frame(1, b"all hello")), client.seal(CLOSE_NOTIFY, ALERT)]
            if in_one:
                client.say(first, *said)
            else:
                client.say(first)
                client.hear(b"\r\n\r\n")
                client.say(*said)
            watcher.expect_text("2 connected")
            watcher.expect_text("hello")
            watcher.expect_text("2 disconnected")
            assert client.hear() == "closed"
        watcher.leave()
