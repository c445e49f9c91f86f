"""The release build of the command itself: what a compiler and a linker can do against faults is in it."""

import pathlib
import re
import shutil
import subprocess
import unittest

from command import COMMAND


def readelf(*options):
    return subprocess.run(["readelf", "--wide", *options, COMMAND], capture_output=True, text=True, check=True,
                          env={"LC_ALL": "C", "PATH": "/usr/bin:/bin"}).stdout


@unittest.skipUnless(shutil.which("readelf"), "there is no readelf (binutils)")
class Binary(unittest.TestCase):
    def test_is_loaded_at_an_address_of_chance(self):
        self.assertRegex(readelf("--file-header"), r"Type:\s+DYN \(Position-Independent Executable")

    def test_tables_of_the_linker_are_read_only_before_main(self):
        self.assertIn("GNU_RELRO", readelf("--program-headers"))
        dynamic = readelf("--dynamic")
        self.assertRegex(dynamic, r"\(FLAGS(_1)?\).*\bNOW\b")
        self.assertNotIn("TEXTREL", dynamic)

    def test_nothing_is_writable_and_executable(self):
        headers = readelf("--program-headers")
        self.assertRegex(headers, r"GNU_STACK\s.*\sRW\s")
        for line in headers.splitlines():
            self.assertNotRegex(line, r"^\s+(LOAD|GNU_STACK)\s.*\sRWE\s")

    def test_no_library_is_looked_for_beside_it(self):
        self.assertNotRegex(readelf("--dynamic"), r"\((RPATH|RUNPATH)\)")

    def test_checks_are_compiled_in(self):
        symbols = set(re.findall(r"\bUND (\w+)", readelf("--dyn-syms")))
        self.assertIn("__stack_chk_fail", symbols, "-fstack-protector-strong")
        self.assertTrue(any(name.startswith("__") and name.endswith("_chk") for name in symbols), "_FORTIFY_SOURCE")
        self.assertTrue(any("glibcxx_assert_fail" in name for name in symbols), "_GLIBCXX_ASSERTIONS")

    @unittest.skipUnless(shutil.which("objdump"), "there is no objdump (binutils)")
    def test_functions_are_landing_places(self):
        # The engine's objects are not built so, and the linker drops the mark of the whole: so ours are asked.
        if "X86-64" not in readelf("--file-header"):
            self.skipTest("for x86-64 only")
        for symbol in ("main", "_ZN9jamsocket6server5Shard3runEv"):
            code = subprocess.run(["objdump", f"--disassemble={symbol}", "--no-show-raw-insn", COMMAND],
                                  capture_output=True, text=True, check=True).stdout
            first = re.search(rf"<{symbol}>:\n\s+[0-9a-f]+:\s+(\w+)", code)
            self.assertIsNotNone(first, f"no function {symbol}")
            self.assertEqual(first.group(1), "endbr64", symbol)


class Unit(unittest.TestCase):
    def test_systemd_finds_no_mistake(self):
        if not shutil.which("systemd-analyze"):
            self.skipTest("there is no systemd-analyze")
        for name in ("jamsocket.service", "jamsocket.socket"):
            unit = pathlib.Path(__file__).parents[2] / "packaging" / name
            ended = subprocess.run(["systemd-analyze", "verify", unit], capture_output=True, text=True)
            complaints = [line for line in ended.stderr.splitlines() if "jamsocket." in line and "is not executable" not in line]
            self.assertEqual(complaints, [], name)


if __name__ == "__main__":
    unittest.main()
