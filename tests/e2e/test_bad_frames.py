"""F and C: bad frames, control frames and closing. RFC 6455, sections 5 and 7."""

import contextlib
import socket

import pytest

from harness.cases import END, Alive, Maybe, Pong, websocket
from harness.wait import until
from harness.wire import (BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, Connection, Ended, TooLate, close_frame, frame,
                          random_bytes)

MESSAGE_MAX = 70_000
SETTINGS = {"service.shutdown_policy": "immediate", "limits.message_bytes_max": MESSAGE_MAX, "limits.message_timeout_ms": 1000,
            "limits.close_timeout_ms": 500}


def in_pieces(data):
    return [data[i:i + 1] for i in range(len(data))]


def ended_after(data):
    """Sends `data` and then says that nothing more will come."""
    def send(connection):
        connection.send(data)
        connection.half_close()
    return send


def trickle(data):
    """A byte each 20 ms for as long as the server takes them."""
    def send(connection):
        connection.send(data)
        with contextlib.suppress(Ended):
            while not connection.buffer:
                connection.send_until_refused(b"x")
                with contextlib.suppress(TooLate):
                    connection.fill(0.02)
    return send


def close_amid_a_large_message(connection):
    connection.text("big 1000000")
    connection.fill()
    connection.send(close_frame(1000))


def split_everywhere(data):
    """One case for each place where `data` can be cut in two segments."""
    return [[data[:i], data[i:]] for i in range(1, len(data))]


HELLO = frame(TEXT, b"hello")

