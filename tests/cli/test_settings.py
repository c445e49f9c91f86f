"""jamsocket.toml, flags and the environment, and the pages made of the table of settings."""

import os
import unittest

from command import SOURCE, CommandTest, clean_environment, jamsocket

PORT_ALLOWED = "0 to 65535, a whole number"

# What is in the file, and the end of the one line that is said of it.
BAD_FILES = [
    ("[server]\nprot = 1", ":2:1: unknown key 'prot' in [server]; did you mean 'port'?"),
    ("[sever]\n", ":1:2: unknown section [sever]; did you mean [server]?"),
    ("[server]\nport = 1\nport = 1", ":3:8: server.port is set twice; allowed: once"),
    ("[server]\nport = -1", f":2:8: server.port is -1; allowed: {PORT_ALLOWED}"),
    ("[server]\nport = 65536", f":2:8: server.port is 65536; allowed: {PORT_ALLOWED}"),
    ("[server]\nport = 1e9", f":2:8: server.port is a number with a fraction or an exponent; allowed: {PORT_ALLOWED}"),
    ("[server]\nport = 18446744073709551616",
     ":2:28: Error while parsing decimal integer: '18446744073709551616' is not representable in 64 bits; allowed for "
     f"server.port: {PORT_ALLOWED}"),
    ('[service]\nshutdown_policy = "10 s"',
     ":2:19: service.shutdown_policy is '10 s'; allowed: never, immediate, or <n>sec with a whole number n, like 300sec"),
    ('[server]\ndrain_timeout_seconds = "5m"',
     ":2:25: server.drain_timeout_seconds is the text '5m'; allowed: 0 to 86400, a whole number of seconds"),
    ('[limits]\nmessage_bytes_max = "5 MiB"', ":2:21: limits.message_bytes_max is '5 MiB'; allowed: 1B to 1GiB, a whole "
     'number of bytes or a text like "64KiB"'),
    ('[limits]\nmessage_bytes_max = "5MB"', ":2:21: limits.message_bytes_max is '5MB'; allowed: 1B to 1GiB, a whole number "
     'of bytes or a text like "64KiB"'),
    ('[server]\nlisten = ["127.0.0.1"]', ":2:10: server.listen has '127.0.0.1'; allowed: a list of HOST:PORT, [IPV6]:PORT or "
     "unix:/PATH"),
    ('[server]\nunix_mode = "0888"', ":2:13: server.unix_mode is '0888'; allowed: an octal number from 0600 to 0777"),
    ('[proxies]\ntrusted = ["10.0.0.1/8"]', ":2:11: proxies.trusted has '10.0.0.1/8'; allowed: a list of IP addresses, "
     "networks like 10.0.0.0/8, or unix for all that come by a unix-domain socket"),
    ('[proxies]\nprotocol = "required"', ":2:12: no proxy is trusted to say so; allowed: with proxies.trusted besides"),
    ('[proxies]\ntrusted = ["unix"]\nprotocol = "required"\nheader = "forwarded"',
     ':4:10: proxies.header is forwarded besides protocol = "required"; allowed: one of the two'),
    ('[limits]\nmemory_high_bytes = "2GiB"\nmemory_critical_bytes = "1GiB"',
     ":3:25: limits.memory_critical_bytes is 1073741824; allowed: 0, or not less than memory_high_bytes, which is 2147483648"),
    ('[limits]\nclient_bytes_per_second_max = 100',
     ":2:31: limits.client_bytes_per_second_max is 100; allowed: 0, or 1KiB and more"),
    ('[admin]\nport = 0\nhost = "0.0.0.0"', ":3:8: admin.host is 0.0.0.0, which others can reach; allowed: an address of this "
     "machine only, like 127.0.0.1, or a token_file besides"),
    ('[limits]\nback_off_first_ms = 60001', ":2:21: limits.back_off_most_ms is 60000; allowed: not less than back_off_first_ms, which is "
     "60001"),
    ('[tls]\ncert = "server.pem"', ":2:8: tls.cert is set but tls.key is not; allowed: both, or neither"),
    ('[auth]\ntokens = "required"', ":2:10: auth: tokens is required and there are no keys to check them with; allowed: token_keys besides"),
    ('[auth]\ntokens = "required"\ntoken_keys = "keys"\ntoken_carriers = []', ":2:10: auth: tokens is required and token_carriers is "
     "empty, so that nobody can bring one; allowed: one or more"),
    ('[services.chat]\nmodule = "chat.wasm"\ntokens = "optional"', ":1:11: services.chat: tokens is optional and there are no keys to "
     "check them with; allowed: token_keys besides"),
    ('[server]\nlisten = ["[::]:80", "127.0.0.1:81", "[::]:80"]', ":2:10: server.listen has '[::]:80' twice; allowed: each place once"),
    ('[server]\nport = 9090\n[admin]\nport = 9090', ":4:8: admin.port is 9090, as server.port is; allowed: another one, or off"),
    ('[server]\nhost = "localhost:8080"', ":2:8: server.host is 'localhost:8080'; allowed: an IP address or a host name"),
    ("[server\nport = 1", ":1:8: Error while parsing table header: expected ']', saw '\\n'; allowed: TOML 1.0"),
    ('[server]\nhost = "${HOST}"', ":2:8: server.host is '${HOST}'; variables are not replaced, write the value itself"),
    ('static_files = "missing"', "/missing', which is not a folder; allowed: a folder that exists"),
    (b"\xef\xbb\xbf[server]\n", ":1:1: the file begins with a byte order mark; allowed: UTF-8 without one"),
    (b"# " + b"x" * (100 << 20), ": is too large; allowed: 1MiB"),
]


