"""The protocols, section by section, as literal bytes: the tables of tests/conformance, over real sockets.

Each case is played three times: all that can be sent at once in one segment, a line a segment, a byte a segment. That its
connection still works afterwards is asked with a ping, to which nothing but the pong may come.
"""

import ast
import dataclasses
import os
import pathlib
import re

import pytest

from harness.deflate import Context, inflated
from harness.server import KINDS, Server
from harness.wire import BINARY, CLOSE, PING, TEXT, Connection, accept_of, close_frame, frame, request

TABLES = pathlib.Path(__file__).parent.parent / "conformance"
CUTS = ["one segment", "a line a segment", "a byte a segment"]
TOKEN = re.compile(r'"((?:[^"\\]|\\.)*)"(?:\*(\d+))?|([0-9a-fA-F]+)(?:\*(\d+))?')


@dataclasses.dataclass
class Case:
    section: str
    title: str
    lines: list

    def __str__(self):
        return f"{self.section.split(':')[0][:40]} - {self.title}"


def cases_of(name):
    cases, section = [], None
    for line in (TABLES / name).read_text().splitlines():
        if line.startswith("## "):
            section = line[3:]
        elif line.startswith("# "):
            cases.append(Case(section, line[2:], []))
        elif line:
            cases[-1].lines.append(line)
    return cases


def text_bytes(quoted):
    """What a text in quotes, with Python's escapes, stands for."""
    return ast.literal_eval('b"' + quoted + '"')


def bytes_of(tokens):
    """81 05 "Hello" 00*3"""
    out, at = b"", 0
    while at < len(tokens):
        if tokens[at] == " ":
            at += 1
            continue
        found = TOKEN.match(tokens, at)
        assert found, f"not understood: {tokens[at:]}"
        text, times, digits, digit_times = found.groups()
        piece = text_bytes(text) if digits is None else bytes.fromhex(digits)
        out += piece * int(times or digit_times or 1)
        at = found.end()
    return out


class Player:
    """Sends what a case says, cut in one way; what waits for an answer is sent before it is read."""

    def __init__(self, connection, cut):
        self.connection = connection
        self.cut = cut
        self.waiting = b""

    def send(self, data):
        self.waiting += data
        if self.cut != "one segment":
            self.flush()

    def flush(self):
        data, self.waiting = self.waiting, b""
        # A long payload byte by byte shows no more than its first and last bytes do.
        edge = 300
        if self.cut == "a byte a segment":
            pieces = [data[i:i + 1] for i in range(min(len(data), edge))]
            pieces += [data[edge:-edge]] if len(data) > 2 * edge else []
            pieces += [data[i:i + 1] for i in range(max(edge, len(data) - edge), len(data))]
        else:
            pieces = [data]
        for piece in pieces:
            if piece:
                self.connection.send_and_listen(piece)


def expect_bytes(connection, expected):
    received = connection.take(len(expected))
    assert received == expected, f"{received[:80]!r} instead of {expected[:80]!r}"


def expect_still_works(connection):
    connection.send(frame(PING, b"anything else?"))
    expect_bytes(connection, b"\x8a\x0eanything else?")
    connection.leave()


# --- Frames ---------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module", params=KINDS)
def echoes(request):
    """An echo for each way of compression."""
    settings = {"service.shutdown_policy": "immediate", "service.subprotocols": "chat.v1,chat.v2"}
    with Server(request.param, "echo", settings) as off, \
            Server(request.param, "echo", {**settings, "server.compression": "message"}) as message, \
            Server(request.param, "echo", {**settings, "server.compression": "context"}) as context:
        yield {"off": off, "message": message, "context": context}


def open_with(echoes, mode, offer):
    connection = Connection(echoes[mode].port)
    connection.send(request("/ws/conformance", add=[("Sec-WebSocket-Extensions", offer)] if offer else []))
    response = connection.response()
    assert response.status == 101, (response.status, response.body)
    agreed = response.header("Sec-WebSocket-Extensions")
    connection.inflate = Context().inflate if agreed and "server_no_context_takeover" not in agreed else inflated
    return connection, agreed


