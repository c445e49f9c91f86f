"""What hostile TLS clients say behind a good handshake, and instead of one; the clock of certificates. See test_tls.py, too."""

import contextlib
import datetime
import pathlib
import resource
import shutil
import signal
import socket
import ssl
import struct
import subprocess
import tempfile

import pytest

from harness.admin import limit_hits
from harness.server import KINDS, Server
from harness.tls import client_context, make_certificate, settings
from harness.tls_by_hand import (ALERT, CLOSE_NOTIFY, DATA, HANDSHAKE, KEY_UPDATE, KEY_UPDATE_AND_ANSWER, UNRECOGNIZED_NAME, TlsByHand,
                                 hello, hello_for)
from harness.tokens import key_folder, token
from harness.wait import PATIENCE, until
from harness.wire import Connection, Ended, frame, request
from test_tls import honest_client, join, raw

# Entries whose whole size does not apply, and why.
IN_PLACE_OF = {
    "T-03 KeyUpdate flood (1.3, 10^6)": "a client is dropped at 129, or at limits.tls_key_updates_max + 1: no more can be asked for",
    "T-04 early data": "the server grants none, so a client that sends some sends data before its time: test_what_is_no_hello_is_refused",
}


@pytest.fixture(scope="module", params=KINDS)
def probe(request, tls_files):
    with Server(request.param, "probe", {**settings(*tls_files), "limits.handshake_timeout_ms": 3000, "admin.port": 0}) as running:
        running.context = client_context(tls_files[0])
        yield running


@pytest.fixture(autouse=True)
def canary(request):
    """Whatever a test does: an honest client is served before, and after."""
    if "probe" not in request.fixturenames:
        yield
        return
    server = request.getfixturevalue("probe")
    with honest_client(server):
        before = server.sockets()
        yield
        until(lambda: server.sockets() <= before + 1, 10)  # The admin listener keeps an answered connection for a moment.


def without_end(client, make):
    """Says what `make` makes until the server no longer listens. @return how often, at most."""
    said = 0
    with contextlib.suppress(Ended):
        while said < 1_000_000:
            client.say(*(make() for _ in range(500)))
            said += 500
    return said


# --- Behind the handshake ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("in_room", [True, False], ids=["in a room", "before a request"])
@pytest.mark.parametrize("message", [KEY_UPDATE, KEY_UPDATE_AND_ANSWER], ids=["silent", "to be answered"])
def test_key_updates_without_end(probe, message, in_room):
    """T-03: as many as the limit says are made, then the connection is dropped, counted and named."""
    before = limit_hits(probe, "tls_key_updates_max")
    with TlsByHand(probe.port) as client:
        def update():
            record = client.seal(message, HANDSHAKE)
            client.next_key()
            return record
        if in_room:
            client.say(client.seal(request("/ws/updates")))
            client.hear(b"you are ")
            client.say(*(update() for _ in range(128)))
            client.say(client.seal(frame(1, b"clients")))
            client.hear(b"clients 1")
        assert without_end(client, update) < 100_000
        client.hear()
    until(lambda: limit_hits(probe, "tls_key_updates_max") == before + 1, 10)


FLOODS = {
    "T-01 empty records": (lambda client: client.seal(b""), "unexpected message"),
    "T-01 records of padding": (lambda client: client.seal(b"", padding=100), "unexpected message"),
    "T-01 warnings": (lambda client: client.seal(b"\x01\x5a", ALERT), "unexpected message"),
}
ONCE = {
    "T-01 a record without a type": (lambda client: client.seal(b"", 0, padding=50), "unexpected message"),
    "T-01 a record of a type that is none": (lambda client: client.seal(b"x", 99), "unexpected message"),
    "T-01 a record of 16 KiB and a byte": (lambda client: client.seal(b"x" * 16385), "record overflow"),
    "T-01 a record that says more than 16 KiB": (lambda client: b"\x17\x03\x03\xff\xff" + b"x" * 65535, "record overflow"),
    "T-01 a forged record": (lambda client: client.seal(b"x")[:-1] + b"!", "bad record mac"),
    "T-01 a record of SSL 3": (lambda client: b"\x17\x02\x00\x00\x20" + b"x" * 32, None),
    "T-01 plain data": (lambda client: request("/ws/plain"), None),
    "T-03 a certificate that nobody asked for": (lambda client: client.seal(b"\x0b\0\0\4\0\0\0\0", HANDSHAKE), "unexpected message"),
    "T-03 a second hello": (lambda client: client.seal(b"\x01\0\0\x26\x03\x03" + bytes(36), HANDSHAKE), "unexpected message"),
    "T-03 a ticket from the client": (lambda client: client.seal(b"\x04\0\0\x0f" + bytes(15), HANDSHAKE), "unexpected message"),
    "T-03 a key update of a kind that is none": (lambda client: client.seal(b"\x18\0\0\1\x07", HANDSHAKE), "illegal parameter"),
    "T-03 a message of 16 MiB": (lambda client: client.seal(b"\x18\xff\xff\xff" + b"x" * 1000, HANDSHAKE), None),
}


