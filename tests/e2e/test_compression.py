"""D: compressed messages, good and bad, over real sockets. RFC 7692."""

import os
import zlib

import pytest

from harness.admin import metric
from harness.cases import Alive, Watch, websocket
from harness.deflate import TAIL, Context, deflated, upgrade, upgrading
from harness.server import KINDS, Server
from harness.wait import until
from harness.wire import BINARY, CONTINUATION, PING, TEXT, Connection, frame, random_bytes

MESSAGE_MAX = 70_000
SETTINGS = {"service.shutdown_policy": "immediate", "limits.message_bytes_max": MESSAGE_MAX, "limits.close_timeout_ms": 500}
ON = {**SETTINGS, "server.compression": "message"}
CONTEXT = {**SETTINGS, "server.compression": "context"}
PLAIN = "permessage-deflate; server_no_context_takeover; client_no_context_takeover"

# Six bytes a KiB, the most that deflate can: what fits into a frame that is itself within the limit makes 64 MiB.
BOMB = deflated(bytes(64 << 20))
assert len(BOMB) < MESSAGE_MAX < 1030 * len(BOMB)


def deflating(id, send, *expect, upgrade=upgrade, **options):
    return websocket(id, send, *expect, upgrade=upgrade, **options)


def message(payload, opcode=BINARY):
    return frame(opcode, payload, rsv=4)


