"""A server on loopback in front of another one, which holds requests, loses answers, or answers something else."""

import http.client
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

HOP_BY_HOP = {"connection", "transfer-encoding", "content-length", "host", "keep-alive"}


class Proxy:
    """Passes requests on, each in a thread of its own.

    Attributes:
        requests: Method and path of each request, in order.
        gate: Requests wait until it is set.
        lose_answer: Asked of each request that was answered; where it says so, the connection is cut instead.
        headers: Put into each request.
        answer: Status and body that take the place of the server's.
    """

    def __init__(self, port: int) -> None:
        self.upstream = port
        self.requests: list[str] = []
        self.arrived = threading.Event()
        self.gate = threading.Event()
        self.gate.set()
        self.lose_answer: Callable[[str], bool] = lambda request: False
        self.headers: dict[str, str] = {}
        self.answer: tuple[int, bytes] | None = None
        self.url = ""

    def pass_on(self, handler: BaseHTTPRequestHandler) -> None:
        request = f"{handler.command} {handler.path}"
        body = handler.rfile.read(int(handler.headers.get("Content-Length") or 0))
        self.requests.append(request)
        self.arrived.set()
        self.gate.wait()
        if self.answer is not None:
            status, content, headers = *self.answer, {"Content-Type": "text/html"}
        else:
            sent = {name: value for name, value in handler.headers.items() if name.lower() not in HOP_BY_HOP}
            connection = http.client.HTTPConnection("127.0.0.1", self.upstream, timeout=60)
            try:
                connection.request(handler.command, handler.path, body, sent | self.headers)
                answer = connection.getresponse()
                status, content = answer.status, answer.read()
                headers = {name: value for name, value in answer.getheaders() if name.lower() not in HOP_BY_HOP}
            except OSError:
                handler.close_connection = True
                return
            finally:
                connection.close()
        if self.lose_answer(request):
            handler.close_connection = True
            return
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name, value)
        handler.send_header("Content-Length", str(len(content)))
        handler.end_headers()
        handler.wfile.write(content)


@contextmanager
def passing_on(port: int) -> Iterator[Proxy]:
    """A proxy in front of a port of this machine."""
    proxy = Proxy(port)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            proxy.pass_on(self)

        do_POST = do_PUT = do_PATCH = do_DELETE = do_GET

        def log_message(self, *_: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        server.block_on_close = False
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        proxy.url = f"http://127.0.0.1:{server.server_address[1]}"
        try:
            yield proxy
        finally:
            proxy.gate.set()
            server.shutdown()
            thread.join()