def play_frames(case, cut, echoes):
    lines = list(case.lines)
    mode, offer = "off", ""
    if lines and lines[0].startswith("open "):
        _, mode, offer = (lines.pop(0) + " ").split(" ", 2)
    connection, agreed = open_with(echoes, mode, offer.strip())
    player = Player(connection, cut)
    ended = False
    with connection:
        for line in lines:
            word, _, rest = line.partition(" ")
            if word == "agreed":
                assert (agreed or "") == rest, agreed
            elif word == ">":
                player.send(bytes_of(rest))
            else:
                player.flush()
                ended = expect_line(connection, word, rest)
        player.flush()
        if not ended:
            expect_still_works(connection)


def expect_line(connection, word, rest):
    """@return whether the connection ended."""
    if word == "end":
        connection.expect_end()
        return True
    assert word == "<", word
    if rest.startswith("close "):
        received = connection.frame()
        assert (received.opcode, received.close_code) == (CLOSE, int(rest[6:])), received
        received.payload[2:].decode()
    elif rest.startswith("compressed "):
        _, kind, payload = rest.split(" ", 2)
        while not connection.buffer:
            connection.fill()
        assert connection.buffer[0] & 0x40, "it is not compressed"
        received = connection.frame()
        assert (received.opcode, received.payload) == ({"text": TEXT, "binary": BINARY}[kind], bytes_of(payload))
    else:
        expect_bytes(connection, bytes_of(rest))
    return False


@pytest.mark.parametrize("cut", CUTS)
@pytest.mark.parametrize("case", cases_of("rfc6455_frames.txt"), ids=str)
def test_rfc6455_frames(echoes, case, cut):
    play_frames(case, cut, echoes)


@pytest.mark.parametrize("cut", CUTS)
@pytest.mark.parametrize("case", cases_of("rfc7692_deflate.txt"), ids=str)
def test_rfc7692_deflate(echoes, case, cut):
    play_frames(case, cut, echoes)


# --- HTTP -----------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("files")
    for name, text in (("numbers.txt", "0123456789"), ("empty.txt", ""), ("packed.txt", "the plain form"), ("packed.txt.gz", "a gzip form"), ("packed.txt.br", "a brotli form")):
        (root / name).write_text(text)
        os.utime(root / name, (784111777, 784111777))  # RFC 9110's example of a time.
    return root


@pytest.fixture(scope="module", params=KINDS)
def site(request, folder):
    settings = {"service.shutdown_policy": "immediate", "service.subprotocols": "chat.v1,chat.v2", "static_files": folder}
    with Server(request.param, "echo", settings) as server:
        yield server, tags_of(server)


def tags_of(server):
    """What the tables call the entity tags of the files."""
    with Connection(server.port) as connection:
        tags = {}
        for name, path, coding in (("$ETAG", "/numbers.txt", "identity"), ("$PLAIN_ETAG", "/packed.txt", "identity"),
                                   ("$GZIP_ETAG", "/packed.txt", "gzip"), ("$BROTLI_ETAG", "/packed.txt", "br")):
            connection.send(f"GET {path} HTTP/1.1\r\nHost: h\r\nAccept-Encoding: {coding}\r\n\r\n".encode())
            tags[name] = connection.response().header("ETag")
    assert len(set(tags.values())) == len(tags), tags
    return tags


class HttpPlayer(Player):
    def __init__(self, connection, cut, tags):
        super().__init__(connection, cut)
        self.tags = tags
        self.heads = []
        self.response = None

    def line(self, word, rest):
        """@return whether the connection ended."""
        for name, tag in self.tags.items():
            rest = rest.replace(name, tag)
        if word == ">":
            self.send(rest.encode() + b"\r\n")
            return False
        if word == ">>":
            self.send(bytes_of(rest))
            return False
        self.flush()
        if word == "end":
            self.connection.expect_end()
            return True
        if word == "open":
            expect_still_works(self.connection)
            return True
        self.expect(word, rest)
        return False

    def expect(self, word, rest):
        if word == "=":
            self.response = self.connection.response(head_only=self.heads.pop(0))
            assert self.response.status == int(rest), (self.response.status, self.response.body)
        elif word == ":":
            name, _, value = rest.partition(": ")
            found = self.response.header(name)
            assert found == value if value else found, self.response.headers
        elif word == "!":
            assert self.response.header(rest) is None, self.response.headers
        elif word == "body":
            assert self.response.body == bytes_of(rest), self.response.body
        elif word == "<<" and rest.startswith("close "):
            received = self.connection.frame()
            assert (received.opcode, received.close_code) == (CLOSE, int(rest[6:])), received
        elif word == "<<":
            expect_bytes(self.connection, bytes_of(rest))
        else:
            assert word == "head", word
            assert self.response.body == b""


