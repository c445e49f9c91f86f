"""What several files of tests begin with."""

import tempfile

import pytest

from harness.tls import make_certificate


@pytest.fixture(scope="module")
def tls_files():
    """A self-signed certificate of localhost, and its key."""
    with tempfile.TemporaryDirectory(prefix="jamsocket-tls-") as folder:
        yield make_certificate(folder)
