"""jamsocket token: keys and tokens for trying out, and what is said of mistakes."""

import base64
import json
import time
import unittest

from command import CommandTest, jamsocket


def claims_of(token):
    body = token.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))


class Tokens(CommandTest):
    def new_key(self, name, algorithm):
        ended = jamsocket("token", "--new-key", self.folder / name, "--alg", algorithm)
        self.assertEqual(ended.returncode, 0, ended.stderr)
        return ended.stdout

    def test_a_token_says_what_it_was_told_to(self):
        for algorithm in ("HS256", "EdDSA", "ES256"):
            key = self.folder / f"{algorithm}.jwk"
            public = self.new_key(key.name, algorithm)
            self.assertEqual(key.stat().st_mode & 0o777, 0o600)
            self.assertEqual(public == "", algorithm == "HS256", "a secret has no public half")
            self.assertNotIn('"d"', public)
            ended = jamsocket("token", "--key", key, "--sub", "alice", "--room", "a", "--room", "b", "--aud", "rooms", "--iss", "me",
                              "--claim", "level=3", "--claim", "name=Alice A.", "--for", "60")
            self.assertEqual((ended.returncode, ended.stderr), (0, ""))
            claims = claims_of(ended.stdout)
            self.assertAlmostEqual(claims.pop("exp"), time.time() + 60, delta=30)
            claims.pop("iat")
            self.assertEqual(claims, {"sub": "alice", "room": ["a", "b"], "aud": "rooms", "iss": "me", "level": 3, "name": "Alice A."})

    def test_a_token_that_servers_refuse_is_made_with_a_word_of_warning(self):
        self.new_key("me.jwk", "HS256")
        ended = jamsocket("token", "--key", self.folder / "me.jwk")
        self.assertEqual(ended.returncode, 0)
        self.assertIn("no subject (--sub)", ended.stderr)

    def test_mistakes(self):
        self.new_key("me.jwk", "HS256")
        (self.folder / "public.jwk").write_text(self.new_key("private.jwk", "ES256"))
        me, public, missing = (self.folder / name for name in ("me.jwk", "public.jwk", "missing"))
        for words, code, error in [
            ([], 2, "'jamsocket token' needs --key FILE for a token, or --new-key FILE for a key"),
            (["--key", me, "--new-key", missing], 2, "'jamsocket token' needs --key FILE for a token, or --new-key FILE for a key"),
            (["--new-key", me], 1, f"cannot make {me}: File exists"),
            (["--new-key", missing, "--alg", "RS256"], 2, "there is no algorithm 'RS256'; there are: HS256, EdDSA, ES256"),
            (["--key", missing, "--sub", "a"], 1, f"{missing} cannot be read: No such file or directory"),
            (["--key", public, "--sub", "a"], 1, f"{public}: the key has no private half: it can check tokens, not make them"),
            (["--key", me, "--id", "other"], 2, "there is no key 'other'"),
            (["--key", me, "--claim", "x"], 2, "--claim 'x' is not NAME=VALUE"),
            (["--key", me, "--for", "9223372036854775807"], 2, "--for is 9223372036854775807; allowed: -3155760000 to 3155760000 seconds"),
            (["--key", me, "--claim", "x=" + "y" * 4096], 1, "a server takes at most 4096"),
        ]:
            with self.subTest(words):
                ended = jamsocket("token", *words)
                self.assertEqual((ended.returncode, ended.stdout, ended.stderr.count("\n")), (code, "", 1), ended.stderr)
                self.assertIn(error, ended.stderr)


if __name__ == "__main__":
    unittest.main()
