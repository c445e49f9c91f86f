"""H: bad handshakes and HTTP. A request has one meaning or none; a refusal says what was wrong and ends the connection."""

import pytest

from harness.cases import END, Alive, Close, Status, tcp
from harness.wire import KEY, frame, random_bytes, request, upgrade_headers

SETTINGS = {"service.shutdown_policy": "immediate", "limits.handshake_timeout_ms": 1500, "limits.close_timeout_ms": 500}
VERSION_13 = {"Sec-WebSocket-Version": "13"}
HEADERS_MAX_BYTES = 8192
HELLO = "you are 1"  # The probe's greeting: the upgrade led into a room.


def headers_of_length(total):
    """An upgrade request whose header lines, line ends included, are `total` bytes."""
    used = sum(len(f"{name}: {value}\r\n") for name, value in upgrade_headers())
    return request(add=[("X-Fill", "x" * (total - used - len("X-Fill: \r\n")))])


def many_headers(count):
    return request(add=[(f"X-{number}", "") for number in range(count - len(upgrade_headers()))])


def request_line_of_length(total):
    target = "/ws/attack?"
    return request(target + "x" * (total - len(f"GET {target} HTTP/1.1")))


def half_close_after(data):
    def send(connection):
        connection.send(data)
        connection.half_close()
    return send


def slowly(data):
    def send(connection):
        """A byte each 50 ms: never idle, never done."""
        for byte in data:
            connection.send_until_refused(bytes([byte]))
            try:
                connection.fill(0.05)
            except AssertionError:
                continue
            except Exception:
                return
    return send


def in_pieces(data):
    return [data[i:i + 1] for i in range(len(data))]


OPEN = (101, HELLO, Alive())

