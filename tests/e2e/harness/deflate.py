"""permessage-deflate as a client does it, good and bad. RFC 7692, section 7."""

import functools
import zlib

from .wire import request

TAIL = b"\x00\x00\xff\xff"  # What a sender cuts off the end of each message: section 7.2.1.


def deflated(data, window_bits=15, level=9, keep_tail=False):
    """One message's payload, standing alone."""
    compressor = zlib.compressobj(level, zlib.DEFLATED, -window_bits)
    out = compressor.compress(data) + compressor.flush(zlib.Z_SYNC_FLUSH)
    assert out.endswith(TAIL)
    return out if keep_tail else out[:-len(TAIL)]


def inflated(payload):
    return zlib.decompressobj(-15).decompress(payload + TAIL)


class Context:
    """Both directions with context takeover."""

    def __init__(self, window_bits=15):
        self.compressor = zlib.compressobj(6, zlib.DEFLATED, -window_bits)
        self.decompressor = zlib.decompressobj(-15)

    def deflate(self, data):
        out = self.compressor.compress(data) + self.compressor.flush(zlib.Z_SYNC_FLUSH)
        return out[:-len(TAIL)]

    def inflate(self, payload):
        return self.decompressor.decompress(payload + TAIL)


def upgrade(connection, target, offer="permessage-deflate; client_max_window_bits", expected=None):
    """The opening handshake with an offer that must be accepted; with `expected`, in just these words."""
    connection.send(request(target, add=[("Sec-WebSocket-Extensions", offer)]))
    response = connection.response()
    assert response.status == 101, (response.status, response.body)
    agreed = response.header("Sec-WebSocket-Extensions")
    assert agreed and agreed.startswith("permessage-deflate"), response.headers
    assert expected is None or agreed == expected, agreed
    connection.inflate = inflated
    return connection


def upgrading(offer, expected=None):
    """The handshake with this offer, for a table's case."""
    return functools.partial(upgrade, offer=offer, expected=expected)
