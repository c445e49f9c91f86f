"""Commands, options and mistyped ones."""

import os
import subprocess
import unittest

from command import COMMAND, DEADLINE, CommandTest, jamsocket

COMMANDS = [["dev"], ["build"], ["serve"], ["check"], ["config"], ["config", "check"], ["config", "show"],
            ["config", "example"], ["rooms"], ["rooms", "list"], ["rooms", "show"], ["rooms", "export"], ["rooms", "import"],
            ["rooms", "delete"], ["rooms", "fork"], ["rooms", "rewind"], ["replay"], ["data"], ["data", "check"], ["token"],
            ["data", "compact"], ["data", "backup"]]


class Words(CommandTest):
    def test_version(self):
        ended = jamsocket("--version")
        self.assertEqual((ended.returncode, ended.stdout), (0, f"jamsocket {os.environ['JAMSOCKET_VERSION']}\n"))

    def test_help_names_every_command(self):
        ended = jamsocket("--help")
        self.assertEqual((ended.returncode, ended.stderr), (0, ""))
        for word in ("dev", "build", "serve", "check", "config", "rooms", "replay", "data", "token"):
            self.assertIn(f"\n  {word} ", ended.stdout)

    def test_help_of_each_command(self):
        for words in COMMANDS:
            ended = jamsocket(*words, "--help")
            self.assertEqual((ended.returncode, ended.stderr), (0, ""), words)
            self.assertIn("Usage: ", ended.stdout)

    def test_help_of_serve_names_the_promised_options_and_their_defaults(self):
        text = " ".join(jamsocket("serve", "--help").stdout.split())
        for part in ("-p,--port N", "[8080; or $PORT]", "--host TEXT", '["127.0.0.1"; or $HOST]', "-r,--room-strategy",
                     '["implicit"]', "-s,--shutdown-policy", '["300sec"]', "-i,--heartbeat-interval", "[25]",
                     "-t,--heartbeat-timeout", "[60]", "--static DIR", "--shards", "--config FILE", "--data DIR",
                     "--module-cache DIR", "--tls-cert FILE", "--tls-key FILE", "--log-level",
                     "$LOG_LEVEL", "--set KEY=VALUE"):
            self.assertIn(part, text)

    def test_help_of_token_says_what_its_options_take(self):
        text = jamsocket("token", "--help").stdout
        for part in ("--new-key FILE", "--key FILE", "--claim NAME=VALUE ...", "--for SECONDS=3600"):
            self.assertIn(part, text)

    def test_without_a_command_there_is_help(self):
        for words in ([], ["config"]):
            ended = jamsocket(*words)
            self.assertEqual((ended.returncode, ended.stdout), (2, ""))
            self.assertIn("Usage: ", ended.stderr)
            self.assertIn("needs a command: ", ended.stderr.splitlines()[-1])
            self.assertIn(f"\nUsage: {' '.join(['jamsocket', *words])} [OPTIONS]", ended.stderr)

    def test_mistyped_words(self):
        for words, error in [
            (["sevre"], "'sevre' is no command of 'jamsocket'; did you mean 'serve'?"),
            (["zzz"], "'zzz' is no command of 'jamsocket'; there are: dev, build, serve, check, config, rooms, replay, data, token"),
            (["\x1b[2J"], "'\\u001b[2J' is no command of 'jamsocket'; there are: dev, build, serve, check, config, rooms, replay, data, token"),
            (["config", "shwo"], "'shwo' is no command of 'jamsocket config'; did you mean 'show'?"),
            (["serve", "--prot", "1"], "'--prot' is no option of 'jamsocket serve'; did you mean '--port'?"),
            (["serve", "--prot=1", "x"], "'--prot=1' is no option of 'jamsocket serve'; did you mean '--port'?"),
            (["serve", "--zzz"], "'--zzz' is no option of 'jamsocket serve'; see 'jamsocket serve --help'"),
            (["serve", "a.wasm", "b.wasm"], "'b.wasm' is one word too many; see 'jamsocket serve --help'"),
            (["serve", "a.wasm", "--port"], "--port needs a value; see 'jamsocket serve --help'"),
            (["serve"], "which module? 'jamsocket serve MODULE.wasm', or a --config with [services.NAME] or a module in "
                        "its [service]"),
            (["check"], "MODULE.wasm is required; see 'jamsocket check --help'"),
        ]:
            with self.subTest(words):
                self.refused(words, 2, f"jamsocket: {error}\n")

    def test_what_cannot_be_said_changes_no_exit_code_and_is_not_passed_over(self):
        def end(words, **streams):
            return subprocess.run([COMMAND, *words], stdin=subprocess.DEVNULL, timeout=DEADLINE, text=True,
                                  **{"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **streams})

        with open("/dev/full", "w") as full:
            self.assertEqual(end(["dev", self.folder], stderr=full).returncode, 1)
            self.assertEqual(end(["sevre"], stderr=full).returncode, 2)
            for words in (["--version"], ["serve", "--help"], ["config", "example"], ["config", "show"]):
                ended = end(words, stdout=full)
                self.assertEqual((ended.returncode, ended.stderr),
                                 (1, "jamsocket: standard output cannot be written: what was said is lost\n"), words)


if __name__ == "__main__":
    unittest.main()