@pytest.mark.parametrize("what", FLOODS)
def test_floods_end_the_connection(probe, what):
    """T-01: what costs the server and says nothing, without end."""
    make, reason = FLOODS[what]
    with TlsByHand(probe.port) as client:
        client.say(client.seal(request("/ws/floods")))
        client.hear(b"you are ")
        assert without_end(client, lambda: make(client)) < 100_000
        ended = client.hear()
        assert reason in ended or ended == "closed", ended  # A reset may overtake the alert.


@pytest.mark.parametrize("what", ONCE)
def test_what_may_not_come_behind_the_handshake(probe, what):
    """T-01, T-03: answered with an alert, and the room is told that the client has left."""
    make, reason = ONCE[what]
    with join(probe, "/ws/once") as watcher, TlsByHand(probe.port) as client:
        client.say(client.seal(request("/ws/once")))
        client.hear(b"you are ")
        number = client.heard.split(b"you are ")[1].decode()
        watcher.expect_text(f"{number} connected")
        client.say(make(client))
        ended = client.hear()
        assert ended == "closed" or reason is None or reason in ended, ended
        watcher.expect_text(f"{number} disconnected")
        watcher.leave()


def test_what_was_said_before_the_end_counts_and_nothing_behind_it(probe):
    """T-06: a message, close_notify and another message, in one piece."""
    with join(probe, "/ws/end") as watcher, TlsByHand(probe.port) as client:
        client.say(client.seal(request("/ws/end")))
        client.hear(b"you are ")
        number = client.heard.split(b"you are ")[1].decode()
        watcher.expect_text(f"{number} connected")
        client.say(client.seal(frame(1, b"all before")), client.seal(CLOSE_NOTIFY, ALERT), client.seal(frame(1, b"all behind")))
        watcher.expect_text("before")
        watcher.expect_text(f"{number} disconnected")
        assert client.hear() == "closed" and client.heard.endswith(b"before"), client.heard
        watcher.leave()


def test_a_request_and_the_end_in_one_piece(probe):
    """T-06: it is answered, joins, and leaves."""
    with join(probe, "/ws/hasty") as watcher, TlsByHand(probe.port) as client:
        client.say(client.seal(request("/ws/hasty")), client.seal(CLOSE_NOTIFY, ALERT))
        assert client.hear() == "closed" and client.heard.startswith(b"HTTP/1.1 101 "), client.heard
        watcher.expect_text("2 connected")
        watcher.expect_text("2 disconnected")
        watcher.leave()


# --- Instead of a handshake -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [b"a\0b.example", b"localhost\0", b"x" * 1000, b"x" * 256], ids=["NUL", "NUL at its end", "1,000", "256"])
def test_server_names_that_are_none(probe, name):
    """T-02: refused with an alert that says so."""
    back = raw(probe, hello_for(probe.context, name), end=False)
    assert back[:1] == bytes([ALERT]) and back[-1] == UNRECOGNIZED_NAME, back


@pytest.mark.parametrize("name", [b"x" * 255, b"127.0.0.1", b"::1", b"\xff\xfe", b"*.example"], ids=repr)
def test_server_names_that_mean_nothing_here(probe, name):
    """T-02: there is one certificate, whatever it is asked for."""
    with Connection(probe.port) as connection:
        connection.send(hello_for(probe.context, name))
        connection.fill()
        assert connection.buffer[:1] == bytes([HANDSHAKE]), connection.buffer[:20]


def test_ten_thousand_handshakes_that_stall(tls_files):
    """T-05: all stand behind the server's hello. Honest clients get in; those end at their deadline, counted, and leave nothing."""
    count = min(1000 if PATIENCE > 1 else 10_000, resource.getrlimit(resource.RLIMIT_NOFILE)[0] - 500)
    # Each loop has its share of the limit, and takes as many of them as it comes to.
    values = {**settings(*tls_files), "limits.handshake_timeout_ms": 30_000, "limits.tls_handshakes_max": 4 * count, "admin.port": 0}
    with Server("module", "probe", values) as server:
        server.context = client_context(tls_files[0])
        with join(server, "/ws/before") as canary:
            first = hello(server.context)
            idle = server.descriptors()
            stalled = [Connection(server.port) for _ in range(count)]
            for each in stalled:
                each.send_until_refused(first)
            for each in stalled:
                with contextlib.suppress(Ended):  # On a machine that is slow beyond measure, the first have had their time.
                    each.fill(60)
            for number in range(20):
                with join(server, f"/ws/meanwhile{number}") as honest:
                    assert honest.ask("clients") == "clients 1"
                    honest.leave()
            for each in stalled:
                with contextlib.suppress(Ended):
                    while True:
                        each.fill(60)
                each.close()
            until(lambda: limit_hits(server, "handshake_timeout_ms") == count, 10)
            server.wait_for_descriptors(idle + 1)  # The admin listener's last answer.
            assert canary.ask("clients") == "clients 1"
            canary.leave()


