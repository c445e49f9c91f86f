#!/usr/bin/env python3
"""Clients of rooms that misbehave, as often as they are told to; prints what became of it as one line of JSON.
"""

import argparse
import base64
import contextlib
import json
import os
import selectors
import socket
import sys
import time

TEXT, CLOSE, PING, PONG = 1, 8, 9, 10
TALK = 8000  # Bytes of a message to all others of a room.
BURST = 4096  # Frames that a flood sends with one call.


def frame(opcode: int, payload: bytes) -> bytes:
    """A client's frame; a mask of zeros is a mask."""
    head = bytes([0x80 | opcode])
    head += bytes([0x80 | len(payload)]) if len(payload) < 126 else bytes([0xFE]) + len(payload).to_bytes(2, "big")
    return head + bytes(4) + payload


class Neighbour:
    """A client of one room; comes back when it was closed."""

    def __init__(self, port: int, room: str, receive_buffer: int | None = None):
        self.port, self.room, self.receive_buffer = port, room, receive_buffer
        self.answered = self.closed = self.sent = 0
        self.open()

    def open(self) -> None:
        self.unsent = b""
        self.socket = socket.socket()
        if self.receive_buffer is not None:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, self.receive_buffer)
        self.socket.settimeout(20)
        self.socket.connect(("127.0.0.1", self.port))
        key = base64.b64encode(os.urandom(16)).decode()
        self.socket.sendall(f"GET /ws/neighbour/{self.room} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n"
                            f"Connection: Upgrade\r\nSec-WebSocket-Key: {key}\r\n"
                            "Sec-WebSocket-Version: 13\r\n\r\n".encode())
        self.pending = b""
        while b"\r\n\r\n" not in self.pending:
            got = self.socket.recv(4096)
            if not got:
                raise SystemExit(f"neighbours.py: the server refused {self.room}: {self.pending[:100]!r}")
            self.pending += got
        head, self.pending = self.pending.split(b"\r\n\r\n", 1)
        if not head.startswith(b"HTTP/1.1 101 "):
            raise SystemExit(f"neighbours.py: the server refused {self.room}: {head[:100]!r}")
        self.socket.setblocking(False)

    def send(self, text: str) -> bool:
        """False: the socket is full."""
        with contextlib.suppress(BlockingIOError, ConnectionError):
            self.socket.send(frame(TEXT, text.encode()))
            self.sent += 1
            return True
        return False

    def flood(self, frames: bytes, count: int) -> bool:
        """Sends so many frames at once, or what was left of the last time. False: the socket is full."""
        if not self.unsent:
            self.unsent, self.sent = frames, self.sent + count
        with contextlib.suppress(BlockingIOError, ConnectionError):
            self.unsent = self.unsent[self.socket.send(self.unsent):]
        return not self.unsent

    def receive(self) -> bool:
        """Counts what came. @return whether it had to come back, as another socket."""
        try:
            got = self.socket.recv(1 << 16)
        except BlockingIOError:
            return False
        except ConnectionError:
            got = b""
        self.pending += got
        is_over = not got
        at, end = 0, len(self.pending)
        while end - at >= 2 and end - at >= 2 + (self.pending[at + 1] & 0x7F):
            opcode, length = self.pending[at] & 0x0F, self.pending[at + 1] & 0x7F  # The service answers with short texts.
            at += 2 + length
            if opcode == TEXT:
                self.answered += 1
                continue
            payload = self.pending[at - length:at]
            if opcode == PING:
                self.socket.send(frame(PONG, payload))
            elif opcode == CLOSE:
                with contextlib.suppress(OSError):
                    self.socket.send(frame(CLOSE, payload[:2]))
                is_over = True
        self.pending = self.pending[at:]
        if is_over:
            self.closed += 1
            self.socket.close()
        return is_over

    def ask(self, text: str) -> float:
        """@return how long the answer took, in seconds."""
        began = time.monotonic()
        before = self.answered
        self.socket.setblocking(True)
        self.socket.settimeout(20)
        self.socket.sendall(frame(TEXT, text.encode()))
        while self.answered == before:
            if self.receive():
                raise SystemExit("neighbours.py: the room failed while it was asked")
        self.socket.setblocking(False)
        return time.monotonic() - began


def thousands_for(neighbour: Neighbour, seconds: float) -> int:
    """How much work takes so long here, by trying."""
    thousands = 100
    while True:
        took = min(neighbour.ask(f"work {thousands}") for _ in range(3))
        if took > seconds / 4:
            return max(1, int(thousands * seconds / took))
        thousands *= 2


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--what", required=True, help="spin, grow, trap, ok, flood, slow (50 ms of work); "
                        "deaf: one talks to all others of its room, which never read; alone: these are in other rooms")
    parser.add_argument("--rooms", type=int, default=1)
    parser.add_argument("--rate", type=float, default=10, help="messages a second and room; 0: each room once")
    parser.add_argument("--seconds", type=float, default=3)
    options = parser.parse_args()
    talks = options.what in ("deaf", "alone")
    neighbours = [Neighbour(options.port, f"n{i}") for i in range(1 if talks else options.rooms)]
    readers = [Neighbour(options.port, "n0" if options.what == "deaf" else f"n{i}", receive_buffer=2048)
               for i in range(1, options.rooms if talks else 1)]
    text = {"slow": "", "flood": "ok"}.get(options.what, options.what)
    if options.what == "slow":
        text = f"work {thousands_for(neighbours[0], 0.05)}"
    talk = frame(TEXT, b"all " + b"x" * TALK)
    burst = frame(TEXT, text.encode()) * BURST
    print("ready", flush=True)
    sys.stdin.readline()  # The others have come in.
    with selectors.DefaultSelector() as selector:
        for neighbour in neighbours:
            selector.register(neighbour.socket, selectors.EVENT_READ, neighbour)
        due = time.monotonic()
        end = due + options.seconds
        while (now := time.monotonic()) < end:
            if options.what == "flood":
                for neighbour in neighbours:
                    while neighbour.sent - neighbour.answered < 100_000 and neighbour.flood(burst, BURST):
                        pass
            elif now >= due:
                for neighbour in neighbours:
                    neighbour.flood(talk, 1) if talks else neighbour.send(text)
                due = due + 1 / options.rate if options.rate > 0 else end
            wait = 0.001 if options.what == "flood" else max(0.0, min(due, end) - now)
            for key, _ in selector.select(wait):
                if key.data.receive():
                    selector.unregister(key.fileobj)
                    key.data.open()
                    selector.register(key.data.socket, selectors.EVENT_READ, key.data)
    for reader in readers:
        reader.socket.close()
    print(json.dumps({name: sum(getattr(neighbour, name) for neighbour in neighbours)
                      for name in ("sent", "answered", "closed")}))


if __name__ == "__main__":
    sys.exit(main())
