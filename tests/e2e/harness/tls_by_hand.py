"""A TLS client that does what no library lets one do: hellos that are rewritten, records of any content behind a good handshake."""

import contextlib
import ctypes
import hashlib
import hmac
import socket
import ssl
import struct

from .wait import PATIENCE
from .wire import Ended

ALERT, HANDSHAKE, DATA = 21, 22, 23
KEY_UPDATE, KEY_UPDATE_AND_ANSWER = b"\x18\0\0\1\0", b"\x18\0\0\1\1"  # RFC 8446 section 4.6.3.
CLOSE_NOTIFY = b"\x01\x00"
UNRECOGNIZED_NAME = 112


def hello(context, name="localhost"):
    """What a client of Python's says first."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    with contextlib.suppress(ssl.SSLWantReadError):
        context.wrap_bio(incoming, outgoing, server_hostname=name).do_handshake()
    return outgoing.read()


def hello_for(context, name):
    """The same, with these bytes as the server's name (RFC 6066 section 3)."""
    whole = hello(context)
    body = whole[9:]  # Behind the record's head and the message's.
    at = 34
    at += 1 + body[at]
    at += 2 + struct.unpack_from(">H", body, at)[0]
    at += 1 + body[at]
    extensions, kept = body[at + 2:], b""
    while extensions:
        kind, length = struct.unpack_from(">HH", extensions)
        if kind != 0:
            kept += extensions[:4 + length]
        extensions = extensions[4 + length:]
    entry = b"\0" + struct.pack(">H", len(name)) + name
    kept = struct.pack(">HHH", 0, len(entry) + 2, len(entry)) + entry + kept
    body = body[:at] + struct.pack(">H", len(kept)) + kept
    message = b"\x01" + len(body).to_bytes(3, "big") + body
    return b"\x16\x03\x01" + struct.pack(">H", len(message)) + message


def _library(name, **functions):
    library = ctypes.CDLL(name)
    for function, result in functions.items():
        getattr(library, function).restype = result
    return library


_POINTER = ctypes.c_void_p
_KEYS = ctypes.CFUNCTYPE(None, _POINTER, ctypes.c_char_p)


