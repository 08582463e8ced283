"""One MessagePack-RPC call to a Chord node, with nothing but the standard library.

A request is the array [0, msgid, method, params], the answer [1, msgid, error, result]; messages follow each other
on the connection without framing, and one may arrive in any number of pieces. The codec below knows exactly the
types that nodes and clients exchange: nil, booleans, integers, strings, binaries and arrays.
"""

import socket
import struct

CHORD_PORT = 5057

# Both are generous for one small message; raise them only for links slower than any we know of.
CONNECT_TIMEOUT_S = 10
ANSWER_TIMEOUT_S = 30

# A Node is under 100 bytes. What is larger than this is not an answer, and must not fill our memory.
MAX_ANSWER_BYTES = 64 * 1024
MAX_DEPTH = 8


class RpcError(Exception):
    """The node could not be reached, did not answer in time, or answered with an error."""


class _Incomplete(Exception):
    """The bytes so far are the beginning of a message."""


def pack(value):
    """Encodes one value; lists may nest."""
    if value is None:
        return b"\xc0"
    if isinstance(value, bool):
        return b"\xc3" if value else b"\xc2"
    if isinstance(value, int):
        return _pack_integer(value)
    if isinstance(value, str):
        encoded = value.encode("utf-8")
        # The oldest peers know neither str8 nor bin, so the two forms that every version reads are used.
        if len(encoded) < 32:
            return struct.pack("B", 0xA0 | len(encoded)) + encoded
        return struct.pack(">BH", 0xDA, len(encoded)) + encoded
    if isinstance(value, (list, tuple)) and len(value) < 16:
        return struct.pack("B", 0x90 | len(value)) + b"".join(pack(item) for item in value)
    raise TypeError("cannot encode %r" % (value,))


def _pack_integer(value):
    if 0 <= value < 0x80:
        return struct.pack("B", value)
    for code, form, low, high in (
        (0xCC, ">BB", 0, 0xFF),
        (0xCD, ">BH", 0, 0xFFFF),
        (0xCE, ">BI", 0, 0xFFFFFFFF),
        (0xD3, ">Bq", -(2**63), 2**63 - 1),
    ):
        if low <= value <= high:
            return struct.pack(form, code, value)
    raise ValueError("integer out of range: %d" % value)


# First byte: how many bytes of big-endian length or value follow it.
_INTEGERS = {0xCC: ">B", 0xCD: ">H", 0xCE: ">I", 0xCF: ">Q", 0xD0: ">b", 0xD1: ">h", 0xD2: ">i", 0xD3: ">q"}
_STRINGS = {0xD9: ">B", 0xDA: ">H", 0xDB: ">I"}
_BINARIES = {0xC4: ">B", 0xC5: ">H", 0xC6: ">I"}
_ARRAYS = {0xDC: ">H", 0xDD: ">I"}
_CONSTANTS = {0xC0: None, 0xC2: False, 0xC3: True}


class _Reader:
    def __init__(self, data):
        self.data = data
        self.position = 0

    def take(self, count):
        if self.position + count > len(self.data):
            raise _Incomplete
        piece = self.data[self.position : self.position + count]
        self.position += count
        return piece

    def number(self, form):
        return struct.unpack(form, self.take(struct.calcsize(form)))[0]

    def value(self, depth=0):
        first = self.number("B")
        if first < 0x80:
            return first
        if first >= 0xE0:
            return first - 0x100
        if first in _CONSTANTS:
            return _CONSTANTS[first]
        if first in _INTEGERS:
            return self.number(_INTEGERS[first])
        if 0xA0 <= first < 0xC0:
            return _text(self.take(first & 0x1F))
        if first in _STRINGS:
            return _text(self.take(self.number(_STRINGS[first])))
        if first in _BINARIES:
            return self.take(self.number(_BINARIES[first]))
        if 0x90 <= first < 0xA0:
            return self.items(first & 0x0F, depth)
        if first in _ARRAYS:
            return self.items(self.number(_ARRAYS[first]), depth)
        raise ValueError("unexpected type byte 0x%02x" % first)

    def items(self, count, depth):
        # Every item takes a byte at least, so a greater count can never be satisfied.
        if count > MAX_ANSWER_BYTES or depth >= MAX_DEPTH:
            raise ValueError("nested or long beyond any answer")
        return [self.value(depth + 1) for _ in range(count)]


def _text(data):
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return data


def unpack(data):
    """Decodes the first value of `data`, or returns None when only its beginning is there.

    Returns a pair (value, bytes used). Raises ValueError for what can never become a message.
    """
    reader = _Reader(data)
    try:
        return reader.value(), reader.position
    except _Incomplete:
        return None


def as_text(value):
    """Old peers send strings as binaries; both mean text here."""
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


class Client:
    """One connection to one node. Use it as a context manager."""

    def __init__(self, ip, port=CHORD_PORT):
        self._where = "%s:%d" % (ip, port)
        self._last_id = 0
        self._received = b""
        try:
            self._socket = socket.create_connection((ip, port), CONNECT_TIMEOUT_S)
        except OSError as error:
            raise RpcError("cannot reach the node at %s: %s" % (self._where, error)) from error
        self._socket.settimeout(ANSWER_TIMEOUT_S)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._socket.close()

    def call(self, method, *params):
        """Calls `method` and returns its result. Raises RpcError."""
        self._last_id += 1
        try:
            self._socket.sendall(pack([0, self._last_id, method, list(params)]))
            while True:
                message = self._receive()
                # Whatever is not the answer to this call (a notification, a late answer) is passed over.
                if isinstance(message, list) and message[:2] == [1, self._last_id] and len(message) == 4:
                    break
        except socket.timeout:
            problem = "%s did not answer %s within %d s" % (self._where, method, ANSWER_TIMEOUT_S)
            raise RpcError(problem) from None
        except (OSError, ValueError) as error:
            raise RpcError("calling %s on %s failed: %s" % (method, self._where, error)) from error
        if message[2] is not None:
            raise RpcError("%s refused %s: %s" % (self._where, method, as_text(message[2])))
        return message[3]

    def _receive(self):
        while True:
            decoded = unpack(self._received)
            if decoded is not None:
                message, used = decoded
                self._received = self._received[used:]
                return message
            if len(self._received) > MAX_ANSWER_BYTES:
                raise ValueError("the answer is larger than any answer can be")
            piece = self._socket.recv(4096)
            if not piece:
                raise ValueError("the node closed the connection")
            self._received += piece
