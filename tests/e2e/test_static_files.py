"""Static files at /: types, conditional requests, ranges of methods; the client package at /client."""

import pytest

from harness.server import Server
from harness.wire import Connection, http, request


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("static")
    (root / "index.html").write_text("<!doctype html><title>hello</title>")
    for name in ("a.css", "a.js", "a.mjs", "a.json", "a.svg", "a.txt", "a.wasm", "a.unknown", "noextension", "a b.txt", "é.txt"):
        (root / name).write_bytes(b"content of " + name.encode())
    (root / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    (root / "sub").mkdir()
    (root / "sub" / "index.html").write_text("sub index")
    (root / "large.bin").write_bytes(bytes(range(256)) * 16384)
    return root


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    root = tmp_path_factory.mktemp("client")
    (root / "main.js").write_text("export {};")
    return root


@pytest.fixture(scope="module")
def server(folder, client):
    with Server("module", "echo", {"static_files": folder, "client.package": client}) as server:
        yield server


def get(server, target, *headers, method="GET"):
    return http(server.port, method, target, headers)


def test_index(server):
    response = get(server, "/")
    assert (response.status, response.body) == (200, b"<!doctype html><title>hello</title>")
    assert response.header("Content-Type") == "text/html; charset=utf-8"
    assert get(server, "/?query=1").body == response.body


@pytest.mark.parametrize("name, kind", [
    ("index.html", "text/html; charset=utf-8"), ("a.css", "text/css; charset=utf-8"), ("a.js", "text/javascript; charset=utf-8"),
    ("a.mjs", "text/javascript; charset=utf-8"), ("a.json", "application/json"), ("a.svg", "image/svg+xml"), ("a.png", "image/png"),
    ("a.txt", "text/plain; charset=utf-8"), ("a.wasm", "application/wasm"), ("a.unknown", "application/octet-stream"),
    ("noextension", "application/octet-stream"),
])
def test_content_types(server, name, kind):
    response = get(server, f"/{name}")
    assert (response.status, response.header("Content-Type")) == (200, kind)
    assert response.header("X-Content-Type-Options") == "nosniff"


def test_names_are_decoded(server):
    assert get(server, "/a%20b.txt").body == b"content of a b.txt"
    assert get(server, "/%C3%A9.txt").body == "content of é.txt".encode()


def test_etags(server):
    response = get(server, "/a.txt")
    tag = response.header("ETag")
    assert tag and tag.strip("W/").startswith('"')
    for condition in (tag, f'"other", {tag}', "*"):
        unchanged = get(server, "/a.txt", ("If-None-Match", condition))
        assert (unchanged.status, unchanged.body) == (304, b""), condition
        assert unchanged.header("ETag") == tag
    assert get(server, "/a.txt", ("If-None-Match", '"other"')).status == 200


def test_an_etag_changes_with_the_file(server, folder):
    (folder / "changing.txt").write_text("one")
    tag = get(server, "/changing.txt").header("ETag")
    (folder / "changing.txt").write_text("three")
    response = get(server, "/changing.txt", ("If-None-Match", tag))
    assert (response.status, response.body) == (200, b"three")


def test_head(server):
    response = get(server, "/a.txt", method="HEAD")
    assert (response.status, response.body, response.header("Content-Length")) == (200, b"", "16")


def test_other_methods(server):
    for method in ("POST", "PUT", "DELETE", "PATCH"):
        response = get(server, "/a.txt", method=method)
        assert (response.status, response.header("Allow")) == (405, "GET, HEAD")


def test_folders_are_not_listed(server):
    for target in ("/sub", "/sub/"):
        response = get(server, target)
        assert response.status in (301, 308, 403, 404) or response.body == b"sub index", response
        assert b"index.html" not in response.body


def test_a_large_file(server, folder):
    assert get(server, "/large.bin").body == (folder / "large.bin").read_bytes()


def test_several_on_one_connection(server):
    with Connection(server.port) as connection:
        for name in ("a.txt", "a.css", "large.bin", "nothing", "a.txt"):
            connection.send(request(f"/{name}", headers=[("Host", "h")]))
        assert [connection.response().status for _ in range(5)] == [200, 200, 200, 404, 200]


def test_the_client_package(server):
    response = get(server, "/client/main.js")
    assert (response.status, response.body) == (200, b"export {};")
    assert get(server, "/client/a.txt").status == 404
    assert get(server, "/client/../a.txt").status == 400
    assert get(server, "/client/").status in (403, 404)


def test_rooms_and_files_do_not_mix(server):
    assert get(server, "/ws/a.txt").status == 426
    assert get(server, "/status").body == b"ok"
