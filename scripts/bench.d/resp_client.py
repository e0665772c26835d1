"""A blocking RESP2 client for single commands; the load itself comes from loadgen."""

import socket


class ServerGone(Exception):
    pass


class ErrorReply(Exception):
    pass


class RespClient:
    CHUNK_BYTES = 64 * 1024

    def __init__(self, port, timeout_s):
        self._socket = socket.create_connection(("127.0.0.1", port), timeout_s)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._input = bytearray(self.CHUNK_BYTES)
        self._view = memoryview(self._input)
        self._begin = self._end = 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._socket.close()

    def call(self, *arguments):
        """Sends one command and returns its reply: str, int, bytes, None or a list. Raises ErrorReply."""
        self.send(*arguments)
        return self.reply()

    def send(self, *arguments):
        """Chunks of 64 KB, so that no single system call keeps the core from a more urgent process."""
        parts = [b"*%d\r\n" % len(arguments)]
        for argument in arguments:
            data = argument if isinstance(argument, bytes) else str(argument).encode()
            parts += [b"$%d\r\n" % len(data), data, b"\r\n"]
        message = memoryview(b"".join(parts))
        for at in range(0, len(message), self.CHUNK_BYTES):
            self._socket.sendall(message[at:at + self.CHUNK_BYTES])

    def reply(self):
        line = self._line()
        kind, text = line[:1], line[1:]
        if kind == b"+":
            return text.decode()
        if kind == b"-":
            raise ErrorReply(text.decode())
        if kind == b":":
            return int(text)
        if kind == b"$":
            return None if int(text) < 0 else self._bulk(int(text))
        if kind == b"*":
            return None if int(text) < 0 else [self.reply() for _ in range(int(text))]
        raise ServerGone(f"unexpected reply {line!r}")

    def info(self, section):
        text = self.call("INFO", section).decode()
        return dict(line.split(":", 1) for line in text.splitlines() if ":" in line)

    def _fill(self):
        if self._begin == self._end:
            self._begin = self._end = 0
        elif self._end == len(self._input):
            rest = bytes(self._view[self._begin:self._end])
            self._input[:len(rest)] = rest
            self._begin, self._end = 0, len(rest)
        received = self._socket.recv_into(self._view[self._end:])
        if received == 0:
            raise ServerGone("the server closed the connection")
        self._end += received

    def _line(self):
        while (newline := self._input.find(b"\r\n", self._begin, self._end)) < 0:
            self._fill()
        line = bytes(self._view[self._begin:newline])
        self._begin = newline + 2
        return line

    def _bulk(self, length):
        pieces = []
        missing = length + 2
        while missing > 0:
            if self._begin == self._end:
                self._fill()
            step = min(missing, self._end - self._begin)
            pieces.append(bytes(self._view[self._begin:self._begin + step]))
            self._begin += step
            missing -= step
        return b"".join(pieces)[:length]
