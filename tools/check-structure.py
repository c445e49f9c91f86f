#!/usr/bin/env python3
"""Holds the code against the rules of CONTRIBUTING.md that a compiler does not know.

  tools/check-structure.py              checks this repository; exit code 1 if a rule is broken
  tools/check-structure.py --self-test  checks that each rule can be broken

A line that breaks a rule for a reason says so: a comment `allow(RULE): reason` on it or on the line before.
"""

import argparse
import pathlib
import re
import subprocess
import sys
import tempfile

# Folders of src/ by layer: one may use those of the layers before its own, if its DEPS line says so.
LAYERS = [
    ["base"],
    ["auth"],
    ["config", "sandbox"],
    ["io", "http", "ws"],
    ["store", "service"],
    ["wasm", "room"],
    ["session"],
    ["server"],
    ["cli"],
]
# Beyond the layers: a room talks to a ClientLink and a ServiceInstance, and never learns what is behind them.
NEVER = {("room", "ws"), ("room", "http"), ("service", "io"), ("service", "http"), ("service", "ws")}

FILE_LINES_WARN, FILE_LINES_MAX = 600, 800
FUNCTION_LINES_WARN, FUNCTION_LINES_MAX = 70, 110

# rule, regular expression over code without comments and strings, top folders, folders of src/ and ends of names that may, hint
OURS = ("src", "include", "examples", "tests", "bench", "fuzz")
BANNED = [
    ("cout", r"\bstd::(cout|cerr|clog)\b", ("src", "include"), (), "log through a Logger, or std::fputs in src/cli"),
    ("sleep", r"\b(sleep_for|sleep_until|usleep|nanosleep)\s*\(|(?<![\w.>])sleep\s*\(", OURS, (),
     "wait for what you wait for, with a deadline"),
    ("rand", r"(?<![\w.>])s?rand\s*\(|\brandom_device\b", ("src", "include"), (), "random bytes come from service/random"),
    ("generator", r"\bmt19937", ("src", "include"), ("_test.cpp",), "random bytes come from service/random; tests may, with a seed they print"),
    ("raw-clock", r"\b(system|steady|high_resolution)_clock::now\b|\bclock_gettime\s*\(|\bgettimeofday\s*\(|(?<![\w.>:])time\s*\(\s*(nullptr|0|NULL)\s*\)",
     ("src", "include"), ("base",), "ask a Clock (base/clock.hpp)"),
    ("capture-all", r"\[=[\],]", OURS, (), "name what the lambda keeps"),
    ("thread-local", r"\bthread_local\b", ("src", "include"), (), "a call may finish on another thread than it began on"),
    ("volatile", r"\bvolatile\b", ("src", "include"), (), "std::atomic says what is meant"),
    ("using-std", r"\busing\s+namespace\s+std\s*;", OURS, (), "write std::"),
]
TODO_KINDS = ("perf", "security", "test", "port", "someday")
# A download address has no place in the repository: package managers know where their registries are.
REGISTRY_URL = re.compile(r"https?://(registry|deb|security|index|static|files|archive|snapshot|repo\d*|packages?|proxy)\.[\w.-]+\.\w+")


class Report:
    def __init__(self):
        self.errors = []
        self.warnings = []

    def error(self, rule, path, line, text):
        self.errors.append((rule, f"{path}:{line}: {text} [{rule}]"))

    def warn(self, path, line, text):
        self.warnings.append(f"{path}:{line}: {text}")


def blank_comments_and_strings(text):
    """`text` with comments and the insides of literals as spaces; lines stay where they were."""
    pattern = re.compile(
        r'//[^\n]*|/\*.*?\*/|R"(?P<tag>[^()\s\\"]{0,16})\(.*?\)(?P=tag)"|"(?:\\.|[^"\\\n])*"|(?<![0-9a-fA-F])\'(?:\\.|[^\'\\\n])+\'',
        re.DOTALL)

    def blank(match):
        found = match.group(0)
        if found.startswith("/"):
            return re.sub(r"[^\n]", " ", found)
        return found[0] + re.sub(r"[^\n]", " ", found[1:-1]) + found[-1]

    return pattern.sub(blank, text)


