"""Certificates for the server under test, and clients that trust them."""

import base64
import hashlib
import pathlib
import ssl
import subprocess


def make_certificate(folder, name="server", days=2):
    """A self-signed certificate of localhost. @return its file and its key's."""
    certificate, key = pathlib.Path(folder) / f"{name}.pem", pathlib.Path(folder) / f"{name}.key"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", str(days),
                    "-subj", f"/CN={name}", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout", key, "-out",
                    certificate], check=True, capture_output=True, timeout=60)
    return certificate, key


def client_context(certificate, protocols=("http/1.1",), version=None):
    """Trusts `certificate` alone. `version`: the only one it speaks."""
    context = ssl.create_default_context(cafile=str(certificate))
    if protocols:
        context.set_alpn_protocols(list(protocols))
    if version:
        context.maximum_version = version
        context.minimum_version = version
    return context


def settings(certificate, key):
    return {"tls.cert": certificate, "tls.key": key}


def public_key_hash(certificate):
    """How Chromium names a key that it is to trust."""
    public = subprocess.run(["openssl", "x509", "-in", certificate, "-noout", "-pubkey"], check=True, capture_output=True, timeout=60).stdout
    der = subprocess.run(["openssl", "pkey", "-pubin", "-outform", "DER"], input=public, check=True, capture_output=True, timeout=60).stdout
    return base64.b64encode(hashlib.sha256(der).digest()).decode()
