#!/usr/bin/env bash
# Software: opentelemetry-sdk 1.45.2, opentelemetry-exporter-otlp-proto-http 1.45.2 (PyPI), Python 3.11
# Guess:    an exporter whose endpoint answers 307 (say, a proxy that leads from http to https) follows the redirect, or
#           logs that the spans could not be exported.
# Seen:     it does neither: the redirect counts as success, the spans are lost without a line in the log.
# Output:   force_flush: True, requests: ['/v1/traces'], logged: 0
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv venv
venv/bin/pip install -qq opentelemetry-sdk==1.45.2 opentelemetry-exporter-otlp-proto-http==1.45.2
cat >probe.py <<'PYTHON'
import logging
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

records = []
handler = logging.Handler(logging.WARNING)
handler.emit = records.append
logging.getLogger().addHandler(handler)
requests = []


class Collector(BaseHTTPRequestHandler):
    def log_message(self, *arguments):
        pass

    def do_POST(self):
        requests.append(self.path)
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(307 if self.path == "/v1/traces" else 200)
        self.send_header("location", "/elsewhere/v1/traces")
        self.send_header("content-length", "0")
        self.end_headers()


server = ThreadingHTTPServer(("127.0.0.1", 0), Collector)
server.daemon_threads = True
threading.Thread(target=server.serve_forever, daemon=True).start()
provider = TracerProvider(shutdown_on_exit=False)
exporter = OTLPSpanExporter(endpoint=f"http://127.0.0.1:{server.server_port}/v1/traces")
provider.add_span_processor(BatchSpanProcessor(exporter))
provider.get_tracer("probe").start_span("work").end()
flushed = provider.force_flush()
print(f"force_flush: {flushed}, requests: {requests}, logged: {len(records)}")
assert (flushed, requests, len(records)) == (True, ["/v1/traces"], 0), "the behaviour has changed"
PYTHON
venv/bin/python probe.py
