"""A headless Chromium, driven over its DevTools protocol."""

import contextlib
import json
import pathlib
import shutil
import subprocess
import tempfile

from websockets.sync.client import connect

from .wait import PATIENCE, until


def find_chromium():
    return next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


class Page:
    """One window."""

    def __init__(self, browser, session):
        self._browser = browser
        self._session = session

    def evaluate(self, expression):
        """The value of a JavaScript expression, awaited if it is a promise."""
        answer = self._browser.call("Runtime.evaluate", {"expression": expression, "returnByValue": True, "awaitPromise": True}, self._session)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def text(self, selector):
        return self.evaluate(f"document.querySelector({json.dumps(selector)})?.textContent")

    def click(self, selector):
        self.evaluate(f"document.querySelector({json.dumps(selector)}).click()")

    def wait_for_text(self, selector, text):
        until(lambda: self.text(selector) == text, 20, lambda: f"{selector} is {self.text(selector)!r}, not {text!r}")


class Browser:
    def __init__(self, trusted_key=None, names=()):
        """`trusted_key`: of a certificate that nobody vouches for, harness.tls.public_key_hash. `names`: of hosts that are this
        machine, as a stranger's name server may say."""
        pointing = [f"--host-resolver-rules={','.join(f'MAP {name} 127.0.0.1' for name in names)}"] if names else []
        trusting = [f"--ignore-certificate-errors-spki-list={trusted_key}"] if trusted_key else []
        self._folder = tempfile.mkdtemp(prefix="jamsocket-chromium-")
        self._process = subprocess.Popen(
            [find_chromium(), "--headless=new", "--remote-debugging-port=0", f"--user-data-dir={self._folder}", "--no-sandbox",
             "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run", "--disable-extensions", "--disable-background-networking",
             "--disable-component-update", "--disable-sync", *trusting, *pointing, "about:blank"],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        port_file = pathlib.Path(self._folder) / "DevToolsActivePort"

        def address():
            with contextlib.suppress(FileNotFoundError):
                lines = port_file.read_text().splitlines()
                return lines if len(lines) == 2 else None

        port, path = until(address, 60, "Chromium did not start")
        self._stack = contextlib.ExitStack()
        self._socket = self._stack.enter_context(connect(f"ws://127.0.0.1:{port}{path}", max_size=None, compression=None))
        self._number = 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        with contextlib.suppress(Exception):
            self.call("Browser.close", {})
        with contextlib.suppress(Exception):
            self._stack.close()
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        shutil.rmtree(self._folder, ignore_errors=True)

    def call(self, method, parameters, session=None):
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        if session:
            message["sessionId"] = session
        self._socket.send(json.dumps(message))
        while True:
            answer = json.loads(self._socket.recv(timeout=60 * PATIENCE))
            if answer.get("id") == self._number:
                assert "error" not in answer, answer
                return answer["result"]

    def open(self, address):
        """A window of its own."""
        target = self.call("Target.createTarget", {"url": address, "newWindow": True})["targetId"]
        return Page(self, self.call("Target.attachToTarget", {"targetId": target, "flatten": True})["sessionId"])
