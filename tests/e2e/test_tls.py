"""TLS in front of everything: clients that nobody here wrote, hostile ones, and certificates that change."""

import asyncio
import contextlib
import json
import pathlib
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile
import threading
import time

import pytest
import websockets

from harness.admin import limit_hits
from harness.server import KINDS, Server, command_for, path_from_environment
from harness.tls import client_context, make_certificate, settings
from harness.wait import PATIENCE, until
from harness.wire import Connection, Ended, frame, request

HELLO_HEAD = b"\x16\x03\x01"


@pytest.fixture(scope="module", params=KINDS)
def kind(request):
    return request.param


@pytest.fixture(scope="module")
def server(tls_files, kind):
    with Server(kind, "counter" if kind == "module" else "probe",
                {**settings(*tls_files), "limits.handshake_timeout_ms": 3000}) as running:
        running.context = client_context(tls_files[0])
        yield running


@pytest.fixture(scope="module")
def probe(tls_files, kind):
    with Server(kind, "probe", {**settings(*tls_files), "limits.handshake_timeout_ms": 3000}) as running:
        running.context = client_context(tls_files[0])
        yield running


@pytest.fixture(autouse=True)
def canary(request):
    """Whatever a test does: an honest client is served before, and after."""
    if "probe" not in request.fixturenames:
        yield
        return
    with honest_client(request.getfixturevalue("probe")):
        yield


@contextlib.contextmanager
def honest_client(server):
    """It is served before and after what happens meanwhile."""
    with join(server, "/ws/canary") as honest:
        assert honest.ask("clients") == "clients 1"
        yield
        assert honest.ask("clients") == "clients 1"
        honest.leave()


def join(server, target="/ws/room"):
    connection = Connection(server.port, tls=server.context).upgrade(target)
    assert connection.next_text().startswith("you are ")
    return connection


def s_client(server, *words, text=b"", seconds=20):
    """`openssl s_client`, which says `text` and then leaves."""
    return subprocess.run(["openssl", "s_client", "-connect", f"127.0.0.1:{server.port}", *map(str, words)], input=text,
                          capture_output=True, timeout=seconds * PATIENCE)


def raw(server, data, end=True):
    """Says `data` where a handshake should begin. @return what came back until the end of the connection."""
    back = b""
    with Connection(server.port) as connection:
        connection.send_until_refused(data)
        if end:
            connection.half_close_quietly()
        with contextlib.suppress(Ended):
            while True:
                connection.fill(8)
        back = connection.buffer
    return back


# --- Honest clients ---------------------------------------------------------------------------------------------------


def test_the_first_line_says_https(probe):
    assert probe.first_line.startswith("listening on https://127.0.0.1:")


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_both_versions_serve_rooms_and_requests(probe, tls_files, version):
    context = client_context(tls_files[0], version=version)
    with Connection(probe.port, tls=context) as connection:
        assert connection.socket.version() == version.name.replace("_", ".").replace("TLSv1.", "TLSv1.")
        assert connection.socket.selected_alpn_protocol() == "http/1.1"
        connection.send(request("/status", headers=[("Host", "localhost")]))
        assert connection.response().body == b"ok"
        connection.upgrade("/ws/versions")
        assert connection.next_text().startswith("you are ")
        connection.leave()


def test_python_websockets(probe, tls_files):
    async def story():
        context = client_context(tls_files[0])
        address = f"wss://localhost:{probe.port}/ws/python"
        async with websockets.connect(address, ssl=context) as one, websockets.connect(address, ssl=context) as two:
            assert (await one.recv()).startswith("you are ")
            assert (await two.recv()).startswith("you are ")
            await two.send("clients")
            assert await two.recv() == "clients 2"
    asyncio.run(story())


def test_curl(probe, tls_files):
    answer = subprocess.run(["curl", "--silent", "--show-error", "--cacert", tls_files[0], f"https://localhost:{probe.port}/status"],
                            capture_output=True, timeout=30 * PATIENCE)
    assert answer.stdout == b"ok", answer.stderr


