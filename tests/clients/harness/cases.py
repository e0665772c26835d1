r"""Case tables (differential/*.case): what is sent, a row per call.

    == name of the case            a case starts with empty servers and fresh connections
    == name [resp2]                only in RESP2 (or [resp3])
    SET k v                        words are split at spaces; "..." knows \xNN \r \n \t \\ \", '...' is literal
    2> GET k                       sent on a second (third, ...) connection
    ~unordered KEYS *              how the replies are compared, see MODES; without one: byte by byte
    @gone k                        waits until EXISTS k answers 0, on both servers
    @alone                         waits until no connection but this one is left, on both servers
    # a comment

A word may hold {now+100} (unix seconds), {nowms+100000} (milliseconds) or be {x*5000} (x, 5000 times), {nul} (a zero byte).
The texts are made once, so both servers are sent the same bytes.
"""

import dataclasses
import pathlib
import re
import time

from .resp import Map, Error

FOLDER = pathlib.Path(__file__).resolve().parents[1] / "differential"


@dataclasses.dataclass
class Step:
    text: str
    connection: int
    mode: str
    words: list


@dataclasses.dataclass
class Case:
    name: str
    protocols: tuple
    steps: list


WORD = re.compile(r'''\s*("(?:[^"\\]|\\.)*"|'[^']*'|[^\s"']+)(?=\s|$)''')
ESCAPE = re.compile(rb"\\(x[0-9a-fA-F]{2}|.)", re.S)
NAMED = {b"r": b"\r", b"n": b"\n", b"t": b"\t", b"a": b"\a", b"b": b"\b"}


def split_words(line):
    words, at = [], 0
    line = line.strip()
    while at < len(line):
        match = WORD.match(line, at)
        assert match, f"cannot split: {line!r} at {line[at:]!r}"
        words.append(match.group(1))
        at = match.end()
    return words


def unquote(word):
    if word[0] == "'":
        return word[1:-1].encode()
    if word[0] != '"':
        return word.encode()

    def plain(match):
        code = match.group(1)
        return bytes([int(code[1:], 16)]) if len(code) == 3 else NAMED.get(code, code)
    return ESCAPE.sub(plain, word[1:-1].encode())


def expand(word, now_ms):
    repeated = re.fullmatch(rb"\{(.+)\*(\d+)\}", word, re.S)
    if repeated:
        return repeated.group(1) * int(repeated.group(2))

    def moment(match):
        base = now_ms if match.group(1) == b"nowms" else now_ms // 1000
        return b"%d" % (base + int(match.group(2)))
    return re.sub(rb"\{(now|nowms)([+-]\d+)\}", moment, word)


def parse_step(line):
    connection, mode = 1, "exact"
    prefix = re.match(r"(\d+)>\s+", line)
    rest = line[prefix.end():] if prefix else line
    if prefix:
        connection = int(prefix.group(1))
    chosen = re.match(r"~(\S+)\s+", rest)
    if chosen:
        mode, rest = chosen.group(1), rest[chosen.end():]
    assert mode.split(":")[0] in MODES, f"unknown mode in {line!r}"
    return Step(line, connection, mode, [unquote(word) for word in split_words(rest)])


def load(path):
    cases = []
    for number, line in enumerate(path.read_text().splitlines(), 1):
        line = line.strip()
        if not line or line.startswith("#"):
            continue
        if line.startswith("== "):
            only = re.search(r"\s*\[resp([23])\]$", line)
            protocols = (int(only.group(1)),) if only else (2, 3)
            name = line[3:only.start() if only else None].strip()
            cases.append(Case(f"{path.stem}: {name}", protocols, []))
            continue
        assert cases, f"{path}:{number}: a line before the first case"
        cases[-1].steps.append(parse_step(line))
    names = [case.name for case in cases]
    assert len(set(names)) == len(names), f"{path}: two cases of one name: {set(n for n in names if names.count(n) > 1)}"
    return cases


