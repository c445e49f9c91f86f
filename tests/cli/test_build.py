"""build and check: what is made of which source, what is said when it cannot be, and of modules that are none."""

import json
import os
import shutil
import subprocess
import unittest

from command import COMMAND, DEADLINE, EXAMPLES, SOURCE, CommandTest, clean_environment, jamsocket

HAS_CPP = shutil.which("clang++-19") is not None
NOBODY = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"] if os.geteuid() == 0 else []
NO_SOURCE = "C++ or Rust sources, no Cargo.toml and no package.json; allowed: one of these; or name the source in " \
            'jamsocket.toml: [service] source = "NAME.cpp"'


def has_rust():
    """Debian's compiler with a WebAssembly target, and a linker for it."""
    try:
        root = subprocess.run(["/usr/bin/rustc", "--print", "sysroot"], capture_output=True, text=True).stdout.strip()
    except OSError:
        return False
    return bool(root) and os.path.isdir(f"{root}/lib/rustlib/wasm32-wasi/lib") and shutil.which("wasm-ld-14") is not None


class Build(CommandTest):
    def copy_of_counter(self):
        shutil.copytree(SOURCE / "examples" / "counter", self.folder / "counter",
                        ignore=shutil.ignore_patterns(".jamsocket"))
        return self.folder / "counter"

    @unittest.skipUnless(HAS_CPP, "clang++-19 is not installed")
    def test_a_source_in_cpp_becomes_a_module(self):
        counter = self.copy_of_counter()
        ended = jamsocket("build", counter)
        module = counter / ".jamsocket" / "counter.wasm"
        self.assertEqual((ended.returncode, ended.stdout), (0, f"{module}\n"), ended.stderr)
        facts = json.loads(jamsocket("check", "--json", module).stdout)
        self.assertEqual((facts["ok"], facts["abi"], facts["version"], facts["protocol"], facts["problems"]),
                         (True, "Jamsocket", 1, 0, []))
        self.assertEqual((facts["can_be_kept"], facts["obstacles_to_keeping"]), (True, []))
        self.assertIn("jam_malloc", [one["name"] for one in facts["exports"]])

    @unittest.skipUnless(HAS_CPP, "clang++-19 is not installed")
    def test_the_output_can_be_named_and_a_folder_without_a_file_is_a_package(self):
        counter = self.copy_of_counter()
        (counter / "jamsocket.toml").unlink()
        module = self.folder / "new" / "out.wasm"
        ended = jamsocket("build", counter, "-o", module)
        self.assertEqual((ended.returncode, ended.stdout), (0, f"{module}\n"), ended.stderr)
        self.assertEqual(module.read_bytes()[:4], b"\0asm")
        self.assertIn("it can be served\n", jamsocket("check", module).stdout)

    @unittest.skipUnless(has_rust(), "rustc with wasm32-wasi and wasm-ld-14 are not installed")
    def test_a_source_in_rust_becomes_a_module(self):
        rust = self.folder / "rust"
        shutil.copytree(SOURCE / "sdk" / "rust" / "counter", rust)
        self.built_and_serveable(rust, "counter.wasm")
        # The same as a package, without dependencies.
        shutil.copytree(rust, self.folder / "crate" / "src")
        (self.folder / "crate" / "src" / "counter.rs").rename(self.folder / "crate" / "src" / "lib.rs")
        self.write("crate/Cargo.toml", '[package]\nname = "x"\nversion = "0.1.0"\nedition = "2021"\n[dependencies]\n')
        self.built_and_serveable(self.folder / "crate", "crate.wasm")

    @unittest.skipUnless(has_rust() and os.path.exists("/usr/bin/cargo"), "Debian's rustc and cargo are not installed")
    def test_a_package_in_rust_with_dependencies_becomes_a_module(self):
        self.write("dep/Cargo.toml", '[package]\nname = "dep"\nversion = "0.1.0"\nedition = "2021"\n')
        self.write("dep/src/lib.rs", "")
        manifest = ('[package]\nname = "x"\nversion = "0.1.0"\nedition = "2021"\n[lib]\n'
                    'crate-type = ["cdylib"]\n[dependencies]\ndep = { path = "../dep" }\n')
        self.write("crate/Cargo.toml", manifest)
        shutil.copy(SOURCE / "sdk" / "rust" / "counter" / "counter.rs", self.write("crate/src/lib.rs", ""))
        # What cargo keeps for the next time is not in the way, nor taken for what it made.
        self.built_and_serveable(self.folder / "crate", "crate.wasm")
        self.built_and_serveable(self.folder / "crate", "crate.wasm")
        self.write("crate/Cargo.toml", manifest.replace('name = "x"', 'name = "y"'))
        self.built_and_serveable(self.folder / "crate", "crate.wasm")
        self.write("crate/Cargo.toml", manifest.replace("cdylib", "rlib"))
        ended = jamsocket("build", self.folder / "crate")
        self.assertEqual(ended.returncode, 1)
        self.assertIn("cargo made 0 modules; allowed: one, of a library", ended.stderr)

    @unittest.skipUnless(shutil.which("npm"), "npm is not installed")
    def test_a_package_in_assemblyscript_becomes_a_module(self):
        package = self.folder / "script"
        shutil.copytree(SOURCE / "sdk" / "assemblyscript" / "counter", package)
        installed = EXAMPLES.parent / "sdk" / "assemblyscript" / "node_modules"
        if not installed.exists():
            self.skipTest("the AssemblyScript counter was not built: its compiler is not there")
        os.symlink(installed, package / "node_modules")
        self.built_and_serveable(package, "script.wasm")

    def built_and_serveable(self, folder, name):
        ended = jamsocket("build", folder)
        module = folder / ".jamsocket" / name
        self.assertEqual((ended.returncode, ended.stdout), (0, f"{module}\n"), ended.stderr)
        facts = json.loads(jamsocket("check", "--json", module).stdout)
        self.assertEqual((facts["ok"], facts["abi"], facts["problems"], facts["advice"]), (True, "Jamsocket", [], []))

    @unittest.skipUnless(HAS_CPP, "clang++-19 is not installed")
    def test_the_compilers_errors_are_shown(self):
        self.write("broken.cpp", "int main( {\nJAMSOCKET_WASM(X)\n")
        ended = jamsocket("build", self.folder)
        self.assertEqual((ended.returncode, ended.stdout), (1, ""))
        self.assertIn("broken.cpp:1:", ended.stderr)
        self.assertTrue(ended.stderr.endswith("jamsocket: clang++-19 failed with exit code 1\n"), ended.stderr)

    def test_missing_tools_are_named_with_their_packages(self):
        environment = clean_environment(PATH="/nonexistent")
        self.write("cpp/service.cpp", "")
        self.write("as/package.json", "{}")
        for folder, packages in [("cpp", "on Debian: apt-get install clang-19 lld-19 wasi-libc"),
                                 ("as", "on Debian: apt-get install nodejs npm")]:
            ended = jamsocket("build", self.folder / folder, environment=environment)
            self.assertEqual((ended.returncode, ended.stdout), (1, ""))
            self.assertIn(packages, ended.stderr)

    @unittest.skipUnless(HAS_CPP, "clang++-19 is not installed")
    def test_a_source_without_the_macro_is_told_of_it(self):
        hint = "has no JAMSOCKET_WASM(CLASS), which makes a class the module's service\n"
        counter = self.copy_of_counter() / "counter.cpp"
        source = counter.read_text()
        counter.write_text(source.replace("JAMSOCKET_WASM(SharedCounter)", ""))
        ended = jamsocket("build", counter.parent)
        self.assertEqual((ended.returncode, ended.stdout), (1, ""))
        self.assertTrue(ended.stderr.endswith(f"failed with exit code 1; '{counter}' {hint}"), ended.stderr)
        counter.write_text(source.replace("++value_", "++valeu_"))
        self.assertNotIn("JAMSOCKET_WASM(CLASS)", jamsocket("build", counter.parent).stderr)

    @unittest.skipIf(os.geteuid() == 0 and shutil.which("setpriv") is None, "root may read everything")
    def test_a_folder_that_cannot_be_read_is_not_called_empty(self):
        closed = self.write("app/service.cpp", "").parent
        self.folder.chmod(0o755)
        closed.chmod(0o311)
        self.addCleanup(closed.chmod, 0o755)
        ended = subprocess.run([*NOBODY, COMMAND, "build", closed], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                               timeout=DEADLINE, env=clean_environment())
        self.assertEqual((ended.returncode, ended.stderr), (1, f"jamsocket: '{closed}' cannot be read: Permission denied\n"))

    def tools(self, compiler):
        """An environment in which C++ is compiled by this script, whose variable OUTPUT is what -o names."""
        script = 'while [ "$#" -gt 0 ]; do [ "$1" = -o ] && OUTPUT=$2; shift; done\n' + compiler
        for name in ("clang++-19", "wasm-ld-19"):
            self.write(f"tools/{name}", f"#!/bin/sh\n{script}\n").chmod(0o755)
        return clean_environment(PATH=f"{self.folder}/tools:/usr/bin:/bin")

    @unittest.skipUnless(HAS_CPP, "clang++-19 is not installed")
    def test_what_was_built_stays_until_its_successor_is_whole(self):
        service = self.write("app/service.cpp", "JAMSOCKET_WASM(X)\n").parent
        module = self.write("app/.jamsocket/service.wasm", "before")
        self.write("app/.jamsocket/.service.wasm.building/service.wasm", "of a build that was killed")
        output = f"'{module}'"
        for compiler, error in [('echo half > "$OUTPUT"; exit 1', "clang++-19 failed with exit code 1"),
                                ('echo half > "$OUTPUT"; kill -9 $$', "clang++-19 was ended by signal 9"),
                                ("exit 0", f"the compiler did not make {output}"),
                                (': > "$OUTPUT"', f"the compiler did not make {output}")]:
            ended = jamsocket("build", service, environment=self.tools(compiler))
            self.assertEqual((ended.returncode, ended.stdout), (1, ""), compiler)
            self.assertEqual(ended.stderr, f"building {module}\njamsocket: {error}\n")
            self.assertEqual(module.read_text(), "before", compiler)
            self.assertEqual(sorted(os.listdir(module.parent)), [".gitignore", "service.wasm"], compiler)
        ended = jamsocket("build", service, environment=self.tools('echo after > "$OUTPUT"; echo map > "$OUTPUT.map"'))
        self.assertEqual((ended.returncode, ended.stdout), (0, f"{module}\n"), ended.stderr)
        self.assertEqual(module.read_text(), "after\n")
        self.assertEqual(sorted(os.listdir(module.parent)), [".gitignore", "service.wasm", "service.wasm.map"])

    @unittest.skipUnless(HAS_CPP, "clang++-19 is not installed")
    def test_the_output_may_be_a_link_or_a_device_and_no_folder(self):
        service = self.write("app/service.cpp", "").parent
        environment = self.tools('echo after > "$OUTPUT"')
        target = self.write("elsewhere/x.wasm", "before")
        (self.folder / "link.wasm").symlink_to(target)
        self.assertEqual(jamsocket("build", service, "-o", self.folder / "link.wasm", environment=environment).returncode, 0)
        self.assertTrue((self.folder / "link.wasm").is_symlink())
        self.assertEqual(target.read_text(), "after\n")
        ended = jamsocket("build", service, "-o", "/dev/null", environment=environment)
        self.assertEqual((ended.returncode, ended.stderr), (0, "building /dev/null\nbuilt /dev/null\n"))
        self.assertTrue(os.path.exists("/dev/null") and not os.path.isfile("/dev/null"))
        self.refused(["build", service, "-o", self.folder / "elsewhere"], 1,
                     f"building {self.folder}/elsewhere\njamsocket: '{self.folder}/elsewhere' is a folder; allowed: a file\n",
                     environment=environment)

    def test_what_cannot_be_built(self):
        self.refused(["build", self.folder], 1, f"jamsocket: '{self.folder}' has 0 {NO_SOURCE}\n")
        self.write("a.cpp", "")
        self.write("b.cpp", "")
        self.refused(["build", self.folder], 1, f"jamsocket: '{self.folder}' has 2 {NO_SOURCE}\n")
        self.refused(["build", self.folder / "a.cpp"], 1, f"jamsocket: '{self.folder}/a.cpp' is not a folder\n")
        self.write("jamsocket.toml", '[service]\nsource = "c.cpp"\n')
        self.refused(["build", self.folder], 1,
                     f"jamsocket: there is no service at '{self.folder}/c.cpp': no such file or folder\n")
        self.write("jamsocket.toml", '[service]\nmodule = "c.wasm"\n')
        self.refused(["build", self.folder], 1,
                     "jamsocket: [service] module names a built module: there is nothing to build\n")

    def test_modules_that_are_none(self):
        not_wasm = self.write("text.wasm", "hello")
        cut_short = self.write("cut.wasm", b"\0asm\1\0\0\0\1\xff")
        bare = self.write("bare.wasm", b"\0asm\1\0\0\0")  # Its problems have words in quotes.
        for path in (not_wasm, cut_short, bare, self.write("empty.wasm", b"")):
            with self.subTest(path.name):
                ended = jamsocket("check", path)
                self.assertEqual(ended.returncode, 1)
                self.assertIn("\nproblem:  ", ended.stdout)
                self.assertNotIn("\\", ended.stdout)
                self.assertTrue(ended.stdout.endswith("it cannot be served\n"))
                facts = json.loads(jamsocket("check", path, "--json").stdout)
                self.assertFalse(facts["ok"])
                served = jamsocket("serve", path, "-p", "0")
                self.assertEqual((served.returncode, served.stdout), (1, ""))
                self.assertTrue(served.stderr.startswith(f"jamsocket: {path}: "), served.stderr)
        missing = self.folder / "missing.wasm"
        for command in ("check", "serve"):
            self.refused([command, missing], 1, f"jamsocket: {missing}: No such file or directory\n")

    @unittest.skipUnless((EXAMPLES.parent / "tests" / "guests" / "tables.wasm").exists(), "the test guests are not built")
    def test_what_keeps_rooms_of_a_module_from_being_kept_is_named(self):
        module = EXAMPLES.parent / "tests" / "guests" / "tables.wasm"
        grows = "it uses table.grow, whose effect is not part of a checkpoint"
        ended = jamsocket("check", module)
        self.assertEqual(ended.returncode, 0, ended.stderr)  # It can be served, only not with a data folder.
        self.assertIn('\nkept:     its rooms cannot be kept; durability = "none" serves it without\n', ended.stdout)
        self.assertIn(f"\n          {grows}\n", ended.stdout)
        facts = json.loads(jamsocket("check", module, "--json").stdout)
        self.assertFalse(facts["can_be_kept"])
        self.assertIn(grows, facts["obstacles_to_keeping"])
        served = jamsocket("serve", module, "-p", "0", "--data", self.folder / "data")
        self.assertEqual(served.returncode, 2, served.stderr)
        self.assertIn("rooms of the service tables cannot be kept: it uses table.", served.stderr)

    @unittest.skipUnless((EXAMPLES / "counter.wasm").exists(), "the examples are not built")
    def test_every_example_can_be_served(self):
        for module in sorted(EXAMPLES.glob("*.wasm")):
            ended = jamsocket("check", module)
            self.assertEqual((ended.returncode, ended.stderr), (0, ""), ended.stdout)


if __name__ == "__main__":
    unittest.main()
