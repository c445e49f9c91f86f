"""What several files of tests begin with."""

import tempfile

import pytest

from harness.cases import Watch
from harness.server import KINDS, Server
from harness.tls import make_certificate


@pytest.fixture(scope="module")
def tls_files():
    """A self-signed certificate of localhost, and its key."""
    with tempfile.TemporaryDirectory(prefix="jamsocket-tls-") as folder:
        yield make_certificate(folder)


@pytest.fixture(scope="module", params=KINDS)
def watch(request):
    """The probe with the file's SETTINGS, as each kind of service, and what must hold around each attack."""
    with Server(request.param, "probe", request.module.SETTINGS) as server:
        watch = Watch(server)
        yield watch
        watch.done()
