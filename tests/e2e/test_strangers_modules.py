"""Modules that are no services, or would tie up whoever compiles them (W-02, W-03, W-06 to W-10): each is offered to a running
server by its operator, is refused with a sentence, and a hundred healthy rooms go on meanwhile on the other listener.
"""

import pytest
from harness.zoo import GUESTS, Zoo

I32, FUNCTION, MEMORY, GLOBAL = b"\x7f", 0, 2, 3


def leb(number):
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes(out) + bytes([number])


def signed(number):
    """As LEB128, of what fits one or more groups of 7 bits."""
    out = bytearray()
    while not -64 <= number < 64:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes(out) + bytes([number & 0x7F])


def vector(items):
    return leb(len(items)) + b"".join(items)


def name(text):
    return leb(len(text)) + text.encode()


def section(kind, payload):
    return bytes([kind]) + leb(len(payload)) + payload


def body(code, local_groups=b"\0"):
    whole = local_groups + code + b"\x0b"
    return leb(len(whole)) + whole


def service(more_functions=(), memory=b"\0\1", table=b"", elements=b"", data=b"", more_exports=()):
    """A service that does nothing, with `more_functions`: bodies of functions that take and give nothing."""
    types = vector([b"\x60\x02" + I32 * 2 + b"\0", b"\x60\x01" + I32 + b"\x01" + I32, b"\x60\0\0"])
    functions = vector([leb(0), leb(1), leb(0)] + [leb(2)] * len(more_functions))
    globals_ = vector([I32 + b"\0\x41" + signed(at) + b"\x0b" for at in (16, 20)])
    exports = vector([name(text) + bytes([kind]) + leb(index) for text, kind, index in (
        ("memory", MEMORY, 0), ("initialize", FUNCTION, 0), ("jam_malloc", FUNCTION, 1), ("jam_free", FUNCTION, 2),
        ("JAMSOCKET_API_VERSION", GLOBAL, 0), ("JAMSOCKET_API_PROTOCOL", GLOBAL, 1))] + list(more_exports))
    code = vector([body(b""), body(b"\x41\x80\x08"), body(b"")] + list(more_functions))
    version = b"\0\x41\x10\x0b\x08\1\0\0\0\0\0\0\0"
    return (b"\0asm\1\0\0\0" + section(1, types) + section(3, functions) + (section(4, table) if table else b"")
            + section(5, leb(1) + memory) + section(6, globals_) + section(7, exports)
            + (section(9, elements) if elements else b"") + section(10, code)
            + section(11, vector([version] + ([data] if data else []))))