def test_handshakes_that_trickle(tls_files):
    """T-05, T-01: a byte now and then, never the last. Honest clients get in; all that trickle end at their deadline, counted."""
    count = 500
    with Server("module", "probe", {**settings(*tls_files), "limits.handshake_timeout_ms": 5000, "admin.port": 0}) as server:
        server.context = client_context(tls_files[0])
        first = hello(server.context)
        held = [Connection(server.port) for _ in range(count)]
        served = 0
        for byte in first[:20]:
            for each in held:
                each.send_until_refused(bytes([byte]))
            with join(server, f"/ws/honest{served}") as honest:
                assert honest.ask("clients") == "clients 1"
                honest.leave()
            served += 1
        assert served == 20
        for each in held:
            each.expect_end(30)
            each.close()
        until(lambda: limit_hits(server, "handshake_timeout_ms") == count, 10)
        lines = until(lambda: [line for line in server.log_lines() if line["event"] == "limit.hit"], 10)
        assert len(lines) <= 30 and all(line["limit"] == "handshake_timeout_ms" for line in lines), lines


# --- Resets, and everybody at once ------------------------------------------------------------------------------------


def reset(connection):
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def reset_amid_the_hello(server, first):
    with Connection(server.port) as connection:
        connection.send(first[:100])
        connection.reset()


def reset_behind_the_hello(server, first):
    with Connection(server.port) as connection:
        connection.send(first)
        connection.reset()


def reset_once_the_server_has_answered(server, first):
    with Connection(server.port) as connection:
        connection.send(first)
        connection.fill()
        connection.reset()


def reset_behind_the_handshake(server, _):
    with TlsByHand(server.port) as client:
        reset(client.socket)


def reset_behind_the_request(server, _):
    with TlsByHand(server.port) as client:
        client.say(client.seal(request("/ws/reset")))
        reset(client.socket)


def reset_amid_a_record(server, _):
    with TlsByHand(server.port) as client:
        client.say(client.seal(request("/ws/reset")), client.seal(frame(1, b"all late"))[:20])
        reset(client.socket)


def reset_while_the_room_sends(server, _):
    with TlsByHand(server.port) as client:
        client.say(client.seal(request("/ws/reset")), client.seal(frame(1, b"many 1000")), client.seal(frame(1, b"many 1000")))
        client.hear(b"you are ")
        reset(client.socket)


RESETS = [reset_amid_the_hello, reset_behind_the_hello, reset_once_the_server_has_answered, reset_behind_the_handshake,
          reset_behind_the_request, reset_amid_a_record, reset_while_the_room_sends]


@pytest.mark.parametrize("play", RESETS, ids=lambda play: play.__name__)
def test_resets(probe, play):
    """R-19: at each step of TLS's handshake, and while the server encrypts: whoever got into the room is seen to leave it."""
    first = hello(probe.context)
    idle = probe.sockets()
    for _ in range(50):
        play(probe, first)
    until(lambda: probe.sockets() <= idle, 10, lambda: f"{probe.sockets()} sockets, {idle} before")
    with join(probe, "/ws/reset") as after:
        assert after.ask("clients") == "clients 1"
        after.leave()


def test_everybody_at_once(probe):
    """R-12: three hundred clients say hello in the same moment; each is served."""
    crowd = [Connection(probe.port, seconds=30) for _ in range(300)]
    for connection in crowd:
        connection.socket = probe.context.wrap_socket(connection.socket, server_hostname="localhost", do_handshake_on_connect=False)
        connection.socket.setblocking(False)
    for connection in crowd:
        with contextlib.suppress(ssl.SSLWantReadError):
            connection.socket.do_handshake()  # As far as it goes: the hello.
    for number, connection in enumerate(crowd):
        connection.socket.settimeout(30 * PATIENCE)
        connection.socket.do_handshake()
        connection.send(request(f"/ws/herd-{number % 30}") + frame(1, b"hello"))
    for connection in crowd:
        assert connection.response().status == 101
        connection.await_text("hello")
    for connection in crowd:
        connection.close()


