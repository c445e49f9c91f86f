"""U: bad addresses: room ids decoded once and taken as they are, files that may not be had."""

import os

import pytest

from harness.cases import Alive, tcp
from harness.server import Server
from harness.wait import until
from harness.wire import Connection, http, request

SETTINGS = {"service.shutdown_policy": "immediate", "limits.close_timeout_ms": 500}
HELLO = "you are 1"
OPEN = (101, HELLO, Alive())


def room(segment):
    return request(f"/ws/{segment}" if isinstance(segment, str) else b"/ws/" + segment)


CASES = [
    tcp("U-01 /ws/", room(""), 400),
    tcp("U-01 /ws", request("/ws"), 404),
    tcp("U-01 /ws//", room("/"), 400),
    tcp("U-01 /ws/a/b", room("a/b"), 400),
    tcp("U-01 /ws/.", room("."), 400),
    tcp("U-01 /ws/..", room(".."), 400),
    tcp("U-01 /ws/%2e%2e", room("%2e%2e"), 400),
    tcp("U-02 a room called ../../etc/passwd", room("..%2f..%2fetc%2fpasswd"), *OPEN),
    tcp("U-02 decoded once, not twice", room("%252e%252e%252f"), *OPEN),
    tcp("U-02 a file above the folder", request("/static/../../etc/passwd"), 404),
    tcp("U-02 a file above the folder, encoded", request("/static/%2e%2e%2f%2e%2e%2fetc/passwd"), 404),
    tcp("U-02 a file above the folder, by backslash", request("/..%5c..%5cetc%5cpasswd"), 404),
    tcp("U-02 a file above the folder, encoded twice", request("/%252e%252e%252fetc%252fpasswd"), 404),
    tcp("U-03 NUL", room("a%00b"), 400),
    tcp("U-03 CRLF and a header", room("a%0d%0aSet-Cookie:x"), 400),
    tcp("U-03 ESC", room("%1b%5b2J"), 400),
    tcp("U-03 DEL", room("%7f"), 400),
    tcp("U-03 a control character above ASCII", room("%c2%85"), 400),
    tcp("U-03 a bare percent", room("%"), 400),
    tcp("U-03 a percent and one digit", room("%4"), 400),
    tcp("U-03 a percent and letters", room("%zz"), 400),
    tcp("U-03 a percent and u", room("%u0041"), 400),
    tcp("U-04 overlong UTF-8", room("%c0%ae%c0%ae"), 400),
    tcp("U-04 a lone surrogate", room("%ed%a0%80"), 400),
    tcp("U-04 beyond U+10FFFF", room("%f4%90%80%80"), 400),
    tcp("U-04 right-to-left override", room("%e2%80%ae"), *OPEN),
    tcp("U-04 zero width", room("%e2%80%8b"), *OPEN),
    tcp("U-05 1 byte", room("a"), *OPEN),
    tcp("U-05 256 bytes", room("a" * 256), *OPEN),
    tcp("U-05 256 bytes, encoded", room("%61" * 256), *OPEN),
    tcp("U-05 257 bytes", room("a" * 257), 400),
    tcp("U-05 1 MiB", room("a" * (1 << 20)), 414),
    tcp("U-05 CON", room("CON"), *OPEN),
    tcp("U-05 -rf", room("-rf"), *OPEN),
    tcp("U-05 $(id)", room("$(id)"), *OPEN),
    tcp("U-05 SQL", room("'%3b%20DROP%20TABLE%20rooms--"), *OPEN),
    tcp("U-05 a template", room("{{7*7}}"), *OPEN),
    tcp("U-05 __proto__", room("__proto__"), *OPEN),
    tcp("U-08 /metrics", request("/metrics", drop=["Upgrade"]), 404),
    tcp("U-08 /admin", request("/admin", drop=["Upgrade"]), 404),
    tcp("U-08 /debug", request("/debug", drop=["Upgrade"]), 404),
    tcp("U-08 /health", request("/health", drop=["Upgrade"]), 404),
]

NOT_HERE = {
    "U-09 10,000 rooms by one client": "test_front_limits.py: rooms made by one address; the limit of all rooms is in test_rooms.py",
}


@pytest.mark.parametrize("case", CASES, ids=str)
def test_bad_urls(watch, case):
    watch.run(case)