def in_fragments(payload, count, opcode=BINARY):
    size = -(-len(payload) // count)
    parts = [payload[at:at + size] for at in range(0, len(payload), size)]
    return b"".join(frame(CONTINUATION if n else opcode, part, fin=n == len(parts) - 1, rsv=0 if n else 4) for n, part in enumerate(parts))


def with_final_block(data):
    """As section 7.2.3.4 allows: a block with BFINAL, then an empty one of which the end is cut off."""
    compressor = zlib.compressobj(9, zlib.DEFLATED, -15)
    return compressor.compress(data) + compressor.flush(zlib.Z_FINISH) + b"\x00"


def from_before(distance):
    """A fixed-Huffman block that copies 3 bytes from `distance` (1 to 4) back, and nothing before it."""
    # BFINAL 0, BTYPE 01; length code 257 (3 bytes) is 0000001; distance codes 0 to 3 are 5 bits; end of block 0000000.
    bits = "0" + "10" + "0000001" + f"{distance - 1:05b}" + "0000000" + "000"  # Then a stored block's header, padded.
    bits += "0" * (-len(bits) % 8)
    return bytes(int(bits[at:at + 8][::-1], 2) for at in range(0, len(bits), 8))


SECOND_HALF = random_bytes("far", 600)
FAR = SECOND_HALF + bytes(1000) + SECOND_HALF  # The second refers 1,600 bytes back: more than a window of 9 bits.

D = [
    deflating("D-00 text that comes back", message(deflated(b"hello"), TEXT), "hello", Alive()),
    deflating("D-00 text that comes back compressed", message(deflated(b"hello " * 500), TEXT), "hello " * 500, Alive()),
    deflating("D-00 plain messages beside compressed ones", frame(TEXT, b"plain") + message(deflated(b"small"), TEXT), "plain", "small", Alive()),
    deflating("D-00 a compressed message in fragments", in_fragments(deflated(b"hello"), 3, TEXT), "hello", Alive()),
    deflating("D-01 a bomb in one frame", message(BOMB), 1009),
    deflating("D-01 a bomb over 1,000 fragments", in_fragments(BOMB, 1000), 1009),
    deflating("D-02 a bomb inside a bomb is data", message(deflated(BOMB)), BOMB, Alive()),
    *[deflating(f"D-02 {count:,} bytes inflated", message(deflated(bytes(count))), bytes(count), Alive()) for count in (0, 1, MESSAGE_MAX - 1, MESSAGE_MAX)],
    deflating("D-02 one byte above the limit, inflated", message(deflated(bytes(MESSAGE_MAX + 1))), 1009),
    deflating("D-02 above the limit before it is inflated", message(deflated(random_bytes("big", MESSAGE_MAX + 100), level=0)), 1009),
    deflating("D-05 block type 3", message(b"\x07"), 1007),
    deflating("D-05 a distance before the beginning", message(from_before(2)), 1007),
    deflating("D-05 a stream cut short", message(deflated(b"hello " * 500)[:-3]), 1007),
    deflating("D-05 a stored block whose length is not confirmed", message(b"\x00\x05\x00\x00\x00hello"), 1007),
    deflating("D-05 a stored block that is cut short", message(b"\x00\x05\x00\xfa\xffhe"), 1007),
    deflating("D-05 a final block", message(with_final_block(b"hello"), TEXT), "hello", Alive()),
    deflating("D-05 a final block with garbage behind it", message(with_final_block(b"hello")[:-1] + b"\x07garbage"), 1007),
    deflating("D-05 text that is not UTF-8 once inflated", message(deflated(b"good \xff bad"), TEXT), 1007),
    deflating("D-06 an empty payload", message(b""), 1007),
    deflating("D-06 the byte 00", message(b"\x00"), b"", Alive()),
    deflating("D-06 the end that should have been cut off", message(deflated(b"hello", keep_tail=True), TEXT), "hello", Alive()),
    deflating("D-06 nothing but that end", message(TAIL), 1007),
    deflating("D-07 RSV1 on a continuation", frame(TEXT, deflated(b"hello")[:3], fin=False, rsv=4) + frame(CONTINUATION, deflated(b"hello")[3:], rsv=4), 1002),
    deflating("D-07 RSV1 on a ping", frame(PING, b"p", rsv=4), 1002),
    deflating("D-07 RSV2 although RSV1 was agreed", frame(TEXT, b"x", rsv=2), 1002),
    deflating("D-08 further back than agreed, within a message", message(deflated(FAR)), FAR, Alive(),
              upgrade=upgrading("permessage-deflate; client_max_window_bits=9", f"{PLAIN}; client_max_window_bits=9")),
    deflating("D-08 a window as agreed", message(deflated(FAR, window_bits=9)), FAR, Alive(),
              upgrade=upgrading("permessage-deflate; client_max_window_bits=9", f"{PLAIN}; client_max_window_bits=9")),
]


def context_used_although_refused(connection):
    context = Context()
    first, second = context.deflate(b"the same words twice"), context.deflate(b"the same words twice")
    connection.send(message(first, TEXT))
    connection.expect_text("the same words twice")
    connection.send(message(second, TEXT))


D.append(deflating("D-08 context takeover although it was refused", context_used_although_refused, 1007))

NOT_HERE = {
    "D-03 a bomb before authentication": "test_tokens.py: the first message's budget is of what it inflates to",
    "D-04 100,000 bombs": "test_a_bomb_costs_no_more_than_an_honest_message: what one costs bounds what many cost",
}


@pytest.fixture(scope="module", params=KINDS)
def watch(request):
    with Server(request.param, "probe", ON) as server:
        watch = Watch(server)
        yield watch
        watch.done()


@pytest.mark.parametrize("case", D, ids=str)
def test_compression(watch, case):
    watch.run(case)


def test_a_bomb_costs_no_more_than_an_honest_message(watch):
    """D-01, D-04: inflating ends at the limit, so that a bomb costs no more memory or time than a message of that size."""
    def cost(payload, code):
        begin = watch.server.cpu_seconds()
        for _ in range(200):
            with Connection(watch.server.port) as connection:
                upgrade(connection, "/ws/bomb").next_text()
                connection.send(message(payload))
                if code:
                    connection.expect_close(code)
                else:
                    connection.frame()
                    connection.leave()
        return watch.server.cpu_seconds() - begin

    honest = deflated(bytes(MESSAGE_MAX))
    cost(honest, None)
    peak = watch.server.peak_memory()
    honest_seconds = cost(honest, None)
    bomb_seconds = cost(BOMB, 1009)
    # The clock's tick is 10 ms; the 64 MiB whole would take some 50 ms each.
    assert bomb_seconds <= 3 * honest_seconds + 0.2, (bomb_seconds, honest_seconds)
    assert watch.server.peak_memory() <= peak + (4 << 20)
    watch.check_canary()


def offer_of(window_bits, takeover=False):
    """What a client offers, and what it must be told."""
    offer = "permessage-deflate; client_max_window_bits" + ("" if takeover else "; server_no_context_takeover; client_no_context_takeover")
    return offer + (f"; server_max_window_bits={window_bits}" if window_bits != 15 else "")


@pytest.mark.parametrize("mode, kinds, times_a_message", [
    ("message", [(15, False)] * 40, 1),
    ("message", [(15, False)] * 20 + [(10, False)] * 20, 2),
    ("context", [(15, False)] * 20 + [(10, False)] * 20, 2),
    ("context", [(15, False)] * 20 + [(15, True)] * 5, 6),  # Who has a context of its own has messages of its own.
], ids=["all alike", "two windows", "without takeover beside it", "five contexts"])
def test_a_broadcast_is_compressed_once_for_all_who_agreed_on_the_same(mode, kinds, times_a_message):
    """D-10: a room that says much to many: the price of compressing does not rise with their number."""
    with Server("module", "probe", {**SETTINGS, "server.compression": mode, "admin.port": 0}) as server:
        connections = []
        for window_bits, takeover in kinds:
            connection = upgrade(Connection(server.port), "/ws/crowd", offer_of(window_bits, takeover))
            connection.inflate = Context().inflate if takeover else connection.inflate
            connections.append(connection)
        with Connection(server.port).upgrade("/ws/crowd") as plain:
            connections.append(plain)
            plain.text("all ready")
            for connection in connections:
                connection.await_text("ready")
            before = metric(server, "messages_deflated_total")
            for size in (24_000, 511):  # The second is not worth it.
                text = random_bytes("words", size).hex()[:size]
                for _ in range(10):
                    plain.text("all " + text)
                    for connection in connections:
                        connection.expect_text(text)
            assert metric(server, "messages_deflated_total") - before == 10 * times_a_message
            for connection in connections:
                connection.reset()


@pytest.mark.skipif(bool(os.environ.get("JAMSOCKET_SANITIZED")), reason="a sanitizer keeps freed memory")
def test_the_memory_of_contexts_is_counted():
    """D-09: what clients with contexts hold is what the counter says, however long what they said and heard; none left: nothing."""
    count, text = 60, b"a long message " * 60_000
    settings = {"service.shutdown_policy": "immediate", "server.compression": "context", "admin.port": 0}
    with Server("module", "probe", settings) as server:
        def visit():
            connections = []
            for number in range(count):
                connection = Connection(server.port)
                context = agree_on_context(connection, f"/ws/long-{number % 2}")
                connection.next_text()
                connection.send(message(context.deflate(text), TEXT))
                connections.append(connection)
            for connection in connections:
                connection.await_text(text.decode())
            return connections

        def leave(connections):
            for connection in connections:
                connection.reset()
            until(lambda: metric(server, "deflate_context_bytes") == 0, 10, "contexts stay counted")

        leave(visit())
        before = server.memory()
        connections = visit()
        counted = metric(server, "deflate_context_bytes")
        assert counted >= count * (5 << 15), "a window and a hash table each, at least"
        # Each message and its compressed form would be 0.9 MB a client, and more.
        until(lambda: server.memory() - before <= counted + (8 << 20), 10, lambda: (server.memory() - before, counted))
        leave(connections)


def agree_on_context(connection, target):
    upgrade(connection, target, "permessage-deflate; client_max_window_bits", "permessage-deflate")
    context = Context()
    connection.inflate = context.inflate
    return context


def test_no_context_beyond_the_agreed_window():
    """D-08: a message that refers further back than agreed, into one before it: 1007."""
    with Server("module", "probe", CONTEXT) as server, Connection(server.port) as connection:
        upgrade(connection, "/ws/far", "permessage-deflate; client_max_window_bits=9", "permessage-deflate; client_max_window_bits=9")
        connection.inflate = Context(window_bits=15).inflate
        connection.next_text()
        context = Context(window_bits=15)
        connection.send(message(context.deflate(SECOND_HALF + bytes(1000))))
        assert connection.frame().payload == SECOND_HALF + bytes(1000)
        connection.send(message(context.deflate(SECOND_HALF)))
        connection.expect_close(1007)


def test_contexts_keep_their_size():
    """D-09: a thousand messages to and fro refer to each other, and cost no memory beyond the agreed windows."""
    with Server("module", "probe", CONTEXT) as server:
        def many(connection, context, count):
            for number in range(count):
                text = f"message {number} " + "and the same words again " * 40
                connection.send(message(context.deflate(text.encode()), TEXT))
                connection.expect_text(text)

        with Connection(server.port) as connection:
            context = agree_on_context(connection, "/ws/talk")
            connection.next_text()
            many(connection, context, 100)
            before = server.memory()
            many(connection, context, 1000)
            assert server.memory() <= before + (256 << 10)
            connection.leave()


def test_contexts_are_given_back():
    """D-09: what a client's contexts hold goes with it."""
    with Server("module", "probe", CONTEXT) as server:
        def visit(count=50):
            connections = [Connection(server.port) for _ in range(count)]
            for number, connection in enumerate(connections):
                context = agree_on_context(connection, f"/ws/room-{number % 5}")
                connection.send(message(context.deflate(b"words " * 500), TEXT))
            for connection in connections:
                connection.await_text("words " * 500)
            held = server.memory()
            for connection in connections:
                connection.reset()
            return held

        idle = server.descriptors()
        visit()
        server.wait_for_descriptors(idle)
        before = server.memory()
        held = visit()
        server.wait_for_descriptors(idle)
        assert held - before <= 50 * (400 << 10)
        for _ in range(10):
            visit()
            server.wait_for_descriptors(idle)
        # Contexts of one visit that stayed would be more than 1.5 MiB, of ten 15 MiB; an allocator that settles is less.
        assert server.memory() <= held + (6 << 20)