# --- Rates and tokens over TLS ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("limit", [{"limits.client_messages_per_second_max": 20}, {"limits.client_bytes_per_second_max": "1KiB"}], ids=["messages", "bytes"])
def test_a_client_that_is_not_read_for_a_while(tls_files, kind, limit):
    """T-06: what TLS had decrypted by then waits in the server, where no event tells of it: it is heard all the same, before the end."""
    with Server(kind, "probe", {**settings(*tls_files), **limit, "server.shards": 1}) as server:
        server.context = client_context(tls_files[0])
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
def test_a_rate_and_large_messages(tls_files, kind):
    """T-06: records and reads that are larger than what a client may say at once."""
    with Server(kind, "echo", {**settings(*tls_files), "limits.client_bytes_per_second_max": "1MiB"}) as server:
        with Connection(server.port, tls=client_context(tls_files[0])).upgrade("/ws/large") as connection:
            for size in (1 << 14, 100_000, 300_000):
                connection.send(frame(2, b"x" * size))
                assert connection.frame().payload == b"x" * size
            connection.leave()


@pytest.mark.parametrize("in_one", [True, False], ids=["with the request", "behind it"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_token_and_the_end_in_one_piece(tls_files, tmp_path, kind, in_one):
    """T-06, A-08: a good first message is not lost because its client says goodbye with it."""
    values = {**settings(*tls_files), "auth.tokens": "required", "auth.token_keys": key_folder(tmp_path), "auth.token_carriers": "message,authorization"}
    with Server(kind, "probe", values) as server:
        server.context = client_context(tls_files[0])
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


# --- The certificate's clock ------------------------------------------------------------------------------------------


def certificate_until(folder, until_utc):
    """A self-signed certificate of localhost that is good until then."""
    folder = pathlib.Path(folder)
    certificate, key = make_certificate(folder, "short")
    request_file, config = folder / "short.csr", folder / "ca.cnf"
    for name in ("index.txt", "index.txt.attr"):
        (folder / name).write_text("")
    (folder / "serial").write_text("01\n")
    config.write_text(f"[ca]\ndefault_ca=it\n[it]\ndir={folder}\ndatabase={folder}/index.txt\nnew_certs_dir={folder}\nserial={folder}/serial\n"
                      "default_md=sha256\npolicy=any\nx509_extensions=names\n[any]\ncommonName=supplied\n"
                      "[names]\nsubjectAltName=DNS:localhost,IP:127.0.0.1\nbasicConstraints=critical,CA:TRUE\n")
    run = lambda *words: subprocess.run(["openssl", *map(str, words)], check=True, capture_output=True, timeout=60)
    run("req", "-new", "-key", key, "-subj", "/CN=short", "-out", request_file)
    start = until_utc - datetime.timedelta(hours=1)
    run("ca", "-batch", "-config", config, "-selfsign", "-keyfile", key, "-in", request_file, "-out", certificate, "-notext",
        "-startdate", start.strftime("%Y%m%d%H%M%SZ"), "-enddate", until_utc.strftime("%Y%m%d%H%M%SZ"))
    return certificate, key


@pytest.mark.parametrize("kind", KINDS)
def test_a_certificate_that_expires_under_open_connections(kind):
    """T-07: who is in stays in; the server warns when it reads it again; a new one serves those who look at the date."""
    with tempfile.TemporaryDirectory() as folder:
        cert, key = certificate_until(folder, datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=5))
        blind = ssl.create_default_context()
        blind.check_hostname, blind.verify_mode = False, ssl.CERT_NONE
        with Server(kind, "probe", settings(cert, key)) as server:
            server.context = blind
            inside = [join(server, f"/ws/r{number}") for number in range(50)]

            def has_expired():
                try:
                    Connection(server.port, tls=client_context(cert)).close()
                except ssl.SSLCertVerificationError as refused:
                    return "expired" in str(refused)
                return False

            until(has_expired, 30, every=0.2)
            for each in inside:
                assert each.ask("clients") == "clients 1"
            server.process.send_signal(signal.SIGHUP)
            until(lambda: [line for line in server.log_lines() if line["event"] == "tls.certificate" and "has expired" in line["problem"]], 10)
            with join(server, "/ws/blind") as connection:  # It is served for who does not look.
                connection.leave()
            other = make_certificate(folder, "other")
            shutil.copy(other[0], cert)
            shutil.copy(other[1], key)
            server.process.send_signal(signal.SIGHUP)
            fresh = client_context(other[0])

            def is_new():
                with contextlib.suppress(ssl.SSLError):
                    Connection(server.port, tls=fresh).close()
                    return True

            until(is_new, 10)
            for each in inside:
                assert each.ask("clients") == "clients 1"
                each.leave()