def test_openssl(probe, tls_files):
    answer = s_client(probe, "-quiet", "-verify_return_error", "-CAfile", tls_files[0], "-alpn", "http/1.1",
                      text=b"GET /status HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    assert answer.stdout.endswith(b"\r\n\r\nok"), answer


def test_large_messages_in_both_directions(tls_files, kind):
    with Server(kind, "echo", settings(*tls_files)) as server:
        context = client_context(tls_files[0])
        payload = bytes(range(256)) * 3000
        with Connection(server.port, tls=context).upgrade("/ws/large") as connection:
            for _ in range(3):
                connection.send(frame(2, payload))
                received = connection.frame()
                assert received.opcode == 2 and received.payload == payload
            connection.leave()


def test_rooms_are_shared_over_all_shards(tls_files, kind):
    """Connections change shards with what was decrypted of them."""
    with Server(kind, "probe", {**settings(*tls_files), "server.shards": 2}) as server:
        server.context = client_context(tls_files[0])
        for number in range(12):
            with Connection(server.port, tls=server.context) as connection:
                # The first message comes with the request, in one record.
                connection.send(request(f"/ws/room{number}") + frame(1, b"clients"))
                assert connection.response().status == 101
                assert connection.next_text() == "you are 1"
                assert connection.next_text() == "clients 1"
                connection.leave()


# --- Hostile ones -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("data", [
    HELLO_HEAD + b"\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\0" * 20,
    HELLO_HEAD + b"\x40\x01" + b"\x01" * 0x4001,
    HELLO_HEAD + b"\0\0",
    (HELLO_HEAD + b"\0\0") * 1_000_000,
    b"\x16\x09\x09\x00\x05\x01\0\0\x01\0",
    b"\x80\x2e\x01\x03\x01\x00\x15\x00\x00\x00\x10" + b"\x01" * 40,
    b"\x15\x03\x01\x00\x02\x01\x5a" * 1000,
    b"\x17\x03\x03\x00\x10" + b"\0" * 16,
    b"\0" * 5000,
], ids=["truncated", "oversized record", "empty record", "10^6 empty records", "wrong version", "SSLv2", "alerts", "data first", "zeros"])
def test_what_is_no_hello_is_refused(probe, data):
    """T-01: truncated, too long, empty, of another version, alerts: the connection ends."""
    back = raw(probe, data)
    assert b"HTTP" not in back and len(back) < 200, back[:100]


def test_plain_http_is_told_so(probe):
    answer = raw(probe, b"GET /status HTTP/1.1\r\nHost: localhost\r\n\r\n", end=False)
    assert answer.startswith(b"HTTP/1.1 400 ") and b"https://" in answer


@pytest.mark.parametrize("words", [["-tls1"], ["-tls1_1"], ["-tls1_2", "-cipher", "AES128-SHA"], ["-tls1_2", "-cipher", "NULL"]])
def test_old_versions_and_weak_ciphers_are_refused(probe, words):
    """T-02: nothing older than 1.2, nothing without forward secrecy."""
    if words[-1] != "NULL":
        words = [*words[:-1], words[-1] + ":@SECLEVEL=0"] if "-cipher" in words else [*words, "-cipher", "DEFAULT:@SECLEVEL=0"]
    answer = s_client(probe, *words)
    assert answer.returncode != 0 and b"Cipher is (NONE)" in answer.stdout + b"Cipher is (NONE)" * (b"rror" in answer.stderr)


@pytest.mark.parametrize("words", [["-noservername"], ["-servername", "x" * 255], ["-servername", "127.0.0.1"],
                                   ["-servername", "nobody.example"]], ids=["none", "long", "address", "another"])
