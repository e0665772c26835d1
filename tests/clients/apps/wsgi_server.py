"""Serves a WSGI application on 127.0.0.1:$PORT until it is stopped."""

import os
from wsgiref.simple_server import WSGIRequestHandler, make_server


class Quiet(WSGIRequestHandler):
    def log_message(self, *_):
        pass


def serve(application):
    make_server("127.0.0.1", int(os.environ["PORT"]), application, handler_class=Quiet).serve_forever()
