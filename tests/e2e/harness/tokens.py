"""Tokens as honest issuers and forgers make them, and keys of the command's own."""

import base64
import hashlib
import hmac
import json
import subprocess
import time

from .server import path_from_environment

SECRET = b"0123456789abcdef0123456789abcdef"


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def token(claims=None, header=None, secret=SECRET, **more):
    """A token of HS256: good for a minute, unless the claims say otherwise. A claim of None is left out."""
    claims = {"sub": "alice", "exp": int(time.time()) + 60, **(claims or {}), **more}
    claims = {name: value for name, value in claims.items() if value is not None}
    return sign(json.dumps(header or {"alg": "HS256", "kid": "shared"}), json.dumps(claims), secret)


def sign(header, claims, secret=SECRET):
    message = b64(header.encode()) + "." + b64(claims.encode())
    return message + "." + b64(hmac.new(secret, message.encode(), hashlib.sha256).digest())


def make_key(folder, name, algorithm):
    """A key made by the command: the private half in a file of its own, what a server needs in `folder`."""
    private = folder.parent / f"{name}.private.jwk"
    done = subprocess.run([path_from_environment("JAMSOCKET_BIN"), "token", "--new-key", private, "--alg", algorithm, "--id", name],
                          capture_output=True, text=True, check=True)
    assert private.stat().st_mode & 0o777 == 0o600
    (folder / f"{name}.jwk").write_text(private.read_text() if algorithm == "HS256" else done.stdout)
    return private


def command_token(key, *arguments):
    done = subprocess.run([path_from_environment("JAMSOCKET_BIN"), "token", "--key", key, *arguments],
                          capture_output=True, text=True, check=True)
    return done.stdout.strip()


def key_folder(tmp_path):
    folder = tmp_path / "keys"
    folder.mkdir()
    (folder / "shared.key").write_bytes(SECRET + b"\n")
    return folder
