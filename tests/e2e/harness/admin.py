"""The second listener, asked as an operator's tools ask it."""

import re
import urllib.request

from harness.wait import until


def admin_port(server):
    def named():
        return next((line["port"] for line in server.log_lines() if line.get("event") == "admin.listening"), None)
    return until(named, 10, "the log names no admin port")


def ask(port, path, method="GET", body=None):
    """@return status, text"""
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", method=method, data=body)
    with urllib.request.urlopen(request, timeout=20) as answer:
        return answer.status, answer.read().decode()


def metric(server, name):
    """Of all shards together."""
    text = ask(admin_port(server), "/metrics")[1]
    values = re.findall(rf"^jamsocket_{re.escape(name)}(?:{{.*}})? (\S+)$", text, re.MULTILINE)
    assert values, f"there is no metric {name}"
    return sum(float(value) for value in values)


def limit_hits(server, limit):
    """How often the limit of this key was met, all shards together."""
    return metric(server, f'limits_hit_total{{limit="{limit}"}}')
