"""serve and dev as processes: what they say, the port they take, how they end."""

import os
import pty
import re
import shutil
import signal
import socket
import subprocess
import threading
import time
import unittest
import urllib.error
import urllib.request

from command import COMMAND, DEADLINE, EXAMPLES, SOURCE, CommandTest, clean_environment, jamsocket

COUNTER = EXAMPLES / "counter.wasm"


class Running:
    """A started server; leaving it ends the process, whatever happened."""

    def __init__(self, *words, environment=None, folder=None):
        self.process = subprocess.Popen([COMMAND, *map(str, words)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE, text=True, cwd=folder,
                                        env=environment or clean_environment())
        self.errors = []
        self._reader = threading.Thread(target=lambda: self.errors.extend(self.process.stderr), daemon=True)
        self._reader.start()
        self._watchdog = threading.Timer(DEADLINE, self.process.kill)
        self._watchdog.start()
        self.first_line = self.process.stdout.readline()
        match = re.fullmatch(r"listening on http://([^/]+):(\d+)\n", self.first_line)
        self.port = int(match.group(2)) if match else None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._watchdog.cancel()
        self.process.kill()
        self.process.wait()
        self._reader.join()
        self.process.stdout.close()
        self.process.stderr.close()

    def end(self, number):
        self.process.send_signal(number)
        return self.process.wait(timeout=DEADLINE)


def get(port, path):
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=DEADLINE) as answer:
        return answer.status, answer.read()


