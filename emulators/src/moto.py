"""Serves moto's S3 on a free port of loopback, says which on a line, and ends when its standard input does."""

import os
import sys
import threading

from moto.s3.responses import S3Response
from moto.server import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import WSGIRequestHandler, make_server

# The root elements of these answers are named otherwise in the API (Amazon S3 API Reference, ListParts and
# GetBucketVersioning), and strict clients take no other name.
ROOTS = {
    "list_parts": (b"ListPartsResponse", b"ListPartsResult"),
    "get_bucket_versioning": (b"GetBucketVersioningResponse", b"VersioningConfiguration"),
}


def by_its_name(answer, said, name):
    def named(self):
        status, headers, body = answer(self)
        headers.pop("Content-Length", None)
        body = body.encode() if isinstance(body, str) else body
        return status, headers, body.replace(said, name)

    return named


for operation, (said, name) in ROOTS.items():
    setattr(S3Response, operation, by_its_name(getattr(S3Response, operation), said, name))


class Quiet(WSGIRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_request(self, *_):
        pass


def end_with_the_parent():
    sys.stdin.buffer.read()
    os._exit(0)


server = make_server(
    "127.0.0.1", 0, DomainDispatcherApplication(create_backend_app), threaded=True, request_handler=Quiet
)
threading.Thread(target=end_with_the_parent, daemon=True).start()
print(server.server_port, flush=True)
server.serve_forever()