def heads_of(lines):
    """For each expected answer, whether its body is left out."""
    heads = []
    for line in lines:
        if line.startswith("= "):
            heads.append(False)
        elif line == "head":
            heads[-1] = True
    return heads


@pytest.mark.parametrize("cut", CUTS)
@pytest.mark.parametrize("case", cases_of("http.txt"), ids=str)
def test_http(site, case, cut):
    server, tags = site
    with Connection(server.port) as connection:
        player = HttpPlayer(connection, cut, tags)
        player.heads = heads_of(case.lines)
        ended = False
        for line in case.lines:
            word, _, rest = line.partition(" ")
            ended = player.line(word, rest)
        player.flush()
        if not ended:
            connection.send(b"GET /status HTTP/1.1\r\nHost: h\r\n\r\n")
            answer = connection.response()
            assert (answer.status, answer.body) == (200, b"ok")


def test_what_stands_behind_the_last_request_is_not_done(site):
    """RFC 9112, section 9.6: not even when it came in the same segment."""
    server, _ = site
    behind = request("/ws/behind-the-last", "POST", headers=[("Host", "h")])
    for last in (request("/status", headers=[("Host", "h"), ("Connection", "close")]), request("/status", version="HTTP/1.0", headers=[]),
                 request("/status", headers=[])):
        with Connection(server.port) as connection:
            connection.send(last + behind)
            connection.response()
            connection.half_close_quietly()
            connection.expect_end()
    with Connection(server.port) as connection:
        connection.send(behind)
        assert connection.response().status == 200, "there was such a room already"


@pytest.mark.parametrize("target, headers", [
    ("/status", []), ("/numbers.txt", []), ("/packed.txt", [("Accept-Encoding", "gzip")]), ("/empty.txt", []), ("/nothing", []),
    ("/numbers.txt", [("If-None-Match", "*")]), ("/numbers.txt", [("If-Match", '"other"')]), ("/%zz", []), ("/new_room", []),
    ("/numbers.txt", [("Expect", "coffee")]), ("/numbers.txt", [("Host", "h")]), ("/numbers.txt", [("X", "y" * 9000)]),
])
def test_head_is_get_without_the_body(site, target, headers):
    """RFC 9110, section 9.3.2: the same status and headers; and whatever it is, nothing behind them."""
    server, _ = site
    answers = []
    for method in ("GET", "HEAD"):
        with Connection(server.port) as connection:
            connection.send(request(target, method, headers=[("Host", "h"), *headers, ("Connection", "close")]))
            answers.append(connection.response(head_only=method == "HEAD"))
            connection.half_close_quietly()
            connection.expect_end()
    get, head = ([(name, value) for name, value in answer.headers if name != "Date"] for answer in answers)
    assert (answers[0].status, get) == (answers[1].status, head)


def test_the_answer_to_a_key_is_its_digest(site):
    """RFC 6455, section 4.2.2, 5: for any key of 16 bytes."""
    server, _ = site
    for key in ("AAAAAAAAAAAAAAAAAAAAAA==", "/////////////////////w==", "x3JJHMbDL1EzLkh9GBhXDw=="):
        with Connection(server.port) as connection:
            connection.send(request("/ws/key", change={"Sec-WebSocket-Key": key}))
            assert connection.response().header("Sec-WebSocket-Accept") == accept_of(key)
            connection.send(close_frame(1000))
            connection.expect_close(1000, answer=False)