def function_lengths(code):
    """Yields (first line, lines) of every function body in blanked code: an outermost brace after a `)`.

    clang-format puts a space before a body's brace and none before an initialiser's: that tells them apart.
    """
    scopes = []  # For each open brace: line of the function it opens, or None.
    head = ""
    line = 1
    for index, char in enumerate(code):
        if char == "\n":
            line += 1
        if char == "{":
            inside = any(scope is not None for scope in scopes)
            is_initialiser = index > 0 and not code[index - 1].isspace()
            is_type = re.search(r"\b(namespace|class|struct|union|enum|extern|requires|concept)\b[^)]*$", head)
            opens = not inside and not is_initialiser and not is_type and ")" in head
            scopes.append(line if opens else None)
            if not is_initialiser:
                head = ""
        elif char == "}":
            if scopes:
                start = scopes.pop()
                if start is not None:
                    yield start, line - start + 1
            was_initialiser = re.search(r"[,:(=]\s*[\w:<>]*$", head)
            if not was_initialiser:
                head = "" if not scopes or scopes[-1] is None else head
        elif char == ";":
            head = ""
        else:
            head += char


def parse_folders(src):
    """Folder name -> set of the folders on its DEPS line."""
    folders = {}
    for cmake in sorted(src.glob("*/CMakeLists.txt")):
        text = re.sub(r"#[^\n]*", "", cmake.read_text())
        for call in re.finditer(r"jamsocket_folder\(\s*(\w+)([^)]*)\)", text):
            deps = re.search(r"\bDEPS\b(.*?)(?=\b(?:LIBRARIES|SOURCES|TESTS)\b|$)", call.group(2), re.DOTALL)
            folders[call.group(1)] = set(deps.group(1).split()) if deps else set()
    return folders


def closure(folders, name):
    reached, todo = set(), [name]
    while todo:
        for dep in folders.get(todo.pop(), ()):
            if dep not in reached:
                reached.add(dep)
                todo.append(dep)
    return reached


def check_layers(root, folders, report):
    rank = {name: number for number, layer in enumerate(LAYERS) for name in layer}
    for name, deps in folders.items():
        cmake = f"src/{name}/CMakeLists.txt"
        if name not in rank:
            report.error("layers", cmake, 1, f"folder {name} has no place in LAYERS of tools/check-structure.py")
            continue
        for dep in sorted(deps):
            if dep not in folders:
                report.error("layers", cmake, 1, f"DEPS names {dep}, which is no folder of src/")
            elif rank.get(dep, len(LAYERS)) >= rank[name]:
                report.error("layers", cmake, 1, f"{name} may not depend on {dep}: it is not of an earlier layer")
        for dep in sorted(closure(folders, name)):
            if (name, dep) in NEVER:
                report.error("layers", cmake, 1, f"{name} may not know {dep}, not even through others")
    for folder in sorted((root / "src").iterdir()):
        if folder.is_dir() and folder.name in folders and not (folder / "README.md").is_file():
            report.error("readme", f"src/{folder.name}", 1, "has no README.md")


def check_includes(path, lines, folders, report):
    """The includes of one file of src/, comments blanked but strings kept."""
    name = path.parts[1]
    allowed = closure(folders, name) | {name}
    for number, text in enumerate(lines, 1):
        found = re.match(r'\s*#\s*include\s+"([^"/]+)/', text)
        if found and found.group(1) in folders and found.group(1) not in allowed and not allows(lines, number, "include"):
            report.error("include", path, number, f'{name} may not include {found.group(1)}/ (see DEPS in src/{name}/CMakeLists.txt)')


def allows(lines, number, rule):
    nearby = lines[max(0, number - 2):number]
    return any(re.search(rf"//.*\ballow\({re.escape(rule)}\): \S", text) for text in nearby)


