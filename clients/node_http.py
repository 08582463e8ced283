"""Uploads to and downloads from one node's file server, streaming, with nothing but the standard library."""

import http.client
import os
import socket
import stat
import tempfile
from urllib.parse import quote

HTTP_PORT = 5058

CONNECT_TIMEOUT_S = 10
# How long a transfer may stand still. An upload is answered only when all its copies are on disk,
# so this also covers the wait after the last byte.
STALL_TIMEOUT_S = 120

PIECE_BYTES = 1024 * 1024
# Enough of an error's body to show what it says.
MAX_ERROR_BYTES = 2048

BOUNDARY = "chordfs-" + os.urandom(16).hex()


class TransferError(Exception):
    """The transfer did not happen, and nothing was left behind."""


def file_name_of(path):
    """The name under which a file is stored: what follows the last slash."""
    return path.rsplit("/", 1)[-1]


def check_readable(path):
    """Raises TransferError unless `path` is a regular file with a name that can be uploaded."""
    name = file_name_of(path)
    try:
        mode = os.stat(path).st_mode
    except OSError as error:
        raise TransferError("cannot read %s: %s" % (path, error.strerror)) from error
    if not stat.S_ISREG(mode):
        raise TransferError("cannot upload %s: it is not a regular file" % path)
    if "\r" in name or "\n" in name:
        raise TransferError("cannot upload %r: a name cannot hold a line break" % name)


def upload(path, ip, port=HTTP_PORT):
    """POSTs the file as the multipart field `files`. Raises TransferError unless the node took it."""
    check_readable(path)
    try:
        with open(path, "rb") as source:
            _upload_stream(source, file_name_of(path), ip, port)
    except PermissionError as error:
        raise TransferError("cannot read %s: %s" % (path, error.strerror)) from error


def _upload_stream(source, name, ip, port):
    size_bytes = os.fstat(source.fileno()).st_size
    # A backslash and a quote are escaped as in any quoted string; every other character stands for itself.
    quoted = name.replace("\\", "\\\\").replace('"', '\\"')
    head = (
        '--%s\r\nContent-Disposition: form-data; name="files"; filename="%s"\r\n'
        "Content-Type: application/octet-stream\r\n\r\n" % (BOUNDARY, quoted)
    ).encode("utf-8", "surrogateescape")
    tail = ("\r\n--%s--\r\n" % BOUNDARY).encode("ascii")
    with _connected(ip, port) as connection:
        connection.putrequest("POST", "/upload")
        connection.putheader("Content-Type", "multipart/form-data; boundary=" + BOUNDARY)
        connection.putheader("Content-Length", str(len(head) + size_bytes + len(tail)))
        connection.endheaders()
        try:
            connection.send(head)
            _send_exactly(connection, source, size_bytes)
            connection.send(tail)
        except (BrokenPipeError, ConnectionResetError):
            # A node that refuses an upload answers and closes before it has read everything: what it said counts.
            pass
        _expect_success(connection.getresponse())


def _send_exactly(connection, source, size_bytes):
    left = size_bytes
    while left > 0:
        piece = source.read(min(PIECE_BYTES, left))
        if not piece:
            raise TransferError("the file became shorter while it was read; nothing was stored")
        connection.send(piece)
        left -= len(piece)


def download(name, ip, port=HTTP_PORT):
    """GETs a file and writes it to `name`, which appears whole or not at all. Raises TransferError."""
    with _connected(ip, port) as connection:
        path = "/" + quote(name.encode("utf-8", "surrogateescape"), safe="")
        connection.request("GET", path, headers={"Accept-Encoding": "identity"})
        response = connection.getresponse()
        _expect_success(response)
        _write_whole(response, name)


def _write_whole(response, name):
    folder = os.path.dirname(name) or "."
    try:
        handle, unfinished = tempfile.mkstemp(prefix=".chordfs-", suffix=".part", dir=folder)
    except OSError as error:
        raise TransferError("cannot write to %s: %s" % (folder, error.strerror)) from error
    try:
        # Unbuffered, so that a full disk is noticed at the write and not at some later flush.
        with os.fdopen(handle, "wb", buffering=0) as target:
            for piece in _pieces(response):
                _write_all(target, piece)
        _publish(unfinished, name)
    except BaseException:
        _remove(unfinished)
        raise


def _pieces(response):
    expected_bytes = response.length
    received_bytes = 0
    while True:
        piece = response.read(PIECE_BYTES)
        if not piece:
            break
        received_bytes += len(piece)
        yield piece
    # With a size given, `read` reports a body that ends too early as its end.
    if expected_bytes is not None and received_bytes < expected_bytes:
        problem = "the connection ended after %d of %d bytes" % (received_bytes, expected_bytes)
        raise TransferError(problem + "; nothing was written")


def _write_all(target, piece):
    view = memoryview(piece)
    while view:
        try:
            view = view[target.write(view) :]
        except OSError as error:
            raise TransferError("cannot write the file: %s" % error.strerror) from error


def _publish(unfinished, name):
    # A temporary file is private; the finished one gets the permissions that any new file would.
    umask = os.umask(0)
    os.umask(umask)
    try:
        os.chmod(unfinished, 0o666 & ~umask)
        os.replace(unfinished, name)
    except OSError as error:
        raise TransferError("cannot write %s: %s" % (name, error.strerror)) from error


def _remove(path):
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass


def _expect_success(response):
    if 200 <= response.status < 300:
        return
    body = response.read(MAX_ERROR_BYTES).decode("utf-8", "replace").strip()
    # The body of an error may be a page; a line of it is enough beside the status.
    said = "" if "<" in body or not body else ": " + body.splitlines()[0]
    raise TransferError("the node answered %d %s%s" % (response.status, response.reason, said))


class _connected:
    """A connection whose failures, whenever they come, are TransferErrors that name the node."""

    def __init__(self, ip, port):
        self._where = "http://%s:%d" % (ip, port)
        self._connection = http.client.HTTPConnection(ip, port, timeout=CONNECT_TIMEOUT_S)

    def __enter__(self):
        try:
            self._connection.connect()
        except OSError as error:
            raise TransferError("cannot reach %s: %s" % (self._where, error)) from error
        self._connection.sock.settimeout(STALL_TIMEOUT_S)
        return self._connection

    def __exit__(self, _, error, __):
        self._connection.close()
        # Since Python 3.10 the first is an alias of the second.
        if isinstance(error, (socket.timeout, TimeoutError)):
            problem = "%s stood still for %d s" % (self._where, STALL_TIMEOUT_S)
            raise TransferError(problem) from error
        if isinstance(error, (OSError, http.client.HTTPException)):
            raise TransferError("talking to %s failed: %s" % (self._where, error or type(error).__name__)) from error