def load_all():
    return [case for path in sorted(FOLDER.glob("*.case")) for case in load(path)]


# --- comparison ---------------------------------------------------------------------------------------------------

def exact(raw, value, _argument):
    return raw


def shape(raw, value, _argument):
    """The types only, an error by its text."""
    if isinstance(value, Error):
        return raw
    if isinstance(value, list) and value:
        return type(value).__name__, shape(b"", value[0], "")
    return type(value).__name__


def unordered(raw, value, _argument):
    """Elements in any order (pairs, in a RESP3 map)."""
    if isinstance(value, list):
        return raw[:raw.find(b"\r\n")], sorted(map(repr, value))
    return raw


def pairs(raw, value, _argument):
    """Field and value alternating, in any order of the pairs."""
    if isinstance(value, list) and not isinstance(value, Map) and all(not isinstance(v, list) for v in value):
        return len(value), sorted(zip(map(repr, value[::2]), map(repr, value[1::2])))
    return unordered(raw, value, _argument)


def scan(raw, value, argument):
    """[cursor, elements]: cursors only by being zero, elements in any order (scan:pairs: as pairs)."""
    if not isinstance(value, list) or len(value) != 2:
        return raw
    inner = pairs if argument == "pairs" else unordered
    return value[0] == b"0", type(value[0]).__name__, inner(raw, value[1], "")


def error_kind(raw, value, _argument):
    """An error by its first word only."""
    return raw.split(b" ")[0] if isinstance(value, Error) else raw


def hello(raw, value, _argument):
    """Byte by byte, but for HELLO's connection id and version."""
    raw = re.sub(rb"(\$2\r\nid\r\n:)\d+", rb"\1N", raw)
    return re.sub(rb"(\$7\r\nversion\r\n)\$\d+\r\n[\d.]+", rb"\1V", raw)


def skip(raw, value, _argument):
    return None


class Near:
    """An integer that equals another within a tolerance; negative ones exactly."""

    def __init__(self, value, tolerance):
        self.value, self.tolerance = value, tolerance

    def __eq__(self, other):
        if self.value < 0 or other.value < 0:
            return self.value == other.value
        return abs(self.value - other.value) <= self.tolerance

    def __repr__(self):
        return f"about {self.value}"


def near(raw, value, argument):
    if isinstance(value, list):
        return [near(b"%r" % item if not isinstance(item, int) else b"", item, argument) for item in value]
    return Near(value, int(argument or 1)) if isinstance(value, int) else raw


MODES = {"exact": exact, "shape": shape, "unordered": unordered, "pairs": pairs, "scan": scan, "error": error_kind,
         "hello": hello, "skip": skip, "near": near}

# How commands whose replies are legitimately unequal are compared where no mode is written.
BY_COMMAND = {
    b"KEYS": "unordered", b"HKEYS": "unordered", b"HVALS": "unordered", b"HGETALL": "pairs",
    b"SCAN": "scan", b"HSCAN": "scan:pairs",
    b"TTL": "near:1", b"PTTL": "near:1500", b"EXPIRETIME": "near:1", b"PEXPIRETIME": "near:1500",
    b"TIME": "shape", b"LASTSAVE": "shape",
}


def by_command(words):
    name = words[0].upper()
    if name in (b"SCAN", b"HSCAN"):
        cursor = words[1 if name == b"SCAN" else 2:][:1]
        return BY_COMMAND[name] if cursor == [b"0"] else "shape"  # a made-up cursor may show any part
    if name == b"COMMAND" and len(words) == 1:
        return "shape"
    return BY_COMMAND.get(name, "exact")


def comparable(words, raw, value, mode="exact"):
    if mode == "exact" and words:
        mode = by_command(words)
    name, _, argument = mode.partition(":")
    return MODES[name](raw, value, argument)


def now_ms():
    return int(time.time() * 1000)