def check_file(root, path, folders, report):
    text = (root / path).read_text(errors="replace")
    lines = text.split("\n")
    code = blank_comments_and_strings(text)
    if path.parts[0] == "src" and len(path.parts) > 2:
        check_includes(path, lines, folders, report)
        if path.suffix == ".hpp" and lines[0] != "// " + str(path.relative_to("src")):
            report.error("header", path, 1, "a header opens with its path under src/ as a comment")
    for rule, pattern, tops, excused, hint in BANNED:
        if path.parts[0] not in tops or (path.parts[0] == "src" and path.parts[1] in excused):
            continue
        if path.name.endswith(tuple(name for name in excused if name.endswith(".cpp"))):
            continue
        for number, line in enumerate(code.split("\n"), 1):
            if re.search(pattern, line) and not allows(lines, number, rule):
                report.error(rule, path, number, hint)
    for number, line in enumerate(lines, 1):
        for todo in re.finditer(r"\bTODO\b(?:\((\w*)\))?", line):
            if todo.group(1) not in TODO_KINDS:
                report.error("todo", path, number, f"TODO of a kind among {', '.join(TODO_KINDS)}, or done before it is committed")
    if len(lines) > FILE_LINES_MAX:
        report.error("file-length", path, 1, f"{len(lines)} lines; at most {FILE_LINES_MAX}")
    elif len(lines) > FILE_LINES_WARN:
        report.warn(path, 1, f"{len(lines)} lines: longer than {FILE_LINES_WARN}")
    for start, length in function_lengths(code):
        if length > FUNCTION_LINES_MAX and not allows(lines, start, "function-length"):
            report.error("function-length", path, start, f"function of {length} lines; at most {FUNCTION_LINES_MAX}")
        elif length > FUNCTION_LINES_WARN:
            report.warn(path, start, f"function of {length} lines: longer than {FUNCTION_LINES_WARN}")


def check_texts(root, names, report):
    for name in names:
        path = root / name
        if path.suffix in (".wasm", ".png", ".ico", ".gz") or not path.is_file() or path.stat().st_size > 4 << 20:
            continue
        for number, line in enumerate(path.read_text(errors="replace").split("\n"), 1):
            if REGISTRY_URL.search(line) and "allow(registry)" not in line:
                report.error("registry", name, number, "names a package registry's host: leave it to the package manager")


def repository_files(root):
    listing = subprocess.run(["git", "ls-files", "-co", "--exclude-standard"], cwd=root, capture_output=True, text=True)
    if listing.returncode == 0:
        return sorted(name for name in set(listing.stdout.splitlines()) if (root / name).is_file())
    return sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())


def check(root):
    report = Report()
    folders = parse_folders(root / "src")
    check_layers(root, folders, report)
    names = repository_files(root)
    for name in names:
        path = pathlib.Path(name)
        if path.parts[0] in OURS and path.suffix in (".cpp", ".hpp"):
            check_file(root, path, folders, report)
    check_texts(root, names, report)
    return report


# --- The self-test: a small good tree, and one change for each rule that must be found ----------------------------------

