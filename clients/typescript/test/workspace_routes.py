"""Serves the workspace's routes for the tests of its browser side; prints its port.

A bearer token is its user's name. What is written to the path /break is the number of responses
that are lost from then on, after their request was carried out.
"""

import os
import socketserver
import wsgiref.simple_server as simple

import latchkey
from latchkey.compat.workspace import UserSessionService
from latchkey.compat.workspace_routes import SessionRoutes

routes = SessionRoutes(UserSessionService(latchkey.Client(os.environ["LATCHKEY_TO"])), str)
lost = 0


def application(environ, start_response):
    global lost
    if environ["PATH_INFO"] == "/break":
        lost = int(environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"])))
        start_response("204 No Content", [])
        return []
    if lost > 0:
        lost -= 1
        routes.wsgi(environ, lambda status, headers: None)
        start_response("504 Gateway Timeout", [])
        return [b"the response was lost"]
    return routes.wsgi(environ, start_response)


class Handler(simple.WSGIRequestHandler):
    def log_message(self, *given):
        pass


class Server(socketserver.ThreadingMixIn, simple.WSGIServer):
    daemon_threads = True


with simple.make_server("127.0.0.1", 0, application, Server, Handler) as server:
    print(server.server_port, flush=True)
    server.serve_forever()
