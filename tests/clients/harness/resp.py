"""A RESP socket that shows the exact bytes, and a small parser for both protocols.

Parsed values: simple string -> Simple, error -> Error, bulk -> bytes, integer -> int, null -> None, array -> list,
map -> Map (list of pairs), set -> Set (list), push -> Push (list), double -> Double, boolean -> bool,
big number -> Big, verbatim -> Verbatim. Distinct types, so that values compare equal only if the wire type is the same.
"""

import socket


class Simple(str):
    pass


class Error(str):
    pass


class Double(str):
    pass


class Big(str):
    pass


class Verbatim(bytes):
    pass


class Map(list):
    pass


class Set(list):
    pass


class Push(list):
    pass


class Incomplete(Exception):
    pass


def parse(buffer, at=0):
    """One value from buffer[at:]; returns (value, end). Raises Incomplete when bytes are missing."""
    end = buffer.find(b"\r\n", at)
    if end < 0:
        raise Incomplete
    kind, line, after = bytes(buffer[at:at + 1]), bytes(buffer[at + 1:end]), end + 2
    if kind == b"+":
        return Simple(line.decode("latin-1")), after
    if kind == b"-":
        return Error(line.decode("latin-1")), after
    if kind == b":":
        return int(line), after
    if kind == b"_":
        return None, after
    if kind == b",":
        return Double(line.decode()), after
    if kind == b"#":
        return line == b"t", after
    if kind == b"(":
        return Big(line.decode()), after
    if kind in b"$=!":
        size = int(line)
        if size < 0:
            return None, after
        if len(buffer) < after + size + 2:
            raise Incomplete
        body = bytes(buffer[after:after + size])
        assert buffer[after + size:after + size + 2] == b"\r\n", "bulk without its CRLF"
        made = {b"$": bytes, b"=": Verbatim, b"!": lambda b: Error(b.decode("latin-1"))}[kind](body)
        return made, after + size + 2
    if kind in b"*~>%":
        count = int(line)
        if count < 0:
            return None, after
        items = []
        for _ in range(count * (2 if kind == b"%" else 1)):
            item, after = parse(buffer, after)
            items.append(item)
        if kind == b"%":
            return Map(list(pair) for pair in zip(items[::2], items[1::2])), after
        return {b"*": list, b"~": Set, b">": Push}[kind](items), after
    raise AssertionError(f"not a RESP reply: {bytes(buffer[at:at + 80])!r}")


def to_bytes(argument):
    if isinstance(argument, bytes):
        return argument
    return str(argument).encode("latin-1" if isinstance(argument, str) and argument.isascii() else "utf-8")


def encode(*arguments):
    parts = [b"*%d\r\n" % len(arguments)]
    for argument in map(to_bytes, arguments):
        parts.append(b"$%d\r\n%s\r\n" % (len(argument), argument))
    return b"".join(parts)


class Closed(ConnectionError):
    """The server closed the connection; `rest` holds what came before the end, unparsed."""

    def __init__(self, rest=b""):
        super().__init__(f"the server closed the connection, unparsed bytes: {rest[:200]!r}")
        self.rest = rest


class Connection:
    def __init__(self, host, port, timeout_s=20):
        self.socket = socket.create_connection((host, port), timeout=timeout_s)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = bytearray()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.socket.close()

    def send(self, data):
        self.socket.sendall(data)

    def _fill(self):
        try:
            data = self.socket.recv(1 << 16)
        except ConnectionResetError:
            data = b""
        if not data:
            raise Closed(bytes(self.buffer))
        self.buffer += data

    def read_raw(self):
        """The exact bytes of one reply."""
        return self.read_both()[0]

    def read_both(self):
        while True:
            try:
                value, end = parse(self.buffer)
            except Incomplete:
                self._fill()
                continue
            raw = bytes(self.buffer[:end])
            del self.buffer[:end]
            return raw, value

    def read(self):
        return self.read_both()[1]

    def call_raw(self, *arguments):
        self.send(encode(*arguments))
        return self.read_raw()

    def call(self, *arguments):
        """The parsed reply; an error reply is returned, not raised."""
        self.send(encode(*arguments))
        return self.read()

    def pipeline(self, commands, batch=300):
        """[(raw, value)] for each command, sent in batches so that neither side's buffers fill up."""
        replies = []
        for start in range(0, len(commands), batch):
            part = commands[start:start + batch]
            self.send(b"".join(encode(*command) for command in part))
            replies.extend(self._read_many(len(part)))
        return replies

    def _read_many(self, count):
        replies, at = [], 0
        while len(replies) < count:
            try:
                value, end = parse(self.buffer, at)
            except Incomplete:
                del self.buffer[:at]
                at = 0
                self._fill()
                continue
            replies.append((bytes(self.buffer[at:end]), value))
            at = end
        del self.buffer[:at]
        return replies

    def read_to_end(self, quiet_s=0.3):
        """(bytes, closed): all that arrives until the server closes, or until it says nothing for quiet_s."""
        data, self.buffer = bytes(self.buffer), bytearray()
        before = self.socket.gettimeout()
        self.socket.settimeout(quiet_s)
        try:
            while True:
                part = self.socket.recv(1 << 16)
                if not part:
                    return data, True
                data += part
        except ConnectionResetError:
            return data, True
        except TimeoutError:
            return data, False
        finally:
            self.socket.settimeout(before)
