"""P: what proxies say of who is behind them, and what others pretend.

Each entry is played against a server that believes 127.0.0.1 (by the PROXY protocol, or by a header), or nobody.
"""

import json
import struct

import pytest

from harness.admin import admin_port, ask
from harness.cases import END, Watch, Status, tcp
from harness.server import KINDS, Server
from harness.wait import until
from harness.wire import Connection, request

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
V4 = bytes([203, 0, 113, 7, 192, 0, 2, 1]) + struct.pack(">HH", 56324, 443)
V1 = b"PROXY TCP4 203.0.113.7 192.0.2.1 56324 443\r\n"
STATUS = request("/status", headers=[("Host", "a"), ("Connection", "close")])

BY_PROTOCOL = {"proxies.trusted": "127.0.0.1", "proxies.protocol": "required", "limits.handshake_timeout_ms": 1000}
BY_XFF = {"proxies.trusted": "127.0.0.1,10.0.0.0/8", "proxies.header": "x-forwarded-for"}
BY_FORWARDED = {"proxies.trusted": "127.0.0.1,10.0.0.0/8", "proxies.header": "forwarded"}
NOBODY = {"proxies.trusted": "192.0.2.1", "proxies.protocol": "required"}


def v2(command=0x21, family=0x11, block=V4, tlvs=b"", length=None, signature=SIGNATURE):
    rest = block + tlvs
    return signature + bytes([command, family]) + struct.pack(">H", len(rest) if length is None else length) + rest


def in_pieces(header):
    return [bytes([byte]) for byte in header] + [STATUS]


OK = Status(200)