GOOD = {
    "src/base/CMakeLists.txt": "jamsocket_folder(base SOURCES a.cpp)",
    "src/base/README.md": "base",
    "src/base/a.hpp": "// base/a.hpp\n//\n// A.\n",
    "src/base/a.cpp": '#include "base/a.hpp"\nauto t() { return std::chrono::steady_clock::now(); }\n',
    "src/ws/CMakeLists.txt": "jamsocket_folder(ws\n  DEPS base\n  LIBRARIES fmt::fmt\n  SOURCES b.cpp)",
    "src/ws/README.md": "ws",
    "src/ws/b.cpp": '#include "base/a.hpp"\n// std::cout is only spoken of; so is sleep_for(1)\nconst char* s = "rand()";\n'
                    "// allow(volatile): the kernel writes here\nvolatile int x;\n// TODO(perf): later\n",
    "src/ws/b_test.cpp": "std::mt19937 random(1);\n",
    "src/room/CMakeLists.txt": "jamsocket_folder(room DEPS base SOURCES c.cpp)",
    "src/room/README.md": "room",
    "src/room/c.cpp": "void f(int a) {\n" + "  g();\n" * 60 + "}\nFoo::Foo(int a) : a_{a}, b_{1} {\n  h();\n}\n",
}
LONG_BODY = "  if (x) {\n    g();\n  }\n" * 40
BAD = [
    ("include", {"src/base/a.cpp": '#include "ws/b.hpp"\n'}),
    ("layers", {"src/base/CMakeLists.txt": "jamsocket_folder(base DEPS ws SOURCES a.cpp)"}),
    ("layers", {"src/room/CMakeLists.txt": "jamsocket_folder(room DEPS ws SOURCES c.cpp)"}),
    ("layers", {"src/odd/CMakeLists.txt": "jamsocket_folder(odd SOURCES c.cpp)", "src/odd/README.md": "odd"}),
    ("layers", {"src/ws/CMakeLists.txt": "jamsocket_folder(ws DEPS base nothing SOURCES b.cpp)"}),
    ("readme", {"src/ws/README.md": None}),
    ("header", {"src/base/a.hpp": "#pragma once\n"}),
    ("cout", {"src/ws/b.cpp": "void f() { std::cout << 1; }\n"}),
    ("sleep", {"tests/t.cpp": "void f() { std::this_thread::sleep_for(1s); }\n"}),
    ("sleep", {"src/ws/b.cpp": "void f() { sleep(1); }\n"}),
    ("rand", {"src/ws/b.cpp": "int f() { return rand(); }\n"}),
    ("generator", {"src/ws/b.cpp": "std::mt19937 random(1);\n"}),
    ("raw-clock", {"src/ws/b.cpp": "auto f() { return std::chrono::system_clock::now(); }\n"}),
    ("capture-all", {"examples/e.cpp": "auto f = [=] { return 1; };\n"}),
    ("capture-all", {"src/ws/b.cpp": "auto f = [=, this] { return 1; };\n"}),
    ("thread-local", {"src/ws/b.cpp": "thread_local int x;\n"}),
    ("volatile", {"src/ws/b.cpp": "// allow(volatile):\nvolatile int x;\n"}),
    ("using-std", {"examples/e.cpp": "using namespace std;\n"}),
    ("todo", {"src/ws/b.cpp": "// TODO(" + "now): x\n"}),
    ("todo", {"src/ws/b.cpp": "// TODO" + ": x\n"}),
    ("file-length", {"src/ws/b.cpp": "\n" * (FILE_LINES_MAX + 1)}),
    ("function-length", {"src/ws/b.cpp": "void f(int x) {\n" + LONG_BODY + "}\n"}),
    ("function-length", {"src/ws/b.cpp": "namespace a {\nFoo::Foo(int x) : a_{x}, b_{1} {\n" + LONG_BODY + "}\n}\n"}),
    ("function-length", {"src/ws/b.cpp": "TEST(A, B) {\n" + LONG_BODY + "}\n"}),
    ("registry", {"tests/lock.json": '"resolved": "http' + 's://registry.example.org/a.tgz"\n'}),
]


def rules_broken(tree):
    with tempfile.TemporaryDirectory() as folder:
        root = pathlib.Path(folder)
        for name, text in tree.items():
            if text is not None:
                (root / name).parent.mkdir(parents=True, exist_ok=True)
                (root / name).write_text(text)
        return {rule for rule, _ in check(root).errors}


def self_test():
    failures = 0
    broken = rules_broken(GOOD)
    if broken:
        failures += 1
        print(f"a good tree breaks {sorted(broken)}")
    for rule, change in BAD:
        broken = rules_broken({**GOOD, **change})
        if broken != {rule}:
            failures += 1
            print(f"expected {rule}, got {sorted(broken)} for {change}")
    print(f"self-test: {1 + len(BAD)} trees, {failures} failures")
    return 1 if failures else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--self-test", action="store_true")
    if parser.parse_args().self_test:
        return self_test()
    report = check(pathlib.Path(__file__).resolve().parent.parent)
    for warning in report.warnings:
        print(f"warning: {warning}")
    for _, text in report.errors:
        print(f"error: {text}")
    print(f"structure: {len(report.errors)} errors, {len(report.warnings)} warnings")
    return 1 if report.errors else 0


if __name__ == "__main__":
    sys.exit(main())
