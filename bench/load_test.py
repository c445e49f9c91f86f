#!/usr/bin/env python3
"""Tests of the load client against a server of our own that treats all of its clients badly but the first.

Usage: load_test.py WSLOAD
"""

import contextlib
import json
import selectors
import socket
import subprocess
import sys
import threading
import unittest

WSLOAD = sys.argv.pop(1) if len(sys.argv) > 1 else "build/release/bench/wsload"
CLIENTS = 100
UPGRADED = b"HTTP/1.1 101 Switching Protocols\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"
CLOSE = b"\x88\x02\x03\xf5"
PING = b"\x89\x00"
EARLY = b"\x82\x10" + b"0" * 16  # A message of the size that is asked for.


class Server:
    """One thread; echoes what its first client sends. The others get `greeting` behind the upgrade; `on_message`: what becomes of
    their messages."""

    def __init__(self, greeting=b"", on_message="echo"):
        self.greeting, self.on_message = greeting, on_message
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=CLIENTS * 2)
        self.port = self.listener.getsockname()[1]
        self.wake, self.woken = socket.socketpair()
        self.thread = threading.Thread(target=self.run)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.wake.send(b"x")
        self.thread.join()
        for one in (self.listener, self.wake, self.woken):
            one.close()

    def run(self):
        with selectors.DefaultSelector() as selector:
            selector.register(self.listener, selectors.EVENT_READ)
            selector.register(self.woken, selectors.EVENT_READ)
            clients = {}
            while True:
                for key, _ in selector.select():
                    if key.fileobj is self.woken:
                        for client in clients:
                            client.close()
                        return
                    if key.fileobj is self.listener:
                        client = self.listener.accept()[0]
                        clients[client] = [len(clients) == 0, False, b""]
                        selector.register(client, selectors.EVENT_READ)
                        continue
                    with contextlib.suppress(ConnectionError):
                        if self.serve(key.fileobj, clients[key.fileobj]):
                            continue
                    selector.unregister(key.fileobj)
                    del clients[key.fileobj]
                    key.fileobj.close()

    def serve(self, client, state):
        """@return whether the client is still there."""
        is_first, is_open, _ = state
        got = client.recv(1 << 16)
        state[2] += got
        if not got:
            return False
        if not is_open and b"\r\n\r\n" in state[2]:
            state[1], state[2] = True, b""  # It says nothing before it is answered.
            client.sendall(UPGRADED)
            client.sendall(b"" if is_first else self.greeting)
            return True
        while state[1] and len(state[2]) >= 22:  # 2 of the head, 4 of the mask, 16 of the payload.
            mask, payload = state[2][2:6], state[2][6:22]
            state[2] = state[2][22:]
            if is_first or self.on_message == "echo":
                client.sendall(b"\x82\x10" + bytes(byte ^ mask[i % 4] for i, byte in enumerate(payload)))
            elif self.on_message == "close":
                client.sendall(CLOSE)
            elif self.on_message == "end":
                return False
        return True


def load(server, mode="echo", *options):
    return subprocess.run([WSLOAD, mode, "--conns", str(CLIENTS), "--payload", "16", "--port", str(server.port), "--seconds", "0.3",
                           "--warmup", "0.1", *options], capture_output=True, text=True, timeout=60, check=False)


class LoadClient(unittest.TestCase):
    def expect_failure(self, words, *options, mode="echo", **server):
        with Server(**server) as running:
            done = load(running, mode, *options)
        self.assertEqual(done.returncode, 2, done)
        self.assertNotIn("\n", done.stdout, "a line was reported")
        self.assertIn(words, done.stderr)

    def test_all_are_served(self):
        with Server() as server:
            done = load(server)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertGreaterEqual(json.loads(done.stdout)["messages"], 1)

    def test_what_comes_early_is_no_harm(self):
        with Server(greeting=PING + EARLY) as server:
            done = load(server)
        self.assertEqual(done.returncode, 0, done.stderr)

    def test_a_close_right_behind_the_upgrade(self):
        for mode in ("echo", "idle", "rooms"):
            self.expect_failure("a close frame", mode=mode, greeting=CLOSE)

    def test_a_close_behind_an_early_message(self):
        self.expect_failure("a close frame", greeting=EARLY + CLOSE)

    def test_a_close_for_an_answer(self):
        self.expect_failure("a close frame", on_message="close")

    def test_a_close_where_the_rate_is_given(self):
        self.expect_failure("a close frame", "--rate", "100", greeting=CLOSE)

    def test_an_end_for_an_answer(self):
        self.expect_failure("", on_message="end")

    def test_no_answer(self):
        self.expect_failure(f"{CLIENTS - 1} of {CLIENTS} clients heard nothing", on_message="nothing")


if __name__ == "__main__":
    sys.exit(unittest.main())