class TlsByHand:
    """OpenSSL makes the handshake (TLS 1.3, AES-128-GCM) and reads; what is said afterwards is sealed here, record by record."""

    def __init__(self, port, seconds=20):
        self._ssl = _library("libssl.so.3", TLS_client_method=_POINTER, SSL_CTX_new=_POINTER, SSL_new=_POINTER)
        self._crypto = _library("libcrypto.so.3", BIO_new=_POINTER, BIO_s_mem=_POINTER, EVP_CIPHER_CTX_new=_POINTER,
                                EVP_aes_128_gcm=_POINTER, ERR_reason_error_string=ctypes.c_char_p, ERR_peek_error=ctypes.c_ulong)
        self._secrets = {}
        self._keys = _KEYS(self._note_key)
        context = _POINTER(self._ssl.SSL_CTX_new(_POINTER(self._ssl.TLS_client_method())))
        self._ssl.SSL_CTX_set_ciphersuites(context, b"TLS_AES_128_GCM_SHA256")
        self._ssl.SSL_CTX_ctrl(context, 123, ctypes.c_long(0x0304), None)  # SSL_CTX_set_min_proto_version
        self._ssl.SSL_CTX_set_post_handshake_auth(context, 1)
        self._ssl.SSL_CTX_set_keylog_callback(context, self._keys)
        self._session = _POINTER(self._ssl.SSL_new(context))
        self._ssl.SSL_CTX_free(context)
        self._in, self._out = (_POINTER(self._crypto.BIO_new(_POINTER(self._crypto.BIO_s_mem()))) for _ in range(2))
        self._ssl.SSL_set_bio(self._session, self._in, self._out)
        self._ssl.SSL_set_connect_state(self._session)
        self._cipher = _POINTER(self._crypto.EVP_CIPHER_CTX_new())
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.settimeout(seconds * PATIENCE)
        self.heard = b""
        while self._ssl.SSL_do_handshake(self._session) != 1:
            self._flush()
            self._receive()
        self._flush()
        self._use(self._secrets["CLIENT_TRAFFIC_SECRET_0"])

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()
        self._ssl.SSL_free(self._session)
        self._crypto.EVP_CIPHER_CTX_free(self._cipher)

    def _note_key(self, _session, line):
        label, _random, secret = line.decode().split(" ")
        self._secrets[label] = bytes.fromhex(secret)

    def _flush(self):
        buffer = ctypes.create_string_buffer(1 << 14)
        while (count := self._crypto.BIO_read(self._out, buffer, len(buffer))) > 0:
            self.socket.sendall(buffer.raw[:count])

    def _receive(self):
        try:
            wire = self.socket.recv(1 << 16)
        except ConnectionError:
            raise Ended from None
        if not wire:
            raise Ended
        self._crypto.BIO_write(self._in, wire, len(wire))

    # RFC 8446 section 7.1.
    def _expanded(self, label, length):
        name = b"tls13 " + label
        info = struct.pack(">HB", length, len(name)) + name + b"\0"
        return hmac.new(self._secret, info + b"\x01", hashlib.sha256).digest()[:length]

    def _use(self, secret):
        self._secret, self._number = secret, 0
        self._key, self._nonce = self._expanded(b"key", 16), int.from_bytes(self._expanded(b"iv", 12), "big")

    def next_key(self):
        """Behind a key update of ours."""
        self._use(self._expanded(b"traffic upd", 32))

    def seal(self, content, kind=DATA, padding=0):
        """A record (RFC 8446 section 5.2); `kind` 0 and no content: nothing but padding."""
        inner = content + (bytes([kind]) if kind else b"") + bytes(padding)
        head = b"\x17\x03\x03" + struct.pack(">H", len(inner) + 16)
        nonce = (self._nonce ^ self._number).to_bytes(12, "big")
        self._number += 1
        out, done = ctypes.create_string_buffer(len(inner) + 16), ctypes.c_int()
        crypto = self._crypto
        assert crypto.EVP_EncryptInit_ex(self._cipher, _POINTER(crypto.EVP_aes_128_gcm()), None, self._key, nonce) == 1
        crypto.EVP_EncryptUpdate(self._cipher, None, ctypes.byref(done), head, len(head))
        crypto.EVP_EncryptUpdate(self._cipher, out, ctypes.byref(done), inner, len(inner))
        crypto.EVP_EncryptFinal_ex(self._cipher, out, ctypes.byref(done))
        tag = ctypes.create_string_buffer(16)
        assert crypto.EVP_CIPHER_CTX_ctrl(self._cipher, 0x10, 16, tag) == 1  # EVP_CTRL_GCM_GET_TAG
        return head + out.raw[:len(inner)] + tag.raw

    def say(self, *records):
        """All of them in one piece. @raise Ended when the server no longer listens."""
        try:
            self.socket.sendall(b"".join(records))
        except ConnectionError:
            raise Ended from None

    def hear(self, text=None):
        """Reads on until `text` was heard; without one, to the end. @return what ended it: OpenSSL's reason, or "closed"."""
        buffer = ctypes.create_string_buffer(1 << 14)
        while text is None or text not in self.heard:
            self._crypto.ERR_clear_error()
            count = self._ssl.SSL_read(self._session, buffer, len(buffer))
            if count > 0:
                self.heard += buffer.raw[:count]
                continue
            why = self._ssl.SSL_get_error(self._session, count)
            if why == 6:  # SSL_ERROR_ZERO_RETURN
                assert text is None, f"ended before {text!r}; heard {self.heard[-200:]!r}"
                return "closed"
            if why != 2:  # SSL_ERROR_WANT_READ
                reason = self._crypto.ERR_reason_error_string(ctypes.c_ulong(self._crypto.ERR_peek_error()))
                self._crypto.ERR_clear_error()  # Else Python's ssl, in this thread, takes it for its own.
                assert text is None, f"ended before {text!r}: {reason}"
                return reason.decode()
            try:
                self._receive()
            except Ended:
                assert text is None, f"ended before {text!r}; heard {self.heard[-200:]!r}"
                return "closed"
        return None