@pytest.mark.parametrize("one, other", [
    ("Room", "room"),
    ("a.b", "a%2fb"),
    ("%c3%a9", "e%cc%81"),  # é as one character and as two.
    ("a", "a%20"),
    ("%c3%9f", "ss"),
], ids=["case", "dot and slash", "composed and decomposed", "space", "sharp s"])
def test_two_names_are_two_rooms(watch, one, other):
    with Connection(watch.server.port).upgrade(f"/ws/{one}") as first, Connection(watch.server.port).upgrade(f"/ws/{other}") as second:
        assert first.next_text() == "you are 1"
        assert second.next_text() == "you are 1"
        first.leave()
        second.leave()


@pytest.mark.parametrize("one, same", [("room", "%72oom"), ("a%20b", "%61%20%62"), ("%c3%a9", "%C3%A9")])
def test_two_encodings_are_one_room(watch, one, same):
    with Connection(watch.server.port).upgrade(f"/ws/{one}") as first, Connection(watch.server.port).upgrade(f"/ws/{same}") as second:
        assert first.next_text() == "you are 1"
        assert second.next_text() == "you are 2"


def test_the_room_is_what_the_service_is_told(watch):
    with Connection(watch.server.port).upgrade("/ws/a%2f%c3%a9%20%252e") as connection:
        connection.next_text()
        assert connection.ask("room") == "room a/é %2e"


def test_a_strange_id_is_escaped_in_the_log(watch):
    """The room's id holds what would clear a terminal's line or reverse its text; a trap is logged with the id."""
    before = len(watch.server.log_bytes())
    with Connection(watch.server.port).upgrade("/ws/%e2%80%ae%e2%80%a8x%22%5c") as connection:
        connection.next_text()
        connection.text("trap")
        connection.expect_close(1011)
    lines = until(lambda: watch.server.log_lines(before), 10, "a trap is worth a line")
    assert lines[0]["event"] == "room.failed"
    raw = watch.server.log_bytes()[before:]
    for forbidden in ("\u202e", "\u2028"):
        assert forbidden.encode() not in raw
    watch.log_seen = len(watch.server.log_bytes())


# --- Static files ---------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder to serve, beside a secret that must not be."""
    base = tmp_path_factory.mktemp("files")
    (base / "secret.txt").write_text("secret")
    root = base / "public"
    root.mkdir()
    (root / "index.html").write_text("<!doctype html><title>index</title>")
    (root / "empty.txt").write_text("")
    (root / "page.txt").write_text("page")
    (root / "sub").mkdir()
    (root / "sub" / "file.txt").write_text("in sub")
    (root / "link-out").symlink_to(base / "secret.txt")
    (root / "link-passwd").symlink_to("/etc/passwd")
    (root / "link-device").symlink_to("/dev/zero")
    (root / "link-folder").symlink_to(base)
    (root / ".env").write_text("SECRET=1")
    (root / ".git").mkdir()
    (root / ".git" / "config").write_text("[core]")
    os.mkfifo(root / "fifo")
    with open(root / "large.bin", "wb") as file:
        file.truncate(8 << 20)
    return root


@pytest.fixture(scope="module")
def files(folder):
    with Server("module", "probe", {**SETTINGS, "static_files": folder}) as server:
        yield server


@pytest.mark.parametrize("names", [("Room", "room"), ("a.b", "a%2fb"), ("%c3%a9", "e%cc%81"), ("x", "x%20"), ("..%2fa", "a"), ("CON", "con")],
                         ids=lambda names: f"{names[0]} and {names[1]}")
def test_two_names_are_two_rooms_on_disk(names, tmp_path):
    """U-06: kept rooms are told apart byte by byte, before and after a restart, and no id becomes a file's name."""
    settings = {"server.data": tmp_path / "data"}
    for expected in (1, 2):
        with Server("module", "counter", settings) as server:
            for name in names:
                with Connection(server.port).upgrade(f"/ws/{name}") as connection:
                    assert connection.ask("increment") == f"new value: {expected}"
                    connection.leave()
    stored = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*")}
    assert stored <= {"data", "data/lock", "data/rooms.db", "data/rooms.db-wal", "data/rooms.db-shm"}


def get(server, target, headers=()):
    return http(server.port, "GET", target, headers)


@pytest.mark.parametrize("target", [
    "/link-out", "/link-device", "/link-passwd", "/link-folder/secret.txt", "/fifo", "/sub/", "/.env", "/.git/config", "/.git", "/nothing",
    "/page.txt/", "/page.txt/x", "/PAGE.TXT",
])
def test_what_may_not_be_had(files, target):
    """U-07, U-08: links that lead out, a pipe, a device, folders, hidden files, files that are not there."""
    response = get(files, target)
    assert response.status in (403, 404), response
    assert b"secret" not in response.body.lower() and b"root:" not in response.body
    assert files.alive()