class Settings(CommandTest):
    def test_a_bad_file_is_one_line_and_exit_code_2(self):
        for contents, end in BAD_FILES:
            path = self.write("jamsocket.toml", contents)
            for words in (["config", "check", path], ["serve", "x.wasm", "--config", path], ["dev", self.folder],
                          ["build", self.folder], ["config", "show", "--config", path]):
                with self.subTest(contents=contents[:40], words=words):
                    ended = jamsocket(*words)
                    self.assertEqual((ended.returncode, ended.stdout), (2, ""), ended.stderr)
                    self.assertTrue(ended.stderr.startswith(f"{path}:"), ended.stderr)
                    self.assertTrue(ended.stderr.endswith(f"{end}\n"), ended.stderr)
                    self.assertEqual(ended.stderr.count("\n"), 1)

    def test_the_file_in_the_working_folder_is_named_as_it_is(self):
        self.write("jamsocket.toml", "[server]\nport = 70000\n")
        for words in (["config", "check"], ["build"], ["dev", "."]):
            self.refused(words, 2, f"jamsocket.toml:2:8: server.port is 70000; allowed: {PORT_ALLOWED}\n",
                         folder=self.folder)

    def test_a_folder_or_nothing_instead_of_a_file(self):
        self.refused(["config", "check", self.folder], 2, f"{self.folder}: is a folder; allowed: a TOML file\n")
        missing = self.folder / "missing.toml"
        self.refused(["config", "check", missing], 2, f"{missing}: cannot be read: No such file or directory\n")
        self.refused(["serve", "x.wasm", "--config", missing], 2, f"{missing}: cannot be read: No such file or directory\n")

    def test_files_that_a_start_reads_are_checked(self):
        missing = self.folder / "missing"
        self.write("bad.key", "short")
        for contents, end in [
            (f'[tls]\ncert = "{missing}"\nkey = "{missing}"', f":2:8: tls.cert cannot be read: {missing}: No such file or directory\n"),
            (f'[auth]\ntokens = "required"\ntoken_keys = "{missing}"',
             f":3:14: token_keys: {missing} cannot be read: No such file or directory\n"),
            (f'[services.a]\nmodule = "a.wasm"\ntokens = "required"\ntoken_keys = "{self.folder}/bad.key"',
             ":1:11: services.a: token_keys: "),
            (f'[admin]\nport = 0\ntoken_file = "{missing}"',
             f":3:14: admin.token_file cannot be read: {missing}: No such file or directory\n"),
            (f'[admin]\nport = 0\ntoken_file = "{self.folder}/bad.key"', ":3:14: the first line of admin.token_file is too short"),
        ]:
            path = self.write("jamsocket.toml", contents)
            ended = jamsocket("config", "check", path)
            self.assertEqual((ended.returncode, ended.stdout, ended.stderr.count("\n")), (2, "", 1), ended.stderr)
            self.assertTrue(ended.stderr.startswith(f"{path}{end.rstrip()}"), ended.stderr)

    def test_an_empty_file_is_fine(self):
        path = self.write("jamsocket.toml", "")
        ended = jamsocket("config", "check", path)
        self.assertEqual((ended.returncode, ended.stdout, ended.stderr), (0, f"{path}: no problems\n", ""))

    def test_bad_flags(self):
        for words, error in [
            (["-p", "-1"], f"--port: server.port is '-1'; allowed: {PORT_ALLOWED}"),
            (["--port=65536"], f"--port: server.port is '65536'; allowed: {PORT_ALLOWED}"),
            (["--port", ""], f"--port: server.port is ''; allowed: {PORT_ALLOWED}"),
            (["-i", "0"], "--heartbeat-interval: server.heartbeat_interval_seconds is '0'; allowed: 1 to 86400, a whole "
                          "number of seconds"),
            (["-i", "1.5"], "--heartbeat-interval: server.heartbeat_interval_seconds is '1.5'; allowed: 1 to 86400, a "
                            "whole number of seconds"),
            (["-t", "25"], "--heartbeat-timeout: server.heartbeat_timeout_seconds is 25; allowed: more than "
                           "heartbeat_interval_seconds, which is 25"),
            (["-s", "Immediate"], "--shutdown-policy: service.shutdown_policy is 'Immediate'; allowed: never, immediate, "
                                  "or <n>sec with a whole number n, like 300sec"),
            (["-r", "short13"], "--room-strategy: service.room_strategy is 'short13'; allowed: implicit, api, uuid, "
                                "short, or short3 to short12"),
            (["--set", "server.prot=1"], "--set: unknown key 'server.prot'; did you mean 'server.port'?"),
            (["--set", "x"], "--set: 'x' has no '='; allowed: KEY=VALUE, like server.port=8080"),
            (["--static", "/nonexistent"], "--static: static_files is '/nonexistent', which is not a folder; allowed: a "
                                           "folder that exists"),
        ]:
            with self.subTest(words):
                self.refused(["serve", "x.wasm", *words], 2, f"{error}\n")

    def test_flag_environment_file_default(self):
        path = self.write("jamsocket.toml", '[server]\nport = 3\nhost = "::"\nshards = 5\n')
        ended = jamsocket("config", "show", "--config", path, "-p", "1",
                          environment=clean_environment(PORT="2", HOST="::1", LOG_LEVEL=""))
        lines = {" ".join(line.split()) for line in ended.stdout.splitlines()}
        self.assertLessEqual({"port = 1 # --port", 'host = "::1" # HOST', f"shards = 5 # {path}:4:10",
                              'log_level = "info" # default'}, lines)
        self.refused(["config", "show"], 2, f"PORT: server.port is 'x'; allowed: {PORT_ALLOWED}\n",
                     environment=clean_environment(PORT="x"))

    def test_a_file_that_is_there_and_not_shown_is_told_of(self):
        self.write("jamsocket.toml", "[server]\nport = 3\n")
        ended = jamsocket("config", "show", folder=self.folder)
        self.assertEqual((ended.returncode, ended.stderr), (0, "jamsocket.toml is not read, as 'jamsocket serve' does not read "
                                                               "it either; --config jamsocket.toml reads it\n"))
        self.assertNotIn("jamsocket.toml", ended.stdout)
        self.assertEqual(jamsocket("config", "show", "--config", "jamsocket.toml", folder=self.folder).stderr, "")

    def test_the_example_is_a_file_that_is_accepted(self):
        path = self.write("jamsocket.toml", jamsocket("config", "example").stdout)
        self.assertEqual(jamsocket("config", "check", path).returncode, 0)

    def test_the_examples_of_the_repository_have_good_files(self):
        paths = sorted((SOURCE / "examples").glob("*/jamsocket.toml"))
        self.assertNotEqual(paths, [])
        for path in paths:
            self.assertEqual(jamsocket("config", "check", path).stderr, "")

    def test_the_reference_page_is_up_to_date(self):
        """If this fails: build/release/bin/jamsocket config docs > docs/configuration.md"""
        self.assertEqual(jamsocket("config", "docs").stdout, (SOURCE / "docs" / "configuration.md").read_text())


if __name__ == "__main__":
    unittest.main()
