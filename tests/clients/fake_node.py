"""A node for the clients' tests: answers find_successor with itself, keeps uploads in memory, can misbehave.

It listens on the fixed ports of a node, on an address of its own, so that the unchanged clients can talk to it.
"""

import re
import socket
import socketserver
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote

from chord_rpc import pack, unpack


class FakeNode:
    """Set `answers[method]` to bytes to send instead of the proper answer, `status` to refuse HTTP requests."""

    def __init__(self, ip):
        self.ip = ip
        self.calls = []
        self.answers = {}
        self.files = {}
        self.uploads = 0
        self.status = None
        self.cut_body_at = None
        self.piecewise = False
        self._servers = [_RpcServer((ip, 5057), _RpcHandler), _HttpServer((ip, 5058), _HttpHandler)]
        for server in self._servers:
            server.node = self
            threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()

    def close(self):
        for server in self._servers:
            server.shutdown()
            server.server_close()


class _RpcServer(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True

    def handle_error(self, request, client_address):
        """A client that hangs up is part of the tests."""


class _HttpServer(ThreadingHTTPServer):
    allow_reuse_address = True

    def handle_error(self, request, client_address):
        """The same."""


class _RpcHandler(socketserver.BaseRequestHandler):
    def handle(self):
        node = self.server.node
        received = b""
        while True:
            piece = self.request.recv(4096)
            if not piece:
                return
            received += piece
            decoded = unpack(received)
            if decoded is None:
                continue
            (_, message_id, method, params), used = decoded
            received = received[used:]
            node.calls.append((method, params))
            answer = node.answers.get(method)
            if answer is None:
                result = [node.ip, 5057, 1] if method == "find_successor" else None
                answer = pack([1, message_id, None, result])
            for part in [answer[i : i + 1] for i in range(len(answer))] if node.piecewise else [answer]:
                self.request.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self.request.sendall(part)


class _HttpHandler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_POST(self):
        node = self.server.node
        if node.status is not None:
            # As a real node refuses: before the body is read, and then the connection goes.
            self.close_connection = True
            self.reply(node.status, b"VOLUME_FULL\nmore")
            return
        body = self.rfile.read(int(self.headers["Content-Length"]))
        boundary = self.headers["Content-Type"].split("boundary=")[1].encode()
        part = body.split(b"--" + boundary)[1]
        head, content = part[2:-2].split(b"\r\n\r\n", 1)
        quoted = re.search(rb'name="files"; filename="((?:[^"\\]|\\.)*)"', head).group(1)
        name = re.sub(rb'\\(["\\])', rb"\1", quoted).decode()
        node.files[name] = content
        node.uploads += 1
        self.reply(204, b"")

    def do_GET(self):
        node = self.server.node
        content = node.files.get(unquote(self.path[1:]))
        if node.status is not None or content is None:
            self.reply(node.status or 404, b"<html>an error page</html>")
        elif node.cut_body_at is not None:
            self.close_connection = True
            self.reply(200, content[: node.cut_body_at], len(content))
        else:
            self.reply(200, content)

    def reply(self, status, body, length=None):
        self.send_response(status)
        self.send_header("Content-Length", str(len(body) if length is None else length))
        self.end_headers()
        self.wfile.write(body)
