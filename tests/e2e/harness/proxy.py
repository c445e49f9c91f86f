"""HAProxy and nginx in front of a server, as processes: Debian's, with a configuration of a few lines."""

import contextlib
import os
import pathlib
import shutil
import socket
import subprocess
import tempfile

import pytest

from .wait import PATIENCE, until


def need(program):
    if shutil.which(program) is None:
        assert not os.environ.get("CI"), f"{program} is missing: tools/setup.sh test"
        pytest.skip(f"{program} is missing: run tools/setup.sh test")


class Proxy:
    """A context manager: `port` answers once it is entered."""

    program = ""

    def __init__(self, context=None):
        """`context`: of Python's ssl, where the port speaks TLS."""
        need(self.program)
        self.context = context
        # Bound before the proxy starts, so that no other test takes the port.
        self.listening = socket.socket()
        self.listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        self.listening.bind(("127.0.0.1", 0))
        self.port = self.listening.getsockname()[1]
        self.folder = tempfile.TemporaryDirectory(prefix="jamsocket-proxy-")
        self.log = tempfile.TemporaryFile()
        self.process = None

    def write(self, name, text):
        path = pathlib.Path(self.folder.name) / name
        path.write_text(text)
        return path

    def start(self, command):
        self.process = subprocess.Popen([str(part) for part in command], stdin=subprocess.DEVNULL, stdout=self.log,
                                        stderr=self.log, pass_fds=[self.listening.fileno()])

    def log_text(self):
        return os.pread(self.log.fileno(), 1 << 20, 0).decode(errors="replace")

    def __enter__(self):
        until(self.answers, 20, self.log_text)
        return self

    def answers(self):
        assert self.process.poll() is None, self.log_text()
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1) as probe:
            probe.settimeout(1)
            if self.context is not None:
                probe = self.context.wrap_socket(probe, server_hostname="localhost")
            probe.sendall(b"GET /status HTTP/1.0\r\nHost: a\r\n\r\n")
            return probe.recv(12)[9:12] == b"200"
        return False

    def __exit__(self, kind, value, traceback):
        if kind is not None:
            print(f"the proxy's log:\n{self.log_text()[-4000:]}")
        self.process.terminate()
        try:
            self.process.wait(10 * PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.listening.close()
        self.folder.cleanup()


class HaProxy(Proxy):
    """`backend`: an address; `options`: of its server line, like "send-proxy-v2". `certificate` and `key`: it ends TLS
    itself. `context`: for clients, where it or the server behind it speaks TLS."""

    program = "haproxy"

    def __init__(self, backend, options="", mode="http", certificate=None, key=None, context=None):
        super().__init__(context)
        self.listening.listen(128)
        ends_tls = ""
        if certificate is not None:
            ends_tls = f"ssl crt {self.write('both.pem', certificate.read_text() + key.read_text())} alpn http/1.1"
        path = self.write("haproxy.cfg", f"""
global
  maxconn 200
defaults
  mode {mode}
  timeout connect 10s
  timeout client 60s
  timeout server 60s
  timeout tunnel 60s
frontend front
  bind fd@{self.listening.fileno()} {ends_tls}
  unique-id-format %{{+X}}o%ci:%cp_%fi:%fp_%Ts_%rt:%pid
  {"option forwardfor" if mode == "http" else ""}
  default_backend rooms
backend rooms
  server one {backend} {options}
""")
        self.start(["haproxy", "-db", "-f", path])


class Nginx(Proxy):
    """`backend`: as proxy_pass has it, "http://127.0.0.1:8080" or "http://unix:/path"."""

    program = "nginx"

    def __init__(self, backend, headers=("X-Forwarded-For $proxy_add_x_forwarded_for",)):
        super().__init__()
        lines = "\n".join(f"      proxy_set_header {header};" for header in headers)
        path = self.write("nginx.conf", f"""
daemon off;
master_process off;
pid {self.folder.name}/nginx.pid;
error_log stderr;
events {{ worker_connections 200; }}
http {{
  access_log off;
  client_body_temp_path {self.folder.name}/body;
  proxy_temp_path {self.folder.name}/proxy;
  fastcgi_temp_path {self.folder.name}/fastcgi;
  uwsgi_temp_path {self.folder.name}/uwsgi;
  scgi_temp_path {self.folder.name}/scgi;
  map $http_upgrade $connection_upgrade {{ default upgrade; '' close; }}
  server {{
    listen 127.0.0.1:{self.port} reuseport;
    location / {{
      proxy_pass {backend};
      proxy_http_version 1.1;
      proxy_set_header Host $http_host;
      proxy_set_header Upgrade $http_upgrade;
      proxy_set_header Connection $connection_upgrade;
      proxy_read_timeout 60s;
{lines}
    }}
  }}
}}
""")
        self.start(["nginx", "-e", "stderr", "-p", self.folder.name, "-c", path])
