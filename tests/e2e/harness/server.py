"""The server under test, as a process: started, asked for what it uses, stopped."""

import contextlib
import json
import os
import pathlib
import queue
import re
import signal
import subprocess
import tempfile
import threading

from .wait import PATIENCE, until

# What a test is run on: the same service as a module and compiled in.
KINDS = os.environ.get("JAMSOCKET_KINDS", "module native").split()


# The same tests on a server that has given its rights away; modules only, which the command serves.
SANDBOX = ["--set", f"server.sandbox={os.environ['JAMSOCKET_SANDBOX']}"] if "JAMSOCKET_SANDBOX" in os.environ else []


def path_from_environment(name):
    value = os.environ.get(name)
    if not value:
        raise RuntimeError(f"{name} is not set: run these tests through ctest")
    return pathlib.Path(value)


def module_path(service):
    for folder in ("JAMSOCKET_MODULES", "JAMSOCKET_TEST_MODULES"):
        path = path_from_environment(folder) / f"{service}.wasm"
        if path.exists():
            return path
    raise RuntimeError(f"no module {service}.wasm")


def command_for(kind, service):
    if kind == "native":
        return [path_from_environment("JAMSOCKET_NATIVE_SERVER"), service]
    return [path_from_environment("JAMSOCKET_BIN"), "serve", module_path(service), *SANDBOX]


class Server:
    """A running server. A context manager: leaving it stops the server and checks how it ended."""

    def __init__(self, kind="module", service="echo", settings=None, arguments=None, environment=None, command=None,
                 sockets=(), log_to=None):
        """`sockets`: listening ones that it inherits, as systemd hands them over. `log_to`: where its log goes instead of
        a file that `log_text` reads."""
        values = {"server.port": 0, "server.log_format": "json", **(settings or {})}
        if command is None:
            command = command_for(kind, service)
            for key, value in values.items():
                command += ["--set", f"{key}={value}"]
            command += arguments or []
        clean = {name: value for name, value in os.environ.items() if name not in ("PORT", "HOST", "LOG_LEVEL")}
        self.log_file = tempfile.TemporaryFile()
        if sockets:
            # The process's number is known to itself alone: a shell says it and becomes the server.
            moves = " ".join(f"{3 + i}<&{listening.fileno()}" for i, listening in enumerate(sockets))
            command = ["bash", "-c", f'exec {moves}; LISTEN_PID=$$ LISTEN_FDS={len(sockets)} exec "$@"', "bash", *command]
        self.process = subprocess.Popen([str(part) for part in command], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                        stderr=self.log_file if log_to is None else log_to, env={**clean, **(environment or {})},
                                        pass_fds=[listening.fileno() for listening in sockets])
        self._lines = queue.Queue()
        threading.Thread(target=self._read_stdout, daemon=True).start()
        self.first_line = None
        try:
            self.first_line = self._lines.get(timeout=60 * PATIENCE)
        except queue.Empty:
            self.process.kill()
        match = re.fullmatch(r"listening on (?:https?://(\S+):(\d+)|unix:(\S+))\n", self.first_line or "")
        if not match:
            self.process.wait()
            raise AssertionError(f"the first line is {self.first_line!r}; the log:\n{self.log_text()}")
        self.host = match.group(1)
        self.port = int(match.group(2) or 0)
        self.path = match.group(3)

    def _read_stdout(self):
        for line in self.process.stdout:
            self._lines.put(line.decode())
        self._lines.put(None)

    def __enter__(self):
        return self

    def __exit__(self, kind, value, traceback):
        if kind is not None:
            self.process.kill()
            self.process.wait()
            print(f"the server's log:\n{self.log_text()[-4000:]}")
            return
        self.stop()

    @property
    def address(self):
        return ("127.0.0.1", self.port)

    # --- Ending -------------------------------------------------------------------------------------------------------

    def stop(self, number=signal.SIGTERM, seconds=40):
        """Ends it in an orderly way; fails if it does not end well."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.wait(seconds)

    def wait(self, seconds=40, expected=0):
        try:
            code = self.process.wait(timeout=seconds * PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError(f"did not end within {seconds} s; the log:\n{self.log_text()[-4000:]}") from None
        text = self.log_text()
        assert code == expected, f"exit code {code}; the log:\n{text[-4000:]}"
        for bad in ("AddressSanitizer", "ThreadSanitizer", "LeakSanitizer", "runtime error:"):
            assert bad not in text, text[-8000:]
        return code

    # --- What it says -------------------------------------------------------------------------------------------------

    def log_bytes(self):
        return os.pread(self.log_file.fileno(), os.fstat(self.log_file.fileno()).st_size, 0)

    def log_text(self):
        return self.log_bytes().decode(errors="replace")

    def log_lines(self, since=0):
        """The lines behind the first `since` bytes of the log; each must be one JSON object, and printable."""
        lines = []
        for line in self.log_bytes()[since:].decode().splitlines(keepends=True):
            if not line.endswith("\n"):
                break  # Still being written.
            assert all(ord(c) >= 0x20 and not 0x7F <= ord(c) <= 0x9F for c in line[:-1]), f"unprintable in {line!r}"
            lines.append(json.loads(line))
        return lines

    # --- What it uses -------------------------------------------------------------------------------------------------

    def _proc(self, name):
        return pathlib.Path(f"/proc/{self.process.pid}/{name}")

    def alive(self):
        return self.process.poll() is None

    def stopped(self):
        """Whether all of its threads stand still, by SIGSTOP."""
        states = [(entry / "stat").read_text().rsplit(")", 1)[1].split()[0] for entry in self._proc("task").iterdir()]
        return all(state == "T" for state in states)

    def memory(self):
        """Private memory in bytes."""
        for line in self._proc("status").read_text().splitlines():
            if line.startswith("RssAnon:"):
                return int(line.split()[1]) * 1024
        raise AssertionError("no RssAnon")

    def resident(self):
        """All of its memory in bytes, files that are mapped included."""
        for line in self._proc("status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * 1024
        raise AssertionError("no VmRSS")

    def peak_memory(self):
        for line in self._proc("status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
        raise AssertionError("no VmHWM")

    def descriptors(self):
        return len(os.listdir(self._proc("fd")))

    def sockets(self):
        """Open sockets, by the descriptors that are some."""
        count = 0
        for entry in os.listdir(self._proc("fd")):
            with contextlib.suppress(FileNotFoundError):
                count += os.readlink(self._proc("fd") / entry).startswith("socket:")
        return count

    def threads(self):
        return len(os.listdir(self._proc("task")))

    def mappings(self):
        return len(self._proc("maps").read_text().splitlines())

    def cpu_seconds(self):
        """Processor time used so far, of all threads."""
        fields = self._proc("stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def wait_for_descriptors(self, count, seconds=10):
        until(lambda: self.descriptors() <= count, seconds, lambda: f"{self.descriptors()} descriptors, expected {count}")
