"""The pages of the examples in a browser: two windows share the counter, a chat, and a page that comes back by itself."""

import itertools
import os
import tempfile

import pytest

from harness.admin import admin_port, ask, metric
from harness.browser import Browser, find_chromium
from harness.server import KINDS, Server, path_from_environment
from harness.tls import make_certificate, public_key_hash
from harness.tls import settings as tls_settings
from harness.wait import until
from harness.wire import Connection


@pytest.fixture(scope="module")
def browser():
    if find_chromium() is None:
        assert not os.environ.get("CI"), "chromium is missing: tools/setup.sh test"
        pytest.skip("chromium is missing: run tools/setup.sh test")
    with Browser() as browser:
        yield browser


def serving(kind, example, **settings):
    return Server(kind, example, {"static_files": path_from_environment("JAMSOCKET_EXAMPLES") / example / "static", **settings})


@pytest.mark.parametrize("kind", KINDS)
def test_two_windows_share_the_counter(browser, kind):
    with serving(kind, "counter") as server:
        address = f"http://127.0.0.1:{server.port}/"
        first, second = browser.open(address), browser.open(address)
        for page in (first, second):
            page.wait_for_text("#status", "Connected")
            page.wait_for_text("#value", "0")
        first.click("#increment")
        for page in (first, second):
            page.wait_for_text("#value", "1")
        second.click("#increment")
        second.click("#increment")
        second.click("#decrement")
        for page in (first, second):
            page.wait_for_text("#value", "2")

        # What a person types into the console.
        said = first.evaluate(f"""new Promise((resolve) => {{
          const ws = new WebSocket('ws://127.0.0.1:{server.port}/ws/1');
          ws.onopen = () => ws.send('increment');
          ws.onmessage = (event) => {{ ws.onclose = (end) => resolve([event.data, end.code, end.wasClean]); ws.close(1000, 'bye'); }};
        }})""")
        assert said == ["new value: 3", 1000, True]
        for page in (first, second):
            page.wait_for_text("#value", "3")

        # A name in the address is another room.
        third = browser.open(address + "?room=other%20room")
        third.wait_for_text("#value", "0")
        third.wait_for_text("#room", "other room")


def to_paste(page_of_repository):
    """What a page of this repository says to type into a browser's console."""
    lines = (path_from_environment("JAMSOCKET_EXAMPLES").parent / page_of_repository).read_text().splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith("    const ws = new WebSocket("))
    return "\n".join(itertools.takewhile(lambda line: line.startswith("    "), lines[start:]))


@pytest.mark.parametrize("page_of_repository, service, said", [
    ("README.md", "counter", ["new value: 1"]),
    ("examples/counter/README.md", "counter", ["new value: 1"]),
    ("examples/echo/README.md", "echo", ["hello", "[object Blob]"]),
    ("examples/cpu_hog/README.md", "cpu_hog", ["1011"]),
    ("examples/randomness/README.md", "randomness", ["rolled"]),
    ("examples/native_server/README.md", "native", ["teapot: 0", "teapot: 10"]),
])
def test_what_the_pages_say_to_type_may_be_pasted_at_once(browser, page_of_repository, service, said):
    options = {}
    if service == "native":
        options = {"command": [path_from_environment("JAMSOCKET_NATIVE_EXAMPLE")], "environment": {"PORT": "0"}}
    with Server("module", service, **options) as server:
        page = browser.open(f"http://localhost:{server.port}/status")
        until(lambda: page.text("body") == "ok", 20, "the page is not there")
        page.evaluate("window.said = []; console.log = (what) => said.push(String(what)); 0")
        page.evaluate(to_paste(page_of_repository).replace("localhost:8080", f"localhost:{server.port}") + "\n0")
        until(lambda: len(page.evaluate("said")) == len(said), 20, lambda: page.evaluate("said"))
        assert [what.split()[0] if service == "randomness" else what for what in page.evaluate("said")] == said


@pytest.mark.parametrize("mode", ["message", "context"])
def test_a_browser_compresses(browser, mode):
    """RFC 7692: it offers, agrees, and what comes back is what was sent, one message behind the other."""
    pages = path_from_environment("JAMSOCKET_EXAMPLES") / "counter" / "static"
    settings = {"static_files": pages, "server.compression": mode, "limits.message_bytes_max": "2MiB", "admin.port": 0}
    with Server("module", "echo", settings) as server:
        page = browser.open(f"http://127.0.0.1:{server.port}/")
        page.wait_for_text("#status", "Connected")
        said = page.evaluate(f"""new Promise((resolve) => {{
          const ws = new WebSocket('ws://127.0.0.1:{server.port}/ws/1');
          const sizes = [0, 1, 511, 512, 513, 5000, 70000, 1000000];
          const texts = sizes.concat(sizes).map((size, number) => `${{number % 10}} and the same words again `.repeat(size / 20 + 1).slice(0, size));
          let heard = 0;
          ws.onopen = () => texts.forEach((text) => ws.send(text));
          ws.onmessage = (event) => {{
            if (event.data !== texts[heard++]) resolve(['another text', heard]);
            if (heard === texts.length) ws.close(1000);
          }};
          ws.onclose = (end) => resolve([ws.extensions.split(';')[0], heard, end.code, end.wasClean]);
        }})""")
        assert said == ["permessage-deflate", 16, 1000, True]
        assert metric(server, "messages_deflated_total") >= 10