F = [
    websocket("F-01 unmasked text", frame(TEXT, b"hello", key=None), 1002),
    websocket("F-01 unmasked ping", frame(PING, key=None), 1002),
    websocket("F-01 unmasked close", frame(CLOSE, b"\x03\xe8", key=None), 1002),
    websocket("F-02 a mask of zeros", frame(TEXT, b"hello", key=bytes(4)), "hello", Alive()),
    websocket("F-02 a mask of ones", frame(TEXT, b"hello", key=b"\xff" * 4), "hello", Alive()),
    websocket("F-02 a mask for each frame", b"".join(frame(TEXT, b"hello", key=random_bytes(n, 4)) for n in range(5)), *["hello"] * 5, Alive()),
    websocket("F-03 RSV1", frame(TEXT, b"hello", rsv=4), 1002),
    websocket("F-03 RSV2", frame(TEXT, b"hello", rsv=2), 1002),
    websocket("F-03 RSV3", frame(TEXT, b"hello", rsv=1), 1002),
    websocket("F-03 all RSV bits, binary", frame(BINARY, b"hello", rsv=7), 1002),
    websocket("F-03 RSV1 on a continuation", frame(TEXT, b"he", fin=False) + frame(CONTINUATION, b"llo", rsv=4), 1002),
    websocket("F-03 RSV1 on a ping", frame(PING, b"hello", rsv=4), 1002),
    *[websocket(f"F-04 opcode {opcode}", frame(opcode), 1002) for opcode in (3, 4, 5, 6, 7, 11, 12, 13, 14, 15)],
    *[websocket(f"F-04 opcode {opcode} with a payload", frame(opcode, b"hello"), 1002) for opcode in (3, 7, 11, 15)],
    websocket("F-05 a continuation first", frame(CONTINUATION, b"hello"), 1002),
    websocket("F-05 a continuation after a whole message", HELLO + frame(CONTINUATION, b"x"), "hello", 1002),
    websocket("F-05 text inside text", frame(TEXT, b"a", fin=False) + HELLO, 1002),
    websocket("F-05 binary inside text", frame(TEXT, b"a", fin=False) + frame(BINARY, b"b"), 1002),
    websocket("F-06 5 bytes, length in 16 bits", frame(TEXT, b"hello", form=16), 1002),
    websocket("F-06 5 bytes, length in 64 bits", frame(TEXT, b"hello", form=64), 1002),
    websocket("F-06 125 bytes, length in 16 bits", frame(TEXT, b"x" * 125, form=16), 1002),
    websocket("F-06 65,535 bytes, length in 64 bits", frame(TEXT, b"x" * 65535, form=64), 1002),
    websocket("F-06 ping with length in 16 bits", frame(PING, b"hello", form=16), 1002),
    *[websocket(f"F-07 cut after byte {number + 1}", pieces, "hello", Alive()) for number, pieces in enumerate(split_everywhere(HELLO))],
    websocket("F-07 one byte a segment", in_pieces(frame(TEXT, b"x" * 130) + HELLO), "x" * 130, "hello", Alive()),
    websocket("F-07 one byte a segment, fragmented", in_pieces(frame(TEXT, b"he", fin=False) + frame(PING, b"p") + frame(CONTINUATION, b"llo")), Pong(b"p"), "hello", Alive()),
    *[websocket(f"F-08 {count:,} bytes", frame(BINARY, bytes(count)), bytes(count), Alive()) for count in (0, 1, 125, 126, 65535, 65536, MESSAGE_MAX - 1, MESSAGE_MAX)],
    websocket("F-08 one byte above the limit", frame(BINARY, bytes(MESSAGE_MAX + 1)), 1009),
    websocket("F-09 a good frame and a bad one in one segment", HELLO + frame(TEXT, b"x", rsv=1), "hello", 1002),
    websocket("F-09 a good frame and an unmasked one", HELLO + frame(TEXT, b"x", key=None), "hello", 1002),
    websocket("F-10 the end within a header", ended_after(HELLO + HELLO[:1]), Maybe("hello"), END),
    websocket("F-10 the end within a mask", ended_after(HELLO + HELLO[:4]), Maybe("hello"), END),
    websocket("F-10 the end within a payload", ended_after(HELLO + HELLO[:-1]), Maybe("hello"), END),
    websocket("F-11 10,000 frames in one segment", frame(TEXT, b"a") * 10_000, *["a"] * 10_000, Alive()),
    websocket("F-13 a length with its top bit set", frame(BINARY, length=1 << 63), 1002),
    *[websocket(f"F-14 a length of {name}", frame(BINARY, length=length), 1009) for name, length in
      (("2^63-1", (1 << 63) - 1), ("2^62", 1 << 62), ("2^32", 1 << 32), ("2^31", 1 << 31), ("2^31-1", (1 << 31) - 1), ("the limit and one", MESSAGE_MAX + 1))],
    *[websocket(f"F-15 a length of 2^64-{k}", frame(BINARY, b"x" * 64, length=(1 << 64) - k), 1002) for k in (1, 2, 14, 15, 4096)],
    websocket("F-16 1 GiB announced, 10 bytes sent", frame(BINARY, b"x" * 10, length=1 << 30), 1009),
    websocket("F-17 a payload that trickles", trickle(frame(BINARY, length=MESSAGE_MAX)), 1008),
    websocket("F-17 a payload that stops", frame(BINARY, b"x", length=MESSAGE_MAX), 1008),
    websocket("F-17 a header that stops", HELLO[:1], 1008),
    websocket("F-17 a message that is never finished", frame(TEXT, b"a", fin=False), 1008),
    websocket("F-18 fragments beyond the limit together", frame(BINARY, bytes(40_000), fin=False) + frame(CONTINUATION, bytes(40_000)), 1009),
    websocket("F-18 fragments beyond 2^31 together", frame(BINARY, bytes(10), fin=False) + frame(CONTINUATION, bytes(10), length=(1 << 31) - 1), 1009),
    websocket("F-18 fragments beyond 2^64 together", frame(BINARY, bytes(10), fin=False) + frame(CONTINUATION, bytes(10), length=(1 << 63) - 1), 1009),
    websocket("F-19 HTTP within frames", frame(TEXT, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"), "GET / HTTP/1.1\r\nHost: x\r\n\r\n", Alive()),
    websocket("F-19 HTTP without frames", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", 1002),
]

C = [
    websocket("C-01 a ping of 125 bytes", frame(PING, b"p" * 125), Pong(b"p" * 125), Alive()),
    websocket("C-01 a ping of 126 bytes", frame(PING, b"p" * 126), 1002),
    websocket("C-01 a pong of 126 bytes", frame(PONG, b"p" * 126), 1002),
    websocket("C-01 a close of 126 bytes", frame(CLOSE, b"\x03\xe8" + b"r" * 124), 1002),
    websocket("C-01 a ping that announces 2^62 bytes", frame(PING, length=1 << 62), 1002),
    websocket("C-01 a ping with FIN=0", frame(PING, b"p", fin=False), 1002),
    websocket("C-01 a close with FIN=0", frame(CLOSE, b"\x03\xe8", fin=False), 1002),
    websocket("C-02 100,000 pongs nobody asked for", frame(PONG, b"p") * 100_000, Alive()),
    websocket("C-02 an empty ping", frame(PING), Pong(), Alive()),
    websocket("C-03 a close with one byte", frame(CLOSE, b"\x03"), 1002),
    *[websocket(f"C-03 code {code}", close_frame(code), 1002) for code in (0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535)],
    *[websocket(f"C-03 code {code}", close_frame(code), code) for code in (1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999)],
    websocket("C-03 no code", close_frame(), 1005),
    websocket("C-03 a reason with bad UTF-8", close_frame(1000, b"\xc0\xaf"), 1007),
    websocket("C-03 a reason that ends within a character", close_frame(1000, b"\xe2\x82"), 1007),
    websocket("C-03 a reason of 123 bytes", close_frame(1000, b"r" * 123), 1000),
    websocket("C-04 close, then a message", close_frame(1000) + HELLO, 1000),
    websocket("C-04 close, then garbage", close_frame(1000) + b"\xff" * 1000, 1000),
    websocket("C-04 two closes", close_frame(1000) + close_frame(1001), 1000),
    websocket("C-05 the end without a close", ended_after(b""), END),
    websocket("C-05 a message, then the end without a close", ended_after(HELLO), Maybe("hello"), END),
    websocket("C-06 a close while 1 MB is queued", close_amid_a_large_message, "x" * 1_000_000, 1000),
]

NOT_HERE = {
    "F-12 10,000 seeds": "200 here; fuzz/message_reader.cpp and fuzz/session.cpp go on from there",
    "F-01 masked frames of a relay": "there is no relay: servers do not speak to each other",
    "C-02 10^6 pings a second": "test_pings_to_a_client_that_does_not_read sends 100,000 as fast as it can",
}


@pytest.mark.parametrize("case", F + C, ids=str)
def test_bad_frames(watch, case):
    watch.run(case)


def attacker(watch, target="/ws/attack", **options):
    connection = Connection(watch.server.port, **options).upgrade(target)
    connection.next_text()
    return connection


@pytest.mark.parametrize("bad, code", [
    (frame(TEXT, b"x", rsv=1), 1002), (frame(TEXT, b"x", key=None), 1002), (frame(TEXT, b"\xff"), 1007), (close_frame(1000), 1000),
], ids=["reserved bit", "unmasked", "bad UTF-8", "close"])
def test_what_came_before_is_delivered(watch, bad, code):
    """F-09: a good frame and a bad one in one segment: the room hears the good one, and then that its sender left."""
    with attacker(watch, "/ws/before") as witness, attacker(watch, "/ws/before") as connection:
        witness.expect_text("2 connected")
        connection.send(frame(TEXT, b"except 2 last words") + bad)
        witness.expect_text("last words")
        witness.expect_text("2 disconnected")
        connection.expect_close(code, answer=code != 1000)
        witness.leave()
    watch.settle()


def test_random_bytes(watch):
    """F-12: 200 times 64 KiB of random bytes. Each ends with a close frame or waits for more; nothing breaks."""
    for seed in range(200):
        with attacker(watch) as connection:
            connection.send_and_listen(random_bytes(seed, 65536))
            connection.half_close_quietly()
            try:
                while True:
                    received = connection.frame()
                    if received.opcode == CLOSE:
                        assert received.close_code in (1000, 1002, 1007, 1009), (seed, received)
                        break
            except Ended:
                pass
        assert watch.server.alive(), f"seed {seed}"
    watch.check_canary()
    watch.settle()


def test_announced_and_not_sent(watch):
    """F-16: 200 clients announce messages just within the limit and send 10 bytes: no memory is set aside."""
    before = watch.server.memory()
    connections = [attacker(watch, f"/ws/quiet-{number}") for number in range(20)]
    connections += [attacker(watch, "/ws/quiet-0") for _ in range(180)]
    idle = watch.server.memory()
    for connection in connections:
        connection.send(frame(BINARY, b"x" * 10, length=MESSAGE_MAX))
    watch.check_canary()
    grown = watch.server.memory() - idle
    assert grown < 200 * MESSAGE_MAX / 4, f"{grown} bytes more ({idle - before} before)"
    for connection in connections:
        connection.reset()
    watch.settle()


def test_pings_to_a_client_that_does_not_read(watch):
    """C-02: pings while the window is closed: one pong is owed, the latest (RFC 6455, section 5.5.3), and it comes."""
    with attacker(watch, receive_buffer=2048) as connection:
        before = watch.server.memory()
        count = 100_000
        for first in range(0, count, 1000):
            connection.send(b"".join(frame(PING, b"%0125d" % number) for number in range(first, first + 1000)))
        watch.check_canary()
        assert watch.server.memory() - before < 1 << 20
        answered = []
        while not answered or answered[-1] != count - 1:
            received = connection.frame()
            assert received.opcode == PONG, received
            answered.append(int(received.payload))
        assert answered == sorted(set(answered)), "in order, none twice"
        assert len(answered) < count, "they all fitted into the sockets: nothing was shown"
        assert connection.ask("still here?") == "still here?"
        connection.leave()
    watch.settle()


def test_our_close_is_not_answered(watch):
    """C-04: the server closes (1002) and the client says nothing: it is cut off after close_timeout."""
    with attacker(watch) as connection:
        connection.send(frame(3))
        assert connection.frame().close_code == 1002
        connection.expect_end(5)
    watch.settle()


def test_data_during_our_closing(watch):
    """C-04: messages that cross our close frame reach nobody."""
    with attacker(watch, "/ws/crossing") as witness, attacker(watch, "/ws/crossing") as connection:
        witness.expect_text("2 connected")
        connection.text("close 2 4000 goodbye")
        received = connection.frame()
        assert (received.opcode, received.close_code) == (CLOSE, 4000)
        connection.send_until_refused(frame(TEXT, b"all still here?"))
        connection.send_until_refused(close_frame(4000))
        connection.expect_end()
        witness.expect_text("2 disconnected")
        assert witness.ask("count") == "count 1"


def test_closes_that_cross(watch):
    """C-06: both sides close at once: one close frame each, then the end."""
    with attacker(watch) as connection:
        connection.send(frame(TEXT, b"close 1 4000 x") + close_frame(1000))
        received = connection.frame()
        assert received.opcode == CLOSE and received.close_code in (1000, 4000), received
        connection.expect_end()
    watch.settle()


def test_a_reset_and_a_half_close_leave_the_room(watch):
    """C-05: however the connection ends, the room hears of it at once."""
    with attacker(watch, "/ws/leaving") as witness:
        with attacker(watch, "/ws/leaving") as connection:
            witness.expect_text("2 connected")
            connection.reset()
        witness.expect_text("2 disconnected")
        with attacker(watch, "/ws/leaving") as connection:
            witness.expect_text("3 connected")
            connection.half_close()
            witness.expect_text("3 disconnected")
            connection.expect_end()
    until(lambda: watch.server.descriptors() <= watch.idle_descriptors)


def test_what_was_said_before_the_end_is_answered_and_the_end_is_seen(watch):
    """C-05: a message and the end of the connection in one segment: the answer, and then the end, at once."""
    for _ in range(20):
        with attacker(watch) as connection:
            connection.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 1)
            connection.send(frame(TEXT, b"last words"))
            connection.half_close()
            connection.expect_text("last words")
            connection.expect_end()
    watch.settle()


def test_urgent_bytes_hold_nothing_up(watch):
    """Bytes sent as urgent (RFC 9293, section 3.8.5) are no part of the stream, and what follows them is read at once."""
    with attacker(watch) as connection:
        for number in range(20):
            text = b"before %d" % number
            connection.send(frame(TEXT, text))
            connection.socket.send(b"!", socket.MSG_OOB)
            connection.send(frame(TEXT, b"behind it"))
            connection.expect_text(text.decode())
            connection.expect_text("behind it")
        # In one read: the mark stands between two messages that came together.
        connection.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 1)
        connection.send(frame(TEXT, b"first"))
        connection.socket.send(b"!", socket.MSG_OOB)
        connection.send(frame(TEXT, b"second"))
        connection.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 0)
        connection.expect_text("first")
        connection.expect_text("second")
    watch.settle()
