"""HAProxy and nginx in front: clients through both, and who the server says they are."""

import subprocess

import pytest
from websockets.sync.client import connect

from harness.proxy import HaProxy, Nginx
from harness.server import KINDS, Server
from harness.tls import client_context, make_certificate
from harness.tls import settings as tls_settings
from harness.wire import Connection
from test_bad_proxies import V1, v2

BY_PROTOCOL = {"proxies.trusted": "127.0.0.1", "proxies.protocol": "required"}
BY_HEADER = {"proxies.trusted": "127.0.0.1", "proxies.header": "x-forwarded-for"}


def tell_story(port, source="127.0.0.9", context=None):
    """A client that comes to the proxy from `source`. Gives what the service heard of its address."""
    scheme = "ws" if context is None else "wss"
    with connect(f"{scheme}://127.0.0.1:{port}/ws/room?info", ssl=context, source_address=(source, 0), open_timeout=30) as client:
        heard = [client.recv(30) for _ in range(5)]
        client.send("hello")
        assert client.recv(30) == "hello"
        client.send(b"x" * 100_000)
        assert client.recv(30) == b"x" * 100_000
        assert client.ping().wait(30)
    assert client.close_code == 1000
    return next(text.removeprefix("address ") for text in heard if text.startswith("address "))


def curl(port):
    done = subprocess.run(["curl", "-sS", "--max-time", "30", "--interface", "127.0.0.9", f"http://127.0.0.1:{port}/status"],
                          capture_output=True, check=True)
    return done.stdout


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("options", ["send-proxy-v2", "send-proxy", "send-proxy-v2 proxy-v2-options crc32c,unique-id"])
def test_haproxy_with_the_proxy_protocol(kind, options):
    with Server(kind, "probe", BY_PROTOCOL) as server:
        with HaProxy(f"127.0.0.1:{server.port}", options) as proxy:
            assert curl(proxy.port) == b"ok"
            assert tell_story(proxy.port) == "127.0.0.9"
        with HaProxy(f"127.0.0.1:{server.port}", options, mode="tcp") as proxy:
            assert tell_story(proxy.port, "127.0.0.8") == "127.0.0.8"


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    return make_certificate(tmp_path_factory.mktemp("certificates"))


# Fields of version 2 that tell of TLS, the server name that was asked for and the connection's number: they mean nothing here.
FIELDS = "send-proxy-v2-ssl-cn proxy-v2-options ssl,cert-cn,ssl-cipher,cert-sig,cert-key,authority,crc32c,unique-id"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("mode", ["http", "tcp"])
@pytest.mark.parametrize("options", ["send-proxy-v2", FIELDS], ids=["plain", "fields"])
def test_haproxy_ends_tls(kind, mode, options, files):
    context = client_context(files[0])
    with Server(kind, "probe", BY_PROTOCOL) as server:
        with HaProxy(f"127.0.0.1:{server.port}", options, mode, *files, context) as proxy:
            assert tell_story(proxy.port, context=context) == "127.0.0.9"


# TLS goes through the proxy, which says first whom it is from: the header, then the client's hello.
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("options", ["send-proxy-v2", "send-proxy", "send-proxy-v2 proxy-v2-options crc32c,unique-id"])
def test_haproxy_passes_tls_through(kind, options, files):
    context = client_context(files[0])
    with Server(kind, "probe", {**BY_PROTOCOL, **tls_settings(*files)}) as server:
        with HaProxy(f"127.0.0.1:{server.port}", options, mode="tcp", context=context) as proxy:
            assert tell_story(proxy.port, context=context) == "127.0.0.9"
            assert tell_story(proxy.port, "127.0.0.8", context) == "127.0.0.8"


# However it is cut: not a byte of the hello is taken for the header's, or the other way round.
@pytest.mark.parametrize("header", [V1, v2(), v2(tlvs=b"\x20\0\x05\x01\0\0\0\0\x05\0\x04\x01\x02\x03\x04" + b"\x04\x01\x00" + b"\0" * 256)],
                         ids=["v1", "v2", "fields"])
@pytest.mark.parametrize("piece", [1, 7, 1000])
def test_a_header_in_front_of_tls(header, piece, files):
    with Server("module", "probe", {**BY_PROTOCOL, **tls_settings(*files)}) as server:
        with Connection(server.port) as client:
            for at in range(0, len(header), piece):
                client.send(header[at:at + piece])
            client.socket = client_context(files[0]).wrap_socket(client.socket, server_hostname="localhost")
            client.upgrade("/ws/room?info")
            assert "address 203.0.113.7" in [client.next_text() for _ in range(3)]


# Its health checks are its own connections: version 2 says LOCAL.
def test_haproxy_checks_that_the_server_lives():
    with Server("module", "probe", BY_PROTOCOL) as server:
        with HaProxy(f"127.0.0.1:{server.port}", "send-proxy-v2 check inter 50ms fall 1 rise 1") as proxy:
            assert tell_story(proxy.port) == "127.0.0.9"
        assert not any(line["event"] == "proxy.header_refused" for line in server.log_lines())


@pytest.mark.parametrize("kind", KINDS)
def test_haproxy_with_x_forwarded_for(kind):
    with Server(kind, "probe", BY_HEADER) as server:
        with HaProxy(f"127.0.0.1:{server.port}") as proxy:
            assert curl(proxy.port) == b"ok"
            assert tell_story(proxy.port) == "127.0.0.9"


def test_haproxy_on_a_unix_socket(tmp_path):
    path = tmp_path / "rooms.sock"
    settings = {"server.listen": f"unix:{path}", "proxies.trusted": "unix", "proxies.protocol": "required"}
    with Server("module", "probe", settings):
        with HaProxy(f"unix@{path}", "send-proxy-v2") as proxy:
            assert tell_story(proxy.port) == "127.0.0.9"


@pytest.mark.parametrize("kind", KINDS)
def test_nginx_with_x_forwarded_for(kind):
    with Server(kind, "probe", {"proxies.trusted": "127.0.0.0/30", "proxies.header": "x-forwarded-for"}) as server:
        with Nginx(f"http://127.0.0.1:{server.port}") as proxy:
            assert curl(proxy.port) == b"ok"
            assert tell_story(proxy.port) == "127.0.0.9"


def test_nginx_with_forwarded():
    with Server("module", "probe", {"proxies.trusted": "127.0.0.0/30", "proxies.header": "forwarded"}) as server:
        with Nginx(f"http://127.0.0.1:{server.port}", ['Forwarded "for=$remote_addr;proto=$scheme"']) as proxy:
            assert tell_story(proxy.port) == "127.0.0.9"


def test_nginx_on_a_unix_socket(tmp_path):
    path = tmp_path / "rooms.sock"
    settings = {"server.listen": f"unix:{path}", "proxies.trusted": "unix", "proxies.header": "x-forwarded-for"}
    with Server("module", "probe", settings):
        with Nginx(f"http://unix:{path}") as proxy:
            assert tell_story(proxy.port) == "127.0.0.9"