def test_a_page_comes_back_after_a_restart(browser):
    with serving("module", "counter") as server:
        page = browser.open(f"http://127.0.0.1:{server.port}/")
        page.wait_for_text("#status", "Connected")
        page.click("#increment")
        page.wait_for_text("#value", "1")
        server.stop()
        page.wait_for_text("#status", "Disconnected, trying again…")
        assert page.evaluate("document.querySelector('#increment').disabled") is True
        with serving("module", "counter", **{"server.port": server.port}):
            page.wait_for_text("#status", "Connected")
            page.wait_for_text("#value", "0")


def test_the_chat(browser):
    with serving("module", "chat") as server:
        page = browser.open(f"http://127.0.0.1:{server.port}/")
        page.wait_for_text("#status", "Who are you?")
        page.evaluate("document.querySelector('#name').value = 'Ada'; document.querySelector('#join').requestSubmit()")
        page.wait_for_text("#status", "Connected")
        page.wait_for_text("#lines li:last-child", "you are Ada; here: nobody else")
        with Connection(server.port).upgrade("/ws/lobby?name=Bob") as bob:
            bob.expect_text("you are Bob; here: Ada")
            page.wait_for_text("#lines li:last-child", "Bob joined")
            page.evaluate("document.querySelector('#text').value = '<b>hi</b>'; document.querySelector('#say').requestSubmit()")
            bob.expect_text("Ada: <b>hi</b>")
            page.wait_for_text("#lines li:last-child", "Ada: <b>hi</b>")
            assert page.evaluate("document.querySelectorAll('#lines li:last-child b').length") == 1, "text became markup"
            bob.leave()
        page.wait_for_text("#lines li:last-child", "Bob left")


def test_the_clock_ticks(browser):
    with serving("module", "clock") as server:
        page = browser.open(f"http://127.0.0.1:{server.port}/")
        page.wait_for_text("#status", "Connected")
        ticks = page.evaluate("""new Promise((resolve) => {
          const seen = [];
          const time = document.querySelector('#time');
          new MutationObserver(() => { seen.push(time.textContent); if (seen.length === 2) resolve(seen); }).observe(time, {childList: true});
        })""")
        assert ticks[0] != ticks[1] and all(tick.endswith(" UTC") for tick in ticks)


@pytest.mark.usefixtures("browser")
def test_the_page_over_tls():
    """The certificate is nobody's: the browser is told which key to trust."""
    with tempfile.TemporaryDirectory() as folder:
        certificate, key = make_certificate(folder)
        with Browser(public_key_hash(certificate)) as trusting, serving("module", "counter", **tls_settings(certificate, key)) as server:
            page = trusting.open(f"https://localhost:{server.port}/")
            page.wait_for_text("#status", "Connected")
            page.click("#increment")
            page.wait_for_text("#value", "1")
            said = page.evaluate(f"""new Promise((resolve) => {{
              const ws = new WebSocket('wss://localhost:{server.port}/ws/1');
              ws.onopen = () => ws.send('increment');
              ws.onmessage = (event) => {{ ws.onclose = (end) => resolve([event.data, end.code]); ws.close(1000); }};
            }})""")
            assert said == ["new value: 2", 1000]


def test_a_page_cannot_operate_the_server():
    """A-11: a page that a stranger wrote, in the operator's browser; by the address, and by a name that points at it."""
    if find_chromium() is None:
        pytest.skip("chromium is missing: run tools/setup.sh test")
    evil = "evil.example"
    with serving("module", "counter", **{"admin.port": 0}) as server, Browser(names=[evil]) as browser:
        port = admin_port(server)
        page = browser.open(f"http://{evil}:{server.port}/")
        page.wait_for_text("#value", "0")  # Without auth.hosts the public port answers to any name.
        sent = """(async (address) => {
          const tried = [];
          for (const [method, path] of [['POST', '/admin/drain'], ['DELETE', '/admin/rooms/main'], ['PUT', '/admin/log-level'], ['GET', '/metrics']]) {
            for (const mode of ['cors', 'no-cors']) {
              try {
                const answer = await fetch(address + path, {method, mode, body: method === 'PUT' ? '{"level":"off"}' : undefined});
                tried.push([method, mode, answer.type, answer.status, await answer.text()]);
              } catch (refused) {
                tried.push([method, mode, 'refused', 0, '']);
              }
            }
          }
          return tried;
        })"""
        for address in (f"http://127.0.0.1:{port}", f"http://{evil}:{port}"):
            for method, mode, kind, status, text in page.evaluate(f"{sent}('{address}')"):
                assert status == 0 and text == "", (address, method, mode, kind, status, text)
        # The name as the page's own host: to the browser that is the same origin, and it may read the answer.
        rebound = browser.open(f"http://{evil}:{port}/admin/rooms")
        until(lambda: "for operators" in (rebound.text("body") or ""), 20, "no answer")
        for method, mode, kind, status, text in rebound.evaluate(f"{sent}('')"):
            assert status in (0, 403), (method, mode, kind, status, text)
        page.wait_for_text("#status", "Connected")
        assert ask(port, "/health")[0] == 200 and ask(port, "/admin/log-level")[1] == '{"level":"info"}\n'