def test_any_server_name_will_do(probe, words):
    """T-02: there is one certificate."""
    answer = s_client(probe, "-quiet", *words, text=b"GET /status HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    assert answer.stdout.endswith(b"ok"), answer


def test_renegotiation_is_refused(probe):
    """T-03: a client of TLS 1.2 that asks for it hears that there is none."""
    with subprocess.Popen(["openssl", "s_client", "-connect", f"127.0.0.1:{probe.port}", "-tls1_2"], stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as client:
        timer = threading.Timer(20 * PATIENCE, client.kill)
        timer.start()
        client.stdin.write(b"R\n")
        client.stdin.flush()
        said = b""
        # It ends by itself. Its input stays open meanwhile: it would leave at its end without having heard the answer.
        while part := client.stdout.read1():
            said += part
        timer.cancel()
    assert b"no renegotiation" in said, said[-600:]


def test_who_speaks_http_2_alone_is_refused(probe, tls_files):
    """T-04: ALPN h2 only; with http/1.1 beside it, that is chosen."""
    with pytest.raises(ssl.SSLError, match="(?i)no.application.protocol"):
        Connection(probe.port, tls=client_context(tls_files[0], protocols=["h2"]))
    with Connection(probe.port, tls=client_context(tls_files[0], protocols=["h2", "http/1.1"])) as connection:
        assert connection.socket.selected_alpn_protocol() == "http/1.1"


def test_there_is_no_early_data_and_no_ticket(probe):
    """T-04: nothing that could be replayed."""
    answer = s_client(probe, "-tls1_3", "-ign_eof", text=b"GET /status HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    assert b"New Session Ticket" not in answer.stdout and b"Early data was not sent" in answer.stdout, answer.stdout[-800:]


def test_handshakes_under_way_are_bounded(tls_files, kind):
    """T-05: the oldest makes way for the newest."""
    values = {**settings(*tls_files), "limits.tls_handshakes_max": 4, "server.shards": 1, "admin.port": 0}
    with Server(kind, "probe", values) as server:
        held = [socket.create_connection(server.address) for _ in range(5)]
        held[0].settimeout(20 * PATIENCE)
        assert held[0].recv(1) == b""
        server.context = client_context(tls_files[0])
        with join(server) as connection:
            connection.leave()
        assert limit_hits(server, "tls_handshakes_max") >= 1
        until(lambda: [line for line in server.log_lines() if line["event"] == "limit.hit" and line["limit"] == "tls_handshakes_max"], 10)
        for each in held:
            each.close()


def test_ends_without_close_notify(probe):
    """T-06: without close_notify, the room is told; with one and data behind it, too."""
    with join(probe, "/ws/ends") as watcher:
        for _ in range(2):
            leaver = Connection(probe.port, tls=probe.context).upgrade("/ws/ends")
            number = leaver.next_text().removeprefix("you are ")
            watcher.expect_text(f"{number} connected")
            with contextlib.suppress(OSError):
                socket.socket(fileno=leaver.socket.detach()).close()
            watcher.expect_text(f"{number} disconnected")
        leaver = Connection(probe.port, tls=probe.context).upgrade("/ws/ends")
        number = leaver.next_text().removeprefix("you are ")
        watcher.expect_text(f"{number} connected")
        plain = None
        with contextlib.suppress(OSError, ssl.SSLError):
            plain = leaver.socket.unwrap()  # close_notify
        with contextlib.suppress(OSError):
            (plain or leaver.socket).sendall(b"\x17\x03\x03\x00\x20" + b"x" * 32)
        watcher.expect_text(f"{number} disconnected")
        leaver.close()
        watcher.leave()


def test_records_and_frames_that_share_no_boundary(probe, tls_files):
    """T-06: a record a byte, and each record in two segments."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = client_context(tls_files[0]).wrap_bio(incoming, outgoing, server_hostname="localhost")
    with socket.create_connection(probe.address) as plain:
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        plain.settimeout(20 * PATIENCE)

        def flush():
            data = outgoing.read()
            for at in range(0, len(data), 7):
                plain.sendall(data[at:at + 7])

        def wait(act):
            while True:
                try:
                    return act()
                except ssl.SSLWantReadError:
                    flush()
                    incoming.write(plain.recv(1 << 16))

        wait(tls.do_handshake)
        flush()
        for byte in request("/ws/bytes"):
            tls.write(bytes([byte]))
            flush()
        got = b""
        while b"you are 1" not in got:
            got += wait(lambda: tls.read(1 << 16))
        for byte in frame(1, b"clients"):
            tls.write(bytes([byte]))
            flush()
        got = b""
        while b"clients 1" not in got:
            got += wait(lambda: tls.read(1 << 16))


# --- Certificates -----------------------------------------------------------------------------------------------------


def test_a_new_certificate_ends_nobody(tls_files, kind):
    """T-07: replaced while 1,000 connections are open; a bad one changes nothing."""
    with tempfile.TemporaryDirectory() as folder:
        for file in tls_files:
            shutil.copy(file, folder)
        cert, key = (pathlib.Path(folder) / file.name for file in tls_files)
        with Server(kind, "probe", {**settings(cert, key), "limits.clients_per_room_max": 2000}) as server:
            server.context = client_context(tls_files[0])
            old = [join(server, f"/ws/r{number % 50}") for number in range(1000)]
            other = make_certificate(folder, "other")
            shutil.copy(other[0], cert)
            shutil.copy(other[1], key)
            server.process.send_signal(signal.SIGHUP)
            until(lambda: "server.reloaded" in server.log_text(), 10)
            with pytest.raises(ssl.SSLError):
                until(lambda: Connection(server.port, tls=client_context(tls_files[0])) and False, 10)
            fresh = client_context(other[0])
            with Connection(server.port, tls=fresh).upgrade("/ws/fresh") as connection:
                connection.next_text()
                connection.leave()
            key.write_text("nonsense")
            time.sleep(1.1)  # The log says it at most once a second.
            server.process.send_signal(signal.SIGHUP)
            line = until(lambda: [line for line in server.log_lines() if line["event"] == "server.not_reloaded"], 10)[0]
            assert "tls.key" in line["reason"] and str(key) in line["reason"]
            with Connection(server.port, tls=fresh).upgrade("/ws/fresh2") as connection:
                connection.next_text()
                connection.leave()
            for each in old:
                each.text("clients")
            for each in old:
                answer = each.next_text()
                while answer.endswith(" connected"):  # Of those who came later.
                    answer = each.next_text()
                assert answer == "clients 20"
                each.close()


def refusal(kind, *values):
    command = [*command_for(kind, "echo"), "--set", "server.port=0"]
    for value in values:
        command += ["--set", str(value)]
    ended = subprocess.run([str(word) for word in command], capture_output=True, text=True, timeout=60 * PATIENCE)
    said = "\n".join(line for line in ended.stderr.splitlines() if not line.startswith("{"))
    return ended.returncode, said


def test_what_is_wrong_with_the_files_is_said(tls_files, kind):
    """T-07, L-02: exit code 2, and one line that names the setting, the file, and what is wrong with it."""
    cert, key = tls_files
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        other = make_certificate(folder, "other")
        encrypted, weak_cert, weak_key, damaged, empty, large = (
            folder / name for name in ("encrypted.key", "weak.pem", "weak.key", "damaged.pem", "empty.pem", "large.pem"))
        subprocess.run(["openssl", "ec", "-in", key, "-aes256", "-passout", "pass:x", "-out", encrypted], check=True,
                       capture_output=True, timeout=60)
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:1024", "-nodes", "-days", "2", "-subj", "/CN=weak", "-keyout", weak_key,
                        "-out", weak_cert], check=True, capture_output=True, timeout=60)
        damaged.write_text(cert.read_text() + cert.read_text()[:200])
        empty.write_text("")
        large.write_bytes(b"x" * (2 << 20))
        for values, words in [
            ([f"tls.cert={cert}"], ["tls.cert is set but tls.key is not"]),
            ([f"tls.key={key}"], ["tls.key is set but tls.cert is not"]),
            ([f"tls.cert={folder}/none.pem", f"tls.key={key}"], ["tls.cert", "none.pem", "No such file"]),
            ([f"tls.cert={cert}", f"tls.key={folder}/none.key"], ["tls.key", "none.key", "No such file"]),
            ([f"tls.cert={folder}", f"tls.key={key}"], ["tls.cert", folder, "directory"]),
            ([f"tls.cert={key}", f"tls.key={key}"], ["tls.cert", key, "certificate"]),
            ([f"tls.cert={empty}", f"tls.key={key}"], ["tls.cert", empty, "certificate"]),
            ([f"tls.cert={large}", f"tls.key={key}"], ["tls.cert", large, "1 MiB"]),
            ([f"tls.cert={damaged}", f"tls.key={key}"], ["tls.cert", damaged, "damaged"]),
            ([f"tls.cert={weak_cert}", f"tls.key={weak_key}"], ["tls.cert", weak_cert, "too small"]),
            ([f"tls.cert={cert}", f"tls.key={cert}"], ["tls.key", cert, "private key"]),
            ([f"tls.cert={cert}", f"tls.key={other[1]}"], ["belong together", cert, other[1]]),
            ([f"tls.cert={cert}", f"tls.key={encrypted}"], ["encrypted", "password", encrypted]),
        ]:
            code, said = refusal(kind, *values)
            assert code == 2 and len(said.splitlines()) == 1, (values, code, said)
            for word in words:
                assert str(word) in said, (values, said)


def test_a_certificate_by_links_is_renewed(tls_files):
    """T-07: as certbot keeps them: a folder of links into another folder, whose targets change. In the sandbox, too, if it is on."""
    with tempfile.TemporaryDirectory() as folder:
        live, archive = pathlib.Path(folder) / "live", pathlib.Path(folder) / "archive"
        live.mkdir()
        archive.mkdir()
        for number, made in enumerate((tls_files, make_certificate(folder, "second"))):
            for source, name in zip(made, ("fullchain", "privkey")):
                shutil.copy(source, archive / f"{name}{number}.pem")

        def point_to(number):
            for name in ("fullchain", "privkey"):
                link = live / f"{name}.new"
                link.symlink_to(f"../archive/{name}{number}.pem")
                link.rename(live / f"{name}.pem")

        point_to(0)
        with Server("module", "probe", settings(live / "fullchain.pem", live / "privkey.pem")) as server:
            server.context = client_context(tls_files[0])
            with join(server) as inside:
                point_to(1)
                server.process.send_signal(signal.SIGHUP)
                until(lambda: "server.reloaded" in server.log_text(), 10, server.log_text)
                with Connection(server.port, tls=client_context(archive / "fullchain1.pem")) as connection:
                    connection.upgrade("/ws/renewed")
                assert inside.ask("clients") == "clients 1"
                inside.leave()


def test_dev_makes_a_certificate(tmp_path):
    """As a user does it: the page, the room, and the same certificate the next time."""
    shutil.copytree(path_from_environment("JAMSOCKET_EXAMPLES") / "counter", tmp_path / "counter")
    command = [path_from_environment("JAMSOCKET_BIN"), "dev", tmp_path / "counter", "--tls", "-p", "0"]
    kept = None
    for _ in range(2):
        server = Server(command=command)
        with server:
            assert server.first_line.startswith("listening on https://")
            certificate = (tmp_path / "counter" / ".jamsocket" / "tls-cert.pem").read_bytes()
            assert kept in (None, certificate)
            kept = certificate
            key = tmp_path / "counter" / ".jamsocket" / "tls-key.pem"
            assert key.stat().st_mode & 0o077 == 0
            context = client_context(tmp_path / "counter" / ".jamsocket" / "tls-cert.pem")
            with Connection(server.port, tls=context).upgrade("/ws/1") as connection:
                assert connection.ask("increment").startswith("new value: ")
                connection.leave()
