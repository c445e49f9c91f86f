"""Bytes on a socket: HTTP requests and WebSocket frames as an attacker, or an honest client, writes them."""

import base64
import contextlib
import dataclasses
import hashlib
import socket
import struct
import time

from .wait import PATIENCE

KEY = "dGhlIHNhbXBsZSBub25jZQ=="
GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455, section 1.3.

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10


def accept_of(key):
    return base64.b64encode(hashlib.sha1((key + GUID).encode()).digest()).decode()


# --- HTTP -----------------------------------------------------------------------------------------------------------------


def upgrade_headers(port=0):
    return [("Host", f"127.0.0.1:{port}"), ("Upgrade", "websocket"), ("Connection", "Upgrade"),
            ("Sec-WebSocket-Version", "13"), ("Sec-WebSocket-Key", KEY)]


def request(target="/ws/attack", method="GET", version="HTTP/1.1", headers=None, drop=(), add=(), change=None, body=b""):
    """An upgrade request, or what is left of it after `drop`, `change` and `add`; all texts may be bytes."""
    change = change or {}
    lines = [(name, change.get(name, value)) for name, value in (upgrade_headers() if headers is None else headers) if name not in drop]
    lines += list(add)
    raw = lambda text: text if isinstance(text, bytes) else text.encode("utf-8")
    head = b" ".join([raw(method), raw(target), raw(version)]) + b"\r\n"
    return head + b"".join(raw(name) + b": " + raw(value) + b"\r\n" for name, value in lines) + b"\r\n" + body


@dataclasses.dataclass
class Response:
    status: int
    headers: list
    body: bytes
    raw: bytes

    def header(self, name):
        values = [value for key, value in self.headers if key.lower() == name.lower()]
        assert len(values) <= 1, f"{name} twice: {values}"
        return values[0] if values else None


# --- Frames ---------------------------------------------------------------------------------------------------------------