CASES = [
    tcp("H-01 connects and leaves", half_close_after(b""), END),
    tcp("H-01 connects and says nothing", b"", END),
    tcp("H-02 a byte at a time, for longer than the deadline", slowly(request(add=[("X-Slow", "x" * 500)])), END),
    tcp("H-02 a byte at a time, within the deadline", in_pieces(request()), *OPEN),
    tcp("H-03 no last line end, then half-close", half_close_after(request()[:-2]), END),
    tcp("H-04 HTTP/1.0", request(version="HTTP/1.0"), 426),
    tcp("H-04 HTTP/0.9", b"GET /ws/attack\r\n\r\n", 400),
    tcp("H-04 HTTP/2.0", request(version="HTTP/2.0"), 505),
    tcp("H-04 HTTP/1.2", request(version="HTTP/1.2"), 505),
    tcp("H-04 HTTP/2 preface", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
    tcp("H-04 h2c upgrade", request(change={"Upgrade": "h2c"}), 426),
    tcp("H-05 PUT", request(method="PUT"), Status(405, {"Allow": "GET, POST"})),
    tcp("H-05 DELETE", request(method="DELETE"), Status(405, {"Allow": "GET, POST"})),
    tcp("H-05 OPTIONS", request(method="OPTIONS"), Status(405, {"Allow": "GET, POST"})),
    tcp("H-05 CONNECT", request(method="CONNECT"), Status(405, {"Allow": "GET, POST"})),
    tcp("H-05 TRACE", request(method="TRACE"), Status(405, {"Allow": "GET, POST"})),
    tcp("H-05 lower case", request(method="get"), Status(405, {"Allow": "GET, POST"})),
    tcp("H-05 method with a forbidden character", request(method="G(T"), 400),
    tcp("H-06 no Upgrade", request(drop=["Upgrade"]), Status(426, {"Upgrade": "websocket"})),
    tcp("H-06 empty Upgrade", request(change={"Upgrade": ""}), 426),
    tcp("H-06 Upgrade lists two", request(change={"Upgrade": "websocket, h2c"}), *OPEN),
    tcp("H-06 Upgrade in odd case", request(change={"Upgrade": "WebSOCKet"}), *OPEN),
    tcp("H-07 Connection: keep-alive only", request(change={"Connection": "keep-alive"}), 426),
    tcp("H-07 Connection lists two", request(change={"Connection": "keep-alive, Upgrade"}), *OPEN),
    tcp("H-07 two Connection headers", request(change={"Connection": "keep-alive"}, add=[("Connection", "upgrade")]), *OPEN),
    tcp("H-08 version 8", request(change={"Sec-WebSocket-Version": "8"}), Status(426, VERSION_13)),
    tcp("H-08 version 0", request(change={"Sec-WebSocket-Version": "0"}), Status(426, VERSION_13)),
    tcp("H-08 version 13abc", request(change={"Sec-WebSocket-Version": "13abc"}), Status(426, VERSION_13)),
    tcp("H-08 version 13, 8", request(change={"Sec-WebSocket-Version": "13, 8"}), Status(426, VERSION_13)),
    tcp("H-08 no version", request(drop=["Sec-WebSocket-Version"]), Status(426, VERSION_13)),
    tcp("H-08 version twice", request(add=[("Sec-WebSocket-Version", "13")]), Status(426, VERSION_13)),
    tcp("H-09 no key", request(drop=["Sec-WebSocket-Key"]), 400),
    tcp("H-09 empty key", request(change={"Sec-WebSocket-Key": ""}), 400),
    tcp("H-09 key of 15 bytes", request(change={"Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAA"}), 400),
    tcp("H-09 key of 17 bytes", request(change={"Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAAA="}), 400),
    tcp("H-09 key with bad base64", request(change={"Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25j*Q=="}), 400),
    tcp("H-09 key twice", request(add=[("Sec-WebSocket-Key", KEY)]), 400),
    tcp("H-09 key of 10 KiB", request(change={"Sec-WebSocket-Key": "A" * 10240}), 431),
    tcp("H-10 no Host", request(drop=["Host"]), 400),
    tcp("H-10 Host twice", request(add=[("Host", "127.0.0.1")]), 400),
    tcp("H-10 empty Host", request(change={"Host": ""}), 400),
    tcp("H-10 Host with a user", request(change={"Host": "me@127.0.0.1"}), 400),
    tcp("H-10 Host with NUL", request(change={"Host": "127.0.0.1\0"}), 400),
    tcp("H-11 a body on the upgrade", request(add=[("Content-Length", "5")], body=b"hello"), 400),
    tcp("H-11 chunked upgrade", request(add=[("Transfer-Encoding", "chunked")], body=b"0\r\n\r\n"), 400),
    tcp("H-11 Content-Length and chunked", request(add=[("Content-Length", "5"), ("Transfer-Encoding", "chunked")], body=b"0\r\n\r\n"), 400),
    tcp("H-11 Content-Length -1", request(add=[("Content-Length", "-1")]), 400),
    tcp("H-11 Content-Length +5", request(add=[("Content-Length", "+5")], body=b"hello"), 400),
    tcp("H-11 Content-Length 5, 5", request(add=[("Content-Length", "5, 5")], body=b"hello"), 400),
    tcp("H-11 Content-Length twice", request(add=[("Content-Length", "5"), ("Content-Length", "5")], body=b"hello"), 400),
    tcp("H-11 Content-Length 2^63", request(add=[("Content-Length", str(1 << 63))]), 413),
    tcp("H-11 Content-Length 2^64", request(add=[("Content-Length", str(1 << 64))]), 400),
    tcp("H-11 Transfer-Encoding: gzip", request(add=[("Transfer-Encoding", "gzip")]), 501),
    tcp("H-12 bare LF", request().replace(b"\r\n", b"\n"), 400),
    tcp("H-12 one bare LF", request().replace(b"\r\nUpgrade", b"\nUpgrade"), 400),
    tcp("H-12 CR without LF", request().replace(b"\r\nUpgrade", b"\rUpgrade"), 400),
    tcp("H-12 CRCRLF", request().replace(b"\r\nUpgrade", b"\r\r\nUpgrade"), 400),
    tcp("H-12 NUL in a header", request(add=[("X-Nul", "a\0b")]), 400),
    tcp("H-12 tab before the colon", request(add=[("X-Tab\t", "x")]), 400),
    tcp("H-12 space before the colon", request(add=[("X-Space ", "x")]), 400),
    tcp("H-12 space in a name", request(add=[("X Space", "x")]), 400),
    tcp("H-12 folded line", request(add=[("X-Fold", "a\r\n b")]), 400),
    tcp("H-13 name with 0x80", request(add=[(b"X-\x80", "x")]), 400),
    tcp("H-13 name with 0xFF", request(add=[(b"X-\xff", "x")]), 400),
    tcp("H-13 value with ESC", request(add=[("X-Ansi", "\x1b[2J")]), 400),
    tcp("H-13 header without colon", request().replace(b"Upgrade: websocket", b"Upgrade websocket"), 400),
    tcp("H-13 header without a name", request(add=[("", "x")]), 400),
    tcp("H-14 absolute form", request("http://127.0.0.1/ws/attack"), *OPEN),
    tcp("H-14 authority form", request("127.0.0.1:80"), 400),
    tcp("H-14 asterisk form", request("*"), 400),
    tcp("H-14 no target", request(""), 400),
    tcp("H-14 two slashes", request("//ws//x"), 404),
    tcp("H-14 fragment", request("/ws/attack#a"), 400),
    tcp("H-14 target with 0xFF", request(b"/ws/\xff"), 400),
    tcp("H-15 a second request behind the upgrade", request() + request(), 101, HELLO, Close(1002)),
    tcp("H-15 frames in the request's segment", request() + frame(1, b"early") + frame(1, b"bird"), 101, HELLO, "early", "bird", Alive()),
    tcp("H-16 frames before the answer was read, then garbage", [request(), frame(1, b"early"), b"\xff\xff\xff\xff"], 101, HELLO, "early", Close(1002)),
    tcp("H-17 frames behind a refused upgrade", request(change={"Sec-WebSocket-Version": "8"}) + frame(1, b"x") * 10, 426),
    tcp("H-17 a request behind a refused upgrade", request(drop=["Sec-WebSocket-Key"]) + request("/status", drop=["Upgrade"]), 400),
    tcp("H-17 frames behind an upgrade to nothing", request("/nothing") + frame(1, b"x") * 10, 404),
    tcp("H-17 a request behind an upgrade to no room id", request("/ws/") + request("/status", drop=["Upgrade"]), 400),
    tcp("H-18 Expect: 100-continue", request(add=[("Expect", "100-continue")]), *OPEN),
    tcp("H-18 Expect: something", request(add=[("Expect", "something")]), 417),
    tcp("H-19 headers of one byte below the limit", headers_of_length(HEADERS_MAX_BYTES - 1), *OPEN),
    tcp("H-19 headers of the limit", headers_of_length(HEADERS_MAX_BYTES), *OPEN),
    tcp("H-19 headers of one byte above the limit", headers_of_length(HEADERS_MAX_BYTES + 1), 431),
    tcp("H-19 header of 64 KiB", headers_of_length(1 << 16), 431),
    tcp("H-19 header of 1 MiB", headers_of_length(1 << 20), 431),
    tcp("H-20 64 headers", many_headers(64), *OPEN),
    tcp("H-20 65 headers", many_headers(65), 431),
    tcp("H-20 1,000 headers", many_headers(1000), 431),
    tcp("H-20 2,001 headers", many_headers(2001), 431),
    tcp("H-20 100,000 headers", many_headers(100_000), 431),
    tcp("H-21 request line of 2,048 bytes", request_line_of_length(2048), *OPEN),
    tcp("H-21 request line of 2,049 bytes", request_line_of_length(2049), 414),
    tcp("H-21 request line of 1 MiB", request_line_of_length(1 << 20), 414),
    tcp("H-22 1,000 subprotocols", request(add=[("Sec-WebSocket-Protocol", ",".join(f"p{n}" for n in range(1000)))]), 400),
    tcp("H-22 64 subprotocols", request(add=[("Sec-WebSocket-Protocol", ", ".join(f"p{n}" for n in range(64)))]), *OPEN),
    tcp("H-22 a subprotocol twice", request(add=[("Sec-WebSocket-Protocol", "a, a")]), 400),
    tcp("H-22 empty elements among subprotocols", request(add=[("Sec-WebSocket-Protocol", "a, ,b,")]), *OPEN),
    tcp("H-22 a subprotocol that is no token", request(add=[("Sec-WebSocket-Protocol", "a b")]), 400),
    tcp("H-23 7,000 spaces in subprotocols", request(add=[("Sec-WebSocket-Protocol", "b" + " " * 7000 + "x")]), 400),
    tcp("H-23 7,000 spaces in extensions", request(add=[("Sec-WebSocket-Extensions", "b" + " " * 7000 + "x")]), 400),
    tcp("H-23 7,000 spaces in cookies", request(add=[("Cookie", "b" + " " * 7000 + "x")]), *OPEN),
    tcp("H-23 7,000 spaces in the origin", request(add=[("Origin", "b" + " " * 7000 + "x")]), 403),
    tcp("H-23 30,000 spaces", request(add=[("Sec-WebSocket-Protocol", "b" + " " * 30_000 + "x")]), 431),
    tcp("H-24 an unknown extension", request(add=[("Sec-WebSocket-Extensions", "x-none; a=b")]), *OPEN),
    tcp("H-24 permessage-deflate a hundred times", request(add=[("Sec-WebSocket-Extensions", ", ".join(["permessage-deflate"] * 100))]), *OPEN),
    tcp("H-24 window bits of 7", request(add=[("Sec-WebSocket-Extensions", "permessage-deflate; client_max_window_bits=7")]), *OPEN),
    tcp("H-24 a parameter twice", request(add=[("Sec-WebSocket-Extensions", "permessage-deflate; server_no_context_takeover; server_no_context_takeover")]), *OPEN),
    tcp("H-24 a quote that does not end", request(add=[("Sec-WebSocket-Extensions", 'permessage-deflate; client_max_window_bits="15')]), 400),
    tcp("H-25 two Origin headers", request(add=[("Origin", "http://a"), ("Origin", "http://b")]), 400),
    tcp("H-26 a TLS hello", bytes.fromhex("16030100c8010000c40303") + random_bytes("tls", 197), 400),
    tcp("H-26 an SSH banner", b"SSH-2.0-OpenSSH_9.2\r\n", 400),
    tcp("H-26 64 KiB of random bytes", b"\x80" + random_bytes("http", 65535), 400),
    tcp("H-26 64 KiB of zeros", bytes(65536), 400),
    tcp("H-26 64 KiB of 0xFF", b"\xff" * 65536, 400),
]

# What each group's entries ask for and is no part of the server, or is tested elsewhere.
NOT_HERE = {
    "H-05 POST": "it makes a room: test_http_api.py",
    "H-24 offers where compression is on": "tests/conformance/rfc7692_deflate.txt, and unit tests of the negotiation",
    "H-10 names that are not the server's": "test_origins.py, with a list of hosts",
    "H-19 a header of 1 GiB": "the answer comes after 8 KiB; the case of 1 MiB shows it",
    "H-25 origins by rule": "test_origins.py",
    "H-26 HTTP to a TLS port": "test_tls.py: it is told so",
}


@pytest.mark.parametrize("case", CASES, ids=str)
def test_bad_http(watch, case):
    watch.run(case)
