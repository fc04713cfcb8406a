"""A WSGI application: each request has the worker keep a hundred blocks, and is told which worker that was."""

import os

kept = []


def app(environ, start_response):
    for _ in range(100):
        kept.append(bytes(911))
    body = b"%d" % os.getpid()
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]