def heavy(size):
    """The body of a function that takes some 10 ms to compile for each 100 KiB."""
    return body(b"\x41\0" + b"\x41\x07\x6a\x41\x03\x6c" * (size // 6) + b"\x1a")


GOOD = service()
REFUSED = {
    "text": (lambda: b"hello", "not a WebAssembly module"),
    "compiled": (lambda: b"\x7fELF\2\1\1" + bytes(100), ".cwasm"),
    "component": (lambda: b"\0asm\x0d\0\1\0", "component"),
    "version 2": (lambda: b"\0asm\2\0\0\0" + GOOD[8:], "version"),
    "half of one": (lambda: GOOD[:len(GOOD) // 2], "cut short"),
    "sections in another order": (lambda: GOOD + section(1, b"\0"), "out of order"),
    "100 MiB": (lambda: GOOD + section(0, name("x") + bytes(100 << 20)), "at most 33554432"),
    "a million functions": (lambda: service([body(b"")] * 1_000_000), "functions"),
    "a million locals": (lambda: service([body(b"", vector([leb(1_000_000) + I32]))]), "local variables"),
    "blocks in blocks": (lambda: service([body(b"\x02\x40" * 100_000 + b"\x0b" * 100_000)]), "nested blocks"),
    "a br_table of ten million": (lambda: service([body(b"\x41\0\x0e" + leb(10_000_000) + bytes(10_000_001))]), "bytes"),
    "a huge function": (lambda: service([heavy(8 << 20)]), "bytes"),
    "4 GiB at once": (lambda: service(memory=b"\0" + leb(65_536)), "pages of memory"),
    "a memory that shrinks": (lambda: service(memory=b"\1\5\2"), "below its minimum"),
    "a shared memory": (lambda: service(memory=b"\3\1\2"), ""),
    "a memory of 64 bits": (lambda: service(memory=b"\4\1"), ""),
    "a table of 4 billion": (lambda: service(table=vector([b"\x70\0" + leb(2**32 - 1)])), ""),
    "a table of 64 bits": (lambda: service(table=vector([b"\x70\4" + leb(2**63)])), ""),
    "10,000 memories": (lambda: GOOD.replace(section(5, leb(1) + b"\0\1"), section(5, vector([b"\0\1"] * 10_000))), "memories"),
    "10,000 tables": (lambda: service(table=vector([b"\x70\0\1"] * 10_000)), "tables"),
    "a million exports": (lambda: service(more_exports=[name(f"prefix-{i}") + bytes([FUNCTION]) + leb(0)
                                                        for i in range(1_000_000)]), "exports"),
    "data outside its memory": (lambda: service(data=b"\0\x41" + signed(65_535) + b"\x0b\2ab"), "cannot be started"),
    "no memory": (lambda: GOOD.replace(name("memory"), name("memori")), "memory"),
    "an import nobody has": (lambda: GOOD[:8] + section(1, vector([b"\x60\0\0"])) + section(
        2, vector([name("env") + name("launch") + b"\0\0"])), "launch"),
}


@pytest.fixture(scope="module")
def zoo(tmp_path_factory):
    folder = tmp_path_factory.mktemp("strangers")
    settings = {"modules.compile_cpu_seconds_max": 2, "modules.compile_memory_bytes_max": "1GiB"}
    with Zoo(folder, GUESTS / "zoo.wasm", settings) as made:
        made.folder = folder
        yield made


def offer(zoo, what):
    path = zoo.folder / "offered.wasm"
    path.write_bytes(what)
    return zoo.ask("/admin/services/offered", "POST", {"module": str(path)})


@pytest.mark.parametrize("kind", REFUSED)
def test_what_is_no_service_is_refused_with_a_sentence(zoo, kind):
    make, words = REFUSED[kind]
    status, answer = offer(zoo, make())
    assert status in (400, 500) and words in answer["error"], answer
    zoo.look()


def test_a_service_that_does_nothing_is_taken(zoo):
    assert offer(zoo, GOOD) == (200, {"serving": True})
    zoo.look()
    assert zoo.ask("/admin/services/offered", "DELETE") == (200, {"removed": True})


def test_data_and_elements_of_the_largest_size_are_taken(zoo):
    pages, elements = 400, 100_000
    filled = b"\0\x41" + signed(64) + b"\x0b" + leb(20 << 20) + b"\x55" * (20 << 20)
    made = service(memory=b"\0" + leb(pages), table=vector([b"\x70\0" + leb(elements)]), data=filled,
                   elements=vector([b"\0\x41\0\x0b" + vector([leb(0)] * elements)]))
    assert offer(zoo, made) == (200, {"serving": True})
    zoo.look()
    assert zoo.ask("/admin/services/offered", "DELETE") == (200, {"removed": True})


def test_one_that_takes_too_long_to_compile_is_given_up(zoo):
    status, answer = offer(zoo, service([heavy(1 << 20)] * 28))
    assert status == 500 or status == 400, answer
    assert "modules.compile_" in answer["error"] and "allowed" in answer["error"], answer
    zoo.look()


def test_one_that_needs_too_much_memory_to_compile_is_given_up(tmp_path):
    with Zoo(tmp_path, GUESTS / "zoo.wasm", {"modules.compile_memory_bytes_max": "256MiB"}) as zoo:
        zoo.folder = tmp_path
        status, answer = offer(zoo, service([heavy(1 << 20)] * 28))
        assert status in (400, 500) and "modules.compile_memory_bytes_max" in answer["error"], answer
        zoo.look()
        assert zoo.server.alive()
