"""What a server that asks for tokens needs of whoever measures it: a key, and a token that it made."""

import base64
import hashlib
import hmac
import json
import time
from dataclasses import replace
from pathlib import Path

from harness.works import Work

KEY = b"a key for measuring, of no other use"


def _b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _token() -> str:
    """Good for an hour (RFC 7519, HS256)."""
    claims = {"sub": "wsload", "exp": int(time.time()) + 3600}
    message = _b64(b'{"alg":"HS256","kid":"door"}') + "." + _b64(json.dumps(claims).encode())
    return message + "." + _b64(hmac.new(KEY, message.encode(), hashlib.sha256).digest())


def prepared(work: Work, folder: Path) -> Work:
    """The work with {folder} and {token} put in, and the key in the folder."""
    if not any("{" in word for word in (*work.settings, *work.door)):
        return work
    (folder / "door.key").write_bytes(KEY)
    filled = lambda words: tuple(word.replace("{folder}", str(folder)).replace("{token}", _token()) for word in words)
    return replace(work, settings=filled(work.settings), door=filled(work.door))
