"""Runs the command under test; every test file here is plain unittest, without packages."""

import os
import pathlib
import subprocess
import tempfile
import unittest

COMMAND = os.environ["JAMSOCKET_BIN"]
SOURCE = pathlib.Path(os.environ["JAMSOCKET_SOURCE_DIR"])
EXAMPLES = pathlib.Path(os.environ["JAMSOCKET_EXAMPLES_DIR"])
DEADLINE = 120  # Seconds; a sanitizer's build on a busy machine is slow.


def clean_environment(**changes):
    names = ("PORT", "HOST", "LOG_LEVEL")
    return {**{name: value for name, value in os.environ.items() if name not in names}, **changes}


def jamsocket(*words, environment=None, folder=None):
    return subprocess.run([COMMAND, *map(str, words)], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          timeout=DEADLINE, cwd=folder, env=environment or clean_environment())


class CommandTest(unittest.TestCase):
    """A test with a folder of its own, `self.folder`, removed afterwards."""

    maxDiff = None

    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="jamsocket-cli-")
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)

    def write(self, name, contents):
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(contents if isinstance(contents, bytes) else contents.encode())
        return path

    def refused(self, words, code, error, **options):
        """The command ends with this exit code, these lines on standard error, and none on standard output."""
        ended = jamsocket(*words, **options)
        self.assertEqual((ended.returncode, ended.stderr, ended.stdout), (code, error, ""), words)