def cpu_seconds(pid):
    with open(f"/proc/{pid}/stat") as file:
        fields = file.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def leb(number):
    last = number < 128
    return bytes([number]) if last else bytes([number % 128 + 128]) + leb(number // 128)


def read_leb(data, at):
    number = shift = 0
    while True:
        number |= (data[at] & 127) << shift
        at, shift = at + 1, shift + 7
        if data[at - 1] < 128:
            return number, at


def with_more_functions(module, count, stores):
    """The module with functions that nobody calls and that take long to compile."""
    store = b"\x41\x00" b"\x41\x04\x28\x02\x00" b"\x41\x07\x6c" b"\x36\x02\x00"  # memory[0] = memory[4] * 7
    body = b"\x00" + store * stores + b"\x00\x0b"  # Unreachable at its end: of any type.
    more = {3: b"\x00" * count, 10: (leb(len(body)) + body) * count}
    made, at = module[:8], 8
    while at < len(module):
        kind = module[at]
        size, at = read_leb(module, at + 1)
        section, at = module[at:at + size], at + size
        if kind in more:
            there, begin = read_leb(section, 0)
            section = leb(there + count) + section[begin:] + more[kind]
        made += bytes([kind]) + leb(len(section)) + section
    return made


def get_when_there(port, path):
    """As get, once the server has begun to listen."""
    until = time.monotonic() + DEADLINE
    while True:
        try:
            return get(port, path)
        except urllib.error.URLError:
            if time.monotonic() > until:
                raise
            time.sleep(0.02)


def post(port, path):
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", method="POST")
    try:
        with urllib.request.urlopen(request, timeout=DEADLINE) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()


@unittest.skipUnless(COUNTER.exists(), "the examples are not built")
class Serve(CommandTest):
    def environment(self, **changes):
        return clean_environment(XDG_CACHE_HOME=str(self.folder / "cache"), **changes)

    def test_serves_the_services_of_a_file(self):
        file = self.folder / "jamsocket.toml"
        file.write_text(f'[services.one]\nmodule = "{COUNTER}"\n[services.two]\nmodule = "{EXAMPLES / "echo.wasm"}"\n'
                        'room_strategy = "api"\n')
        with Running("serve", "--port", "0", "--config", file, environment=self.environment()) as server:
            self.assertEqual(post(server.port, "/new_room/one")[0], 200)
            self.assertEqual(post(server.port, "/ws/two/x"), (200, b"x"))
            self.assertEqual(post(server.port, "/ws/two/x")[0], 409)
            self.assertEqual(post(server.port, "/new_room/two")[0], 400)
            self.assertEqual(post(server.port, "/ws/three/x")[0], 404)
            self.assertEqual(server.end(signal.SIGTERM), 0)

    def test_a_list_may_be_one_flag_or_several(self):
        for words in (["--listen", "127.0.0.2:0,127.0.0.1:0"], ["--listen", "127.0.0.2:0", "--listen", "127.0.0.1:0"]):
            with Running("serve", COUNTER, *words, environment=self.environment()) as server:
                self.assertRegex(server.first_line, r"^listening on http://127\.0\.0\.2:\d+\n$")
                self.assertRegex(server.process.stdout.readline(), r"^listening on http://127\.0\.0\.1:\d+\n$")
                self.assertEqual(server.end(signal.SIGTERM), 0)

    def test_a_service_whose_module_is_wrong_is_named(self):
        file = self.folder / "jamsocket.toml"
        file.write_text('[services.one]\nmodule = "none.wasm"\n')
        ended = jamsocket("serve", "--port", "0", "--config", file, environment=self.environment())
        self.assertEqual(ended.returncode, 1)
        self.assertIn("service one: ", ended.stderr)
        self.assertIn("none.wasm", ended.stderr)

    def test_says_where_serves_and_ends_at_a_signal(self):
        for number in (signal.SIGTERM, signal.SIGINT):
            with Running("serve", COUNTER, "-p", "0", environment=self.environment()) as server:
                self.assertIsNotNone(server.port, server.first_line)
                self.assertEqual(get(server.port, "/status"), (200, b"ok"))
                self.assertEqual(server.end(number), 0)

    def test_the_compiled_module_is_kept_in_the_users_cache(self):
        with Running("serve", COUNTER, "-p", "0", environment=self.environment()) as server:
            self.assertIsNotNone(server.port)
        cache = self.folder / "cache" / "jamsocket" / "modules"
        self.assertEqual(len(list(cache.iterdir())), 1)
        self.assertEqual(cache.stat().st_mode & 0o077, 0)

    def test_a_taken_port_is_said_plainly(self):
        with Running("serve", COUNTER, "-p", "0", environment=self.environment()) as server:
            ended = jamsocket("serve", COUNTER, "--port", server.port, environment=self.environment())
            self.assertEqual((ended.returncode, ended.stdout), (1, ""))
            self.assertTrue(ended.stderr.startswith(f"jamsocket: port {server.port} on 127.0.0.1 is taken"), ended.stderr)
            self.assertEqual(ended.stderr.count("\n"), 1)

    def test_logs_are_json_lines_away_from_a_terminal(self):
        with Running("serve", COUNTER, "-p", "0", environment=self.environment()) as server:
            server.end(signal.SIGTERM)
            server._reader.join()
            self.assertTrue(server.errors and all(line.startswith('{"time":"') for line in server.errors), server.errors)
        with Running("serve", COUNTER, "-p", "0", "--log-format", "text", environment=self.environment()) as server:
            server.end(signal.SIGTERM)
            server._reader.join()
            self.assertTrue(server.errors and all(re.match(r"\d\d:\d\d:\d\d\.\d\d\d \w+ ", line) for line in server.errors))

    def test_nobody_needs_to_read_where_it_listens(self):
        with Running("serve", COUNTER, "-p", "0", environment=self.environment()) as server:
            port = server.port
            self.assertEqual(server.end(signal.SIGTERM), 0)
        with open("/dev/full", "w") as full:
            process = subprocess.Popen([COMMAND, "serve", COUNTER, "-p", str(port)], stdout=full,
                                       stderr=subprocess.DEVNULL, env=self.environment())
            try:
                self.assertEqual(get_when_there(port, "/status"), (200, b"ok"))
                process.terminate()
                self.assertEqual(process.wait(timeout=DEADLINE), 0)
            finally:
                process.kill()
                process.wait()

    def test_a_signal_ends_it_while_a_module_is_compiled(self):
        module = self.write("slow.wasm", with_more_functions(COUNTER.read_bytes(), 3000, 400))
        for number in (signal.SIGINT, signal.SIGTERM):
            with subprocess.Popen([COMMAND, "serve", module, "-p", "0"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                                  env=self.environment()) as process:
                until = time.monotonic() + DEADLINE
                while cpu_seconds(process.pid) < 0.3 and time.monotonic() < until:
                    time.sleep(0.01)
                process.send_signal(number)
                said, _ = process.communicate(timeout=DEADLINE)
            self.assertEqual((process.returncode, said), (0, b""))

    def test_it_ends_with_the_terminal_that_it_was_started_from(self):
        pid, terminal = pty.fork()
        if pid == 0:
            os.execve(COMMAND, ["jamsocket", "serve", str(COUNTER), "-p", "0"], self.environment())
        watchdog = threading.Timer(DEADLINE, os.kill, (pid, signal.SIGKILL))
        watchdog.start()
        try:
            said = b""
            while not (place := re.search(rb"listening on http://127\.0\.0\.1:(\d+)\r\n", said)):
                said += os.read(terminal, 4096)
            os.kill(pid, signal.SIGHUP)  # Somebody asks for a reload.
            while b"server.reloaded" not in said:
                said += os.read(terminal, 4096)
            port = int(place.group(1))
            self.assertEqual(get(port, "/status"), (200, b"ok"))
            client = socket.create_connection(("127.0.0.1", port), DEADLINE)
            client.sendall(b"GET /ws/r HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                           b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
            self.assertTrue(client.recv(4096).startswith(b"HTTP/1.1 101 "))
        finally:
            os.close(terminal)  # The window is closed.
        self.assertTrue(client.recv(4096).startswith(b"\x88"))
        os.kill(pid, signal.SIGHUP)  # By the shell, besides the kernel: the client is still waited for.
        client.settimeout(0.5)
        with self.assertRaises(TimeoutError):
            client.recv(1)
        client.close()
        ended = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        watchdog.cancel()
        self.assertEqual(ended, 0)

    def test_open_files_are_raised_to_the_hard_limit(self):
        import resource
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        with Running("serve", COUNTER, "-p", "0", environment=self.environment()) as server:
            self.assertIsNotNone(server.port)
            limits = resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE)
            self.assertEqual(limits, (hard, hard))

    def test_a_module_named_in_the_file_is_served_with_its_settings(self):
        shutil.copy(COUNTER, self.folder / "it.wasm")
        self.write("public/index.html", "hello")
        self.write("pkg/client.js", "// client")
        path = self.write("jamsocket.toml", 'static_files = "public"\n[server]\nport = 0\n[service]\nmodule = "it.wasm"\n'
                                            '[client]\npackage = "pkg"\n')
        for words in (["serve", "--config", path], ["dev", self.folder]):
            with Running(*words, environment=self.environment()) as server:
                self.assertIsNotNone(server.port, server.first_line)
                self.assertEqual(get(server.port, "/"), (200, b"hello"))
                self.assertEqual(get(server.port, "/client/client.js"), (200, b"// client"))
                self.assertEqual(server.end(signal.SIGTERM), 0)

    def said_by_dev(self, *words):
        """What it says between where it listens and its last line, without the port."""
        with Running("dev", self.folder, *words, environment=self.environment()) as server:
            said = [server.first_line]
            while not said[-1].startswith("  after a change"):
                said.append(server.process.stdout.readline())
            self.assertEqual(server.end(signal.SIGINT), 0)
        return [" ".join(line.replace(f":{server.port}", ":PORT").split()) for line in said[1:-1]]

    def test_dev_serves_a_folder_that_has_nothing_but_services(self):
        shutil.copy(COUNTER, self.folder / "it.wasm")
        page = self.write("two/index.html", "the page")
        self.write("jamsocket.toml", '[services.one]\nmodule = "it.wasm"\n[services.two]\nmodule = "it.wasm"\n'
                                     'static_files = "two"\n')
        kept = f"kept: {self.folder}/.jamsocket/data; when the service has changed, rooms begin afresh"
        services = ["rooms: ws://localhost:PORT/ws/one/ROOM", "rooms: ws://localhost:PORT/ws/two/ROOM"]
        rest = ["status: http://localhost:PORT/status", kept]
        self.assertEqual(self.said_by_dev("-p", "0"), ["page: http://localhost:PORT/two/", *services, *rest])
        page.unlink()
        self.assertEqual(self.said_by_dev("-p", "0")[0], f"page: http://localhost:PORT/two/ (there is no {page} yet)")
        # What builds modules has none to build here; and with two sources it is not clear which.
        self.assertEqual(jamsocket("build", self.folder).returncode, 1)
        self.write("a.cpp", "")
        self.write("b.cpp", "")
        ended = jamsocket("dev", self.folder, "-p", "0", environment=self.environment())
        self.assertEqual((ended.returncode, ended.stdout), (1, ""))
        self.assertIn("has 2 C++ or Rust sources", ended.stderr)

    def test_what_dev_makes_is_in_nobodys_repository(self):
        shutil.copy(COUNTER, self.folder / "it.wasm")
        self.write("jamsocket.toml", '[service]\nmodule = "it.wasm"\n')
        self.said_by_dev("-p", "0")
        self.assertEqual((self.folder / ".jamsocket" / ".gitignore").read_text(), "*\n")
        (self.folder / ".jamsocket" / ".gitignore").write_text("")
        self.said_by_dev("-p", "0")
        self.assertEqual((self.folder / ".jamsocket" / ".gitignore").read_text(), "", "somebody wants it otherwise")
        shutil.rmtree(self.folder / ".jamsocket")
        self.said_by_dev("-p", "0", "--durability", "none")
        self.assertFalse((self.folder / ".jamsocket").exists())

    def test_dev_says_why_no_certificate_can_be_made(self):
        shutil.copy(COUNTER, self.folder / "it.wasm")
        self.write("jamsocket.toml", '[service]\nmodule = "it.wasm"\ndurability = "none"\n')
        place = self.write(".jamsocket", "a file")
        self.refused(["dev", self.folder, "--tls", "-p", "0"], 1,
                     f"jamsocket: {place}/tls-key.pem cannot be written: Not a directory\n", environment=self.environment())

    def test_dev_names_addresses_that_a_browser_can_open(self):
        shutil.copy(COUNTER, self.folder / "it.wasm")
        self.write("jamsocket.toml", '[service]\nmodule = "it.wasm"\ndurability = "none"\n')
        for words, host in [(["--host", "127.0.0.2", "-p", "0"], "127.0.0.2"), (["--listen", "127.0.0.2:0"], "127.0.0.2"),
                            (["--host", "0.0.0.0", "-p", "0"], "localhost")]:
            self.assertEqual(self.said_by_dev(*words),
                             [f"rooms: ws://{host}:PORT/ws/ROOM", f"status: http://{host}:PORT/status"])
        with subprocess.Popen([COMMAND, "dev", self.folder, "--listen", f"unix:{self.folder}/s"], text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=self.environment()) as process:
            said = [process.stdout.readline(), process.stdout.readline()]
            process.terminate()
        self.assertEqual(said[0], f"listening on unix:{self.folder}/s\n")
        self.assertTrue(said[1].startswith("  after a change"), said)

    @unittest.skipUnless(shutil.which("clang++-19"), "clang++-19 is not installed")
    def test_dev_builds_serves_and_says_where_the_page_is(self):
        counter = self.folder / "counter"
        shutil.copytree(SOURCE / "examples" / "counter", counter, ignore=shutil.ignore_patterns(".jamsocket"))
        with Running("dev", "-p", "0", folder=counter, environment=self.environment()) as server:
            self.assertIsNotNone(server.port, server.first_line)
            self.assertEqual(server.process.stdout.readline().split(), ["page:", f"http://localhost:{server.port}/"])
            self.assertEqual(server.process.stdout.readline().split(), ["rooms:", f"ws://localhost:{server.port}/ws/ROOM"])
            self.assertEqual(get(server.port, "/")[1], (counter / "static" / "index.html").read_bytes())
            self.assertEqual(server.end(signal.SIGINT), 0)


if __name__ == "__main__":
    unittest.main()
