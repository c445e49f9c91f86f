"""Crowds of clients in a process of their own, so that what they do costs the measuring process nothing."""

import contextlib
import multiprocessing
import re
import select
import socket
import time

from .wait import PATIENCE
from .wire import TEXT, frame, request

_context = multiprocessing.get_context("spawn")


class Crowd:
    """Runs `work(pipe, *arguments)` in another process; a context manager that ends it."""

    def __init__(self, work, *arguments):
        self.pipe, theirs = _context.Pipe()
        self._process = _context.Process(target=work, args=(theirs, *arguments), daemon=True)
        self._process.start()
        theirs.close()

    def hear(self, seconds=60):
        """What it says next."""
        assert self.pipe.poll(seconds * PATIENCE), "the crowd says nothing"
        return self.pipe.recv()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.pipe.close()  # Ends its waiting.
        self._process.join(30 * PATIENCE)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()


def _wait_for_the_end(pipe):
    with contextlib.suppress(EOFError):
        pipe.recv()


def readers_that_never_read(pipe, port, count, room):
    """Says "ready" once all are in."""
    sockets = []
    for _ in range(count):
        one = socket.socket()
        one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        one.connect(("127.0.0.1", port))
        one.sendall(request(f"/ws/{room}"))
        sockets.append(one)
    for one in sockets:
        assert one.recv(12) == b"HTTP/1.1 101"
    pipe.send("ready")
    _wait_for_the_end(pipe)


def talker(pipe, port, room, message_bytes, messages_per_second):
    """Has the room say something to everyone else at this rate until it is ended. Says "ready"."""
    one = socket.create_connection(("127.0.0.1", port))
    one.sendall(request(f"/ws/{room}"))
    heard = b""
    while not (found := re.search(rb"you are (\d+)", heard)):
        heard += one.recv(4096)
    one.setblocking(False)
    data = frame(TEXT, b"except " + found[1] + b" " + b"x" * message_bytes)
    pipe.send("ready")
    due = time.monotonic()
    while not pipe.poll(max(0.0, due - time.monotonic())):
        due += 1 / messages_per_second
        with contextlib.suppress(BlockingIOError):
            while one.recv(1 << 16):  # Who leaves.
                pass
        waiting = data
        while waiting:
            select.select([], [one], [], 1)
            with contextlib.suppress(BlockingIOError):
                waiting = waiting[one.send(waiting):]


def trickling_handshakes(pipe, port, count, data):
    """Each sends a byte of `data` each second, and never the last. Says "ready" once all have begun, then how many the server ended, and when."""
    sockets = []
    for _ in range(count):
        one = socket.create_connection(("127.0.0.1", port))
        one.send(data[:1])
        one.setblocking(False)
        sockets.append(one)
    begin = time.monotonic()
    pipe.send("ready")
    poll = select.epoll()
    by_number = {}
    for one in sockets:
        poll.register(one, select.EPOLLIN)
        by_number[one.fileno()] = one
    sent = 1
    while by_number and time.monotonic() - begin < 60 * PATIENCE and sent < len(data) - 1:
        for one in by_number.values():
            with contextlib.suppress(OSError):
                one.send(data[sent:sent + 1])
        sent += 1
        round_ends = begin + sent - 1
        while by_number and time.monotonic() < round_ends:
            for number, _ in poll.poll(max(0.0, round_ends - time.monotonic())):
                with contextlib.suppress(ConnectionError):
                    if by_number[number].recv(4096):
                        continue  # It says 408, and then ends.
                poll.unregister(number)
                by_number.pop(number).close()
    pipe.send((count - len(by_number), time.monotonic() - begin))
    _wait_for_the_end(pipe)