def test_a_folder_is_a_path_with_a_slash(files):
    response = get(files, "/sub")
    assert (response.status, response.header("Location")) == (308, "/sub/")
    assert get(files, "//example.org/sub").status == 400, "or it would lead elsewhere"


@pytest.mark.parametrize("target", ["/../secret.txt", "/sub/../../secret.txt", "/%2e%2e/secret.txt", "/sub/%2e%2e/%2e%2e/secret.txt",
                                    "/..%2fsecret.txt", "/%2e%2e%5csecret.txt", "/./page.txt", "//etc/passwd", "/sub//file.txt",
                                    "/page.txt%00.html", "/page.txt%0a"])
def test_paths_that_are_refused(files, target):
    response = get(files, target)
    assert response.status in (400, 404), response
    assert b"secret" not in response.body and b"root:" not in response.body


def test_an_empty_file(files):
    """U-07: 0 bytes are a file, too."""
    response = get(files, "/empty.txt")
    assert (response.status, response.body) == (200, b"")


@pytest.mark.parametrize("headers", [
    [("Range", "bytes=0-,0-" + ",0-" * 1000)],
    [("Range", "bytes=18446744073709551615-18446744073709551616")],
    [("Range", "bytes=-")],
    [("If-Modified-Since", "garbage")],
    [("If-Modified-Since", "Thu, 99 Foo 9999 99:99:99 GMT")],
    [("If-None-Match", '"' + "x" * 4000)],
    [("If-None-Match", ", ,,")],
    [("Accept-Encoding", "gzip;q=nan, *;q=2")],
], ids=lambda headers: f"{headers[0][0]}: {headers[0][1][:20]}")
def test_odd_conditions(files, headers):
    """U-07: a thousand ranges, overflowing ones, times and tags that are none."""
    response = get(files, "/page.txt", headers)
    assert response.status in (200, 416), response
    if response.status == 200:
        assert response.body == b"page"


def test_a_file_that_changes_while_it_is_sent(files, folder):
    """U-07, cut short behind the server's back: the connection ends early rather than with bytes that are not the file's."""
    changing = folder / "changing.bin"
    with open(changing, "wb") as file:
        file.truncate(8 << 20)
    with Connection(files.port, receive_buffer=4096) as connection:
        connection.send(request("/changing.bin", headers=[("Host", "h"), ("Connection", "close")]))
        response = connection.response(head_only=True)
        assert response.status == 200 and response.header("Content-Length") == str(8 << 20)
        os.truncate(changing, 1000)
        received = 0
        try:
            while True:
                received += len(connection.buffer)
                connection.buffer = b""
                connection.fill()
        except Exception as end:
            assert type(end).__name__ == "Ended"
    assert received <= 8 << 20
    changing.unlink()
    assert get(files, "/page.txt").body == b"page"


def test_a_file_that_grows_while_it_is_sent(files, folder):
    """U-07: what was promised arrives, and not a byte more."""
    growing = folder / "growing.bin"
    with open(growing, "wb") as file:
        file.truncate(8 << 20)
    with Connection(files.port, receive_buffer=1 << 16) as connection:
        connection.send(request("/growing.bin", headers=[("Host", "h"), ("Connection", "close")]))
        response = connection.response(head_only=True)
        with open(growing, "ab") as file:
            file.write(b"more" * 1000)
        body = connection.take(int(response.header("Content-Length")))
        assert len(body) == 8 << 20 and b"more" not in body
        connection.expect_end()
    growing.unlink()


def test_a_file_that_is_removed_while_it_is_sent(files, folder):
    """U-07, an open file outlives its name: what was promised arrives."""
    removed = folder / "removed.bin"
    with open(removed, "wb") as file:
        file.truncate(8 << 20)
    with Connection(files.port, receive_buffer=1 << 16) as connection:
        connection.send(request("/removed.bin", headers=[("Host", "h"), ("Connection", "close")]))
        response = connection.response(head_only=True)
        removed.unlink()
        assert len(connection.take(int(response.header("Content-Length")))) == 8 << 20
        connection.expect_end()


def test_readers_of_large_files_do_not_hold_others_up(files):
    """Twenty clients ask for 8 MiB and read nothing; a page is still answered, and their memory is not ours."""
    before = files.memory()
    connections = [Connection(files.port, receive_buffer=4096) for _ in range(20)]
    for connection in connections:
        connection.send(request("/large.bin", headers=[("Host", "h")]))
    assert get(files, "/page.txt").body == b"page"
    if not os.environ.get("JAMSOCKET_SANITIZED"):
        assert files.memory() - before < 32 << 20, "at most what a socket's buffer takes of each"
    for connection in connections:
        connection.close()
