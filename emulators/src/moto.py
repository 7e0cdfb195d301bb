"""Serves moto's S3 on a free port of loopback, says which on a line, and ends when its standard input does."""

import base64
import os
import sys
import threading

from moto.s3 import models, responses
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


# Without a library of Amazon's, moto gives the CRC32 out for this checksum (its polynomial: NVM Express, Command Set
# Specification, section 5.2.1.3.4).
ALL = (1 << 64) - 1
CRC64NVME = list(range(256))
for _ in range(8):
    CRC64NVME = [(crc >> 1) ^ (0x9A6C9329AC4BC9B5 if crc & 1 else 0) for crc in CRC64NVME]


def crc64nvme(body):
    crc = ALL
    for byte in body:
        crc = CRC64NVME[(crc ^ byte) & 0xFF] ^ (crc >> 8)
    return (crc ^ ALL).to_bytes(8, "big")


def by_its_algorithm(compute):
    def computed(body, algorithm, encode_base64=True):
        if algorithm != "CRC64NVME":
            return compute(body, algorithm, encode_base64)
        crc = crc64nvme(body)
        return base64.b64encode(crc) if encode_base64 else crc

    return computed


for module in (models, responses):
    module.compute_checksum = by_its_algorithm(module.compute_checksum)


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