def masked(payload, key):
    if key == b"\0\0\0\0":
        return payload
    repeated = (key * (len(payload) // 4 + 1))[:len(payload)]
    return (int.from_bytes(payload, "big") ^ int.from_bytes(repeated, "big")).to_bytes(len(payload), "big") if payload else b""


def frame(opcode, payload=b"", fin=True, rsv=0, key=b"\x37\xfa\x21\x3d", length=None, form=None):
    """A client's frame. `key` None: unmasked. `length`: what to announce. `form`: 7, 16 or 64 bits of length."""
    if isinstance(payload, str):
        payload = payload.encode()
    announced = len(payload) if length is None else length
    form = form or (7 if announced < 126 else 16 if announced < 65536 else 64)
    mask_bit = 0 if key is None else 0x80
    head = bytes([(0x80 if fin else 0) | rsv << 4 | opcode])
    if form == 7:
        head += bytes([mask_bit | announced])
    elif form == 16:
        head += bytes([mask_bit | 126]) + struct.pack(">H", announced)
    else:
        head += bytes([mask_bit | 127]) + struct.pack(">Q", announced)
    return head + (payload if key is None else key + masked(payload, key))


def close_frame(code=None, reason=b""):
    return frame(CLOSE, b"" if code is None else struct.pack(">H", code) + reason)


@dataclasses.dataclass
class Frame:
    opcode: int
    payload: bytes
    fin: bool

    @property
    def close_code(self):
        return struct.unpack(">H", self.payload[:2])[0] if len(self.payload) >= 2 else 1005


class Ended(Exception):
    """The peer ended the connection."""


class TooLate(AssertionError):
    """Nothing came in time."""


class Connection:
    """A TCP connection to the server; blocking, each read with a deadline."""

    def __init__(self, port, seconds=10.0, receive_buffer=None, host="127.0.0.1", path=None, source=None, tls=None):
        """`path`: of a unix-domain socket, instead of host and port. `source`: the address to come from. `tls`: a context
        of Python's ssl, to begin with its handshake."""
        self.socket = socket.socket(socket.AF_UNIX if path else socket.AF_INET6 if ":" in host else socket.AF_INET)
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.inflate = None  # Set by who agreed on compression: from a message's payload to its bytes.
        if not path:
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if source:
            self.socket.bind((source, 0))
        self.seconds = seconds
        self.socket.settimeout(seconds * PATIENCE)
        self.socket.connect(path if path else (host, port))
        if tls:
            self.socket = tls.wrap_socket(self.socket, server_hostname="localhost")
        self.buffer = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def close(self):
        self.socket.close()

    def reset(self):
        """Ends the connection with a TCP reset."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def half_close(self):
        self.socket.shutdown(socket.SHUT_WR)

    def half_close_quietly(self):
        with contextlib.suppress(OSError):
            self.half_close()

    def send(self, data):
        self.socket.settimeout(self.seconds * PATIENCE)
        self.socket.sendall(data)

    def send_until_refused(self, data):
        """Sends `data`, which the other side may stop reading at any time."""
        with contextlib.suppress(ConnectionError):
            self.send(data)

    def send_and_listen(self, data):
        """Sends `data` while keeping what comes back: neither side waits for the other for ever."""
        view = memoryview(data)
        deadline = time.monotonic() + self.seconds * PATIENCE
        self.socket.setblocking(False)
        try:
            while view:
                assert time.monotonic() < deadline, "the server reads no more"
                with contextlib.suppress(BlockingIOError):
                    view = view[self.socket.send(view):]
                with contextlib.suppress(BlockingIOError):
                    more = self.socket.recv(1 << 16)
                    if not more:
                        return
                    self.buffer += more
        except ConnectionError:
            pass
        finally:
            self.socket.setblocking(True)

    def fill(self, seconds=None):
        """Waits for more bytes. @raise Ended at the end of the connection, TooLate when nothing comes."""
        self.socket.settimeout((seconds or self.seconds) * PATIENCE)
        try:
            more = self.socket.recv(1 << 18)
        except TimeoutError:
            raise TooLate(f"nothing came within {seconds or self.seconds} s; so far {self.buffer[:200]!r}") from None
        except ConnectionError:
            raise Ended from None
        if not more:
            raise Ended
        self.buffer += more

    def take(self, count):
        while len(self.buffer) < count:
            self.fill()
        taken, self.buffer = self.buffer[:count], self.buffer[count:]
        return taken

    def expect_end(self, seconds=None):
        """The peer ends the connection, and says nothing more."""
        deadline = time.monotonic() + (seconds or self.seconds) * PATIENCE
        try:
            while time.monotonic() < deadline:
                assert not self.buffer, f"unexpected: {self.buffer[:200]!r}"
                self.fill(seconds)
        except Ended:
            return
        raise TooLate("the connection did not end")

    # HTTP

    def response(self, head_only=False):
        while b"\r\n\r\n" not in self.buffer:
            self.fill()
        head, self.buffer = self.buffer.split(b"\r\n\r\n", 1)
        first, *lines = head.split(b"\r\n")
        version, status, _phrase = first.split(b" ", 2)
        assert version == b"HTTP/1.1", first
        headers = []
        for line in lines:
            name, value = line.split(b": ", 1)
            headers.append((name.decode("ascii"), value.decode("ascii")))
        response = Response(int(status), headers, b"", head)
        assert all(c >= 0x20 or c in b"\r\n" for c in head), head
        length = response.header("Content-Length")
        if response.status in (101, 304):
            assert length is None
        elif not head_only:
            assert length is not None, head
            response.body = self.take(int(length))
        return response

    def upgrade(self, target="/ws/attack", **changes):
        """The opening handshake of an honest client."""
        self.send(request(target, **changes))
        response = self.response()
        assert response.status == 101, (response.status, response.body)
        assert response.header("Sec-WebSocket-Accept") == accept_of(KEY)
        assert response.header("Upgrade").lower() == "websocket"
        assert response.header("Connection").lower() == "upgrade"
        return self

    # WebSocket

    def frame(self):
        """The next frame, which must be what a server may send."""
        first, second = self.take(2)
        compressed = first & 0x40 != 0
        assert first & 0x30 == 0 and not (compressed and self.inflate is None), f"RSV bits in {first:#x}"
        assert second & 0x80 == 0, "a server's frame is not masked"
        length = second
        if second == 126:
            length = struct.unpack(">H", self.take(2))[0]
            assert length >= 126, "not the shortest form"
        elif second == 127:
            length = struct.unpack(">Q", self.take(8))[0]
            assert length >= 65536, "not the shortest form"
        payload = self.take(length)
        if compressed:
            assert first & 0x0F in (TEXT, BINARY) and first & 0x80, "a compressed message is one frame here"
            payload = self.inflate(payload)
        received = Frame(first & 0x0F, payload, bool(first & 0x80))
        assert received.opcode in (CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG), received
        assert received.opcode < 8 or (received.fin and length <= 125), received
        return received

    def text(self, payload, **options):
        self.send(frame(TEXT, payload, **options))

    def next_text(self):
        """The next text message; answers pings."""
        while True:
            received = self.frame()
            if received.opcode == PING:
                self.send(frame(PONG, received.payload))
                continue
            assert received.opcode == TEXT and received.fin, received
            return received.payload.decode()

    def expect_text(self, payload):
        received = self.next_text()
        assert received == payload, received[:200]

    def await_text(self, payload):
        """Takes text messages until it is this one."""
        while self.next_text() != payload:
            pass

    def skip_text(self, payload):
        """Takes a short text message off the front, if it is the next thing to come."""
        expected = bytes([0x80 | TEXT, len(payload)]) + payload.encode()
        while len(self.buffer) < len(expected) and expected.startswith(self.buffer):
            self.fill()
        self.buffer = self.buffer.removeprefix(expected)

    def ask(self, payload):
        self.text(payload)
        return self.next_text()

    def expect_close(self, code, answer=True):
        """A close frame with `code`; then, once it is answered, the end of the connection."""
        received = self.frame()
        while received.opcode in (PING, PONG):
            received = self.frame()
        assert received.opcode == CLOSE, received
        assert received.close_code == code, (received.close_code, received.payload[2:])
        if answer:
            self.send_until_refused(frame(CLOSE, received.payload[:2]))
            self.expect_end()
        return received.payload[2:].decode()

    def leave(self):
        """The closing handshake of an honest client, with 1000."""
        self.send(close_frame(1000))
        self.expect_close(1000, answer=False)
        self.expect_end()
        self.close()


def http(port, method, target, headers=(), body=b"", host="127.0.0.1"):
    """One request on a connection of its own."""
    with Connection(port, host=host) as connection:
        lines = [("Host", f"127.0.0.1:{port}"), ("Connection", "close"), *headers]
        connection.send(request(target, method=method, headers=lines, body=body))
        response = connection.response(head_only=method == "HEAD")
        connection.expect_end()
        return response


def random_bytes(seed, count):
    """The same bytes for the same seed, everywhere."""
    out = b""
    block = 0
    while len(out) < count:
        out += hashlib.sha256(f"{seed}:{block}".encode()).digest()
        block += 1
    return out[:count]