FROM_A_TRUSTED_PROXY = [
    tcp("P-01 none from a trusted one: a request", STATUS, END),
    tcp("P-01 none from a trusted one: an upgrade", request(), END),
    tcp("P-01 none from a trusted one: TLS", b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03", END),
    tcp("P-01 none from a trusted one: nothing at all", b"", END),
    tcp("P-02 a good one", V1 + STATUS, OK),
    tcp("P-02 a good one, byte by byte", in_pieces(V1), OK),
    tcp("P-02 IPv6", b"PROXY TCP6 2001:db8::1 2001:db8::2 1 2\r\n" + STATUS, OK),
    tcp("P-02 UNKNOWN", b"PROXY UNKNOWN\r\n" + STATUS, OK),
    tcp("P-02 UNKNOWN and whatever", b"PROXY UNKNOWN a b c\r\n" + STATUS, OK),
    tcp("P-02 108 bytes without a line end", b"PROXY TCP4 " + b"1" * 97, END),
    tcp("P-02 no line end and then nothing", V1[:-2], END),
    tcp("P-02 an address that is none", b"PROXY TCP4 999.1.1.1 192.0.2.1 1 2\r\n" + STATUS, END),
    tcp("P-02 port 65536", b"PROXY TCP4 203.0.113.7 192.0.2.1 65536 2\r\n" + STATUS, END),
    tcp("P-02 port -1", b"PROXY TCP4 203.0.113.7 192.0.2.1 -1 2\r\n" + STATUS, END),
    tcp("P-02 port 01", b"PROXY TCP4 203.0.113.7 192.0.2.1 01 2\r\n" + STATUS, END),
    tcp("P-02 lower case", V1.lower() + STATUS, END),
    tcp("P-02 two headers: the second is a bad request", V1 + V1 + STATUS, 400),
    tcp("P-02 ESC in an address", b"PROXY TCP4 \x1b[2J 192.0.2.1 1 2\r\n" + STATUS, END),
    tcp("P-03 a good one", v2() + STATUS, OK),
    tcp("P-03 a good one, byte by byte", in_pieces(v2(tlvs=b"\x02\0\x01x")), OK),
    tcp("P-03 IPv6", v2(family=0x21, block=b"\x20\x01\x0d\xb8" + b"\0" * 11 + b"\1" + b"\0" * 16 + b"\0\1\0\2") + STATUS, OK),
    tcp("P-03 unspecified", v2(family=0, block=b"") + STATUS, OK),
    tcp("P-03 a bad signature byte", v2(signature=SIGNATURE[:-1] + b"\r") + STATUS, END),
    tcp("P-03 version 1", v2(command=0x11) + STATUS, END),
    tcp("P-03 version 3", v2(command=0x31) + STATUS, END),
    tcp("P-03 command 2", v2(command=0x22) + STATUS, END),
    tcp("P-03 family 0x3F", v2(family=0x3F) + STATUS, END),
    tcp("P-03 datagrams", v2(family=0x12) + STATUS, END),
    tcp("P-03 length 0", v2(length=0) + STATUS, END),
    tcp("P-03 length 65535 and 12 bytes", v2(length=65535), END),
    tcp("P-03 length 4000 and 12 bytes, then nothing", v2(length=4000), END),
    tcp("P-03 a field that goes on behind the end", v2(tlvs=b"\x02\0\x09x") + STATUS, END),
    tcp("P-03 a wrong checksum", v2(tlvs=b"\x03\0\x04abcd") + STATUS, END),
    tcp("P-03 two requests in the same segment as the header", v2() + request("/status", headers=[("Host", "a")]) +
        STATUS, OK, OK),
    tcp("P-04 LOCAL", v2(command=0x20, family=0, block=b"") + STATUS, OK),
    tcp("P-04 LOCAL with addresses", v2(command=0x20) + STATUS, OK),
]

# Nobody here is trusted: whatever looks like a header is a bad request.
FROM_A_STRANGER = [
    tcp("P-01 version 1 from a stranger", V1 + STATUS, 400),
    tcp("P-01 version 2 from a stranger", v2() + STATUS, 400),
    tcp("P-01 no header from a stranger", STATUS, OK),
]


def forwarded(*values, name="X-Forwarded-For"):
    return request("/status", headers=[("Host", "a"), ("Connection", "close"), *((name, value) for value in values)])


WITH_X_FORWARDED_FOR = [
    tcp("P-05 none", STATUS, OK),
    tcp("P-05 one", forwarded("203.0.113.7"), OK),
    tcp("P-05 10 000 entries", forwarded("1.1.1.1, " * 10_000), 431),
    tcp("P-05 IPv6 with a zone", forwarded("fe80::1%eth0"), 400),
    tcp("P-05 garbage", forwarded("<script>alert(1)</script>"), 400),
    tcp("P-05 garbage behind a good one", forwarded("203.0.113.7", "' OR 1=1"), 400),
    tcp("P-05 garbage that the client sent, a good one from the proxy", forwarded("<script>", "203.0.113.7"), OK),
    tcp("P-05 a Forwarded header that contradicts is not looked at",
        request("/status", headers=[("Host", "a"), ("Connection", "close"), ("X-Forwarded-For", "203.0.113.7"),
                                    ("Forwarded", "for=<<<")]), OK),
]


def play(kind, settings, cases):
    with Server(kind, "probe", settings) as server:
        watch = Watch(server) if settings.get("proxies.trusted") != "127.0.0.1" else WatchBehindProxy(server)
        for case in cases:
            watch.run(case)
        watch.done()


class WatchBehindProxy(Watch):
    """Its canary comes through the proxy, too."""

    def __init__(self, server):
        self.server = server
        self.canary = Connection(server.port)
        self.canary.send(V1)
        self.canary.upgrade("/ws/canary")
        self.canary.next_text()
        self.check_canary()
        self.idle_descriptors = server.descriptors()
        self.log_seen = 0


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("settings, cases", [(BY_PROTOCOL, FROM_A_TRUSTED_PROXY), (NOBODY, FROM_A_STRANGER),
                                             (BY_XFF, WITH_X_FORWARDED_FOR)], ids=["proxy", "stranger", "header"])
def test_each_is_answered(kind, settings, cases):
    play(kind, settings, cases)


# --- Who the client is said to be -----------------------------------------------------------------------------------------


def address_seen(server, first=b"", headers=()):
    """What the service hears of its client's address."""
    with Connection(server.port) as client:
        client.send(first)
        client.upgrade("/ws/room?info", add=headers)
        said = client.next_text()
        while not said.startswith("address "):
            said = client.next_text()
        client.socket.close()
        return said.removeprefix("address ")


@pytest.mark.parametrize("kind", KINDS)
def test_the_service_and_the_operator_see_who_is_behind_the_proxy(kind):
    with Server(kind, "probe", {**BY_PROTOCOL, "admin.port": 0}) as server:
        assert address_seen(server, V1) == "203.0.113.7"
        assert address_seen(server, v2()) == "203.0.113.7"
        assert address_seen(server, b"PROXY TCP6 2001:DB8:0::1 2001:db8::2 1 2\r\n") == "2001:db8::1"
        assert address_seen(server, b"PROXY UNKNOWN\r\n") == "127.0.0.1", "then it is the proxy itself"
        assert address_seen(server, v2(command=0x20)) == "127.0.0.1"
        with Connection(server.port) as client:
            client.send(v2())
            client.upgrade("/ws/listed")
            clients = json.loads(ask(admin_port(server), "/admin/rooms/listed")[1])["clients"]
            assert [client["remote_address"] for client in clients] == ["203.0.113.7"]


@pytest.mark.parametrize("settings, name, good, spoofed", [
    (BY_XFF, "X-Forwarded-For", "203.0.113.7", "127.0.0.1, 203.0.113.7, 10.1.2.3"),
    (BY_FORWARDED, "Forwarded", "for=203.0.113.7;proto=https", 'for=127.0.0.1, for="203.0.113.7:4711", for=10.1.2.3'),
])
def test_the_last_address_that_is_no_proxys_counts(settings, name, good, spoofed):
    with Server("module", "probe", settings) as server:
        assert address_seen(server, headers=[(name, good)]) == "203.0.113.7"
        assert address_seen(server, headers=[(name, spoofed)]) == "203.0.113.7"
        assert address_seen(server) == "127.0.0.1"


def test_a_strangers_header_is_not_believed():
    with Server("module", "probe", {"proxies.trusted": "192.0.2.1", "proxies.header": "x-forwarded-for"}) as server:
        assert address_seen(server, headers=[("X-Forwarded-For", "203.0.113.7")]) == "127.0.0.1"
    with Server("module", "probe") as server:
        assert address_seen(server, headers=[("X-Forwarded-For", "203.0.113.7"), ("Forwarded", "for=<")]) == "127.0.0.1"


def test_a_unix_socket_is_trusted_if_it_is_said_so(tmp_path):
    path = str(tmp_path / "proxied.sock")
    settings = {"server.listen": f"unix:{path}", "proxies.protocol": "required"}
    for trusted, answer in (("unix", 200), ("127.0.0.1", 400)):
        with Server("module", "probe", {**settings, "proxies.trusted": trusted}):
            with Connection(0, path=path) as client:
                client.send(V1 + STATUS)
                assert client.response().status == answer


def test_what_was_refused_is_logged_once_a_second_and_counted():
    with Server("module", "probe", {**BY_PROTOCOL, "admin.port": 0}) as server:
        for _ in range(20):
            with Connection(server.port) as client:
                client.send_until_refused(b"GET /\x1b[2J HTTP/1.1\r\n\r\n")
                client.expect_end()
        lines = until(lambda: [line for line in server.log_lines() if line["event"] == "proxy.header_refused"], 10)
        assert 1 <= len(lines) <= 5, lines
        assert all(line["proxy"] == "127.0.0.1" and line["reason"] for line in lines)
        until(lambda: "jamsocket_proxy_headers_refused_total 20" in ask(admin_port(server), "/metrics")[1].splitlines(), 10)


def test_stopping_does_not_wait_for_a_header():
    with Server("module", "probe", {**BY_PROTOCOL, "limits.handshake_timeout_ms": 600_000}) as server:
        with Connection(server.port) as client:
            client.send(V1[:10])
            until(lambda: server.sockets() >= 2, 10, "not accepted")
            server.stop(seconds=15)


# P-04: what a proxy does in its own name counts as its own, and no more than others may do.
def test_local_is_counted_like_any_other_address():
    with Server("module", "probe", {**BY_PROTOCOL, "limits.connections_per_address_max": 2}) as server:
        held = [Connection(server.port) for _ in range(2)]
        for client in held:
            client.send(v2(command=0x20))
            client.upgrade("/ws/a")
        with Connection(server.port) as third:
            third.send(v2(command=0x20) + STATUS)
            assert third.response().status == 429
        with Connection(server.port) as other:
            other.send(v2() + STATUS)
            assert other.response().status == 200
        for client in held:
            client.close()
