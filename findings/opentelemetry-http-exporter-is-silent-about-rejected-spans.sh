#!/usr/bin/env bash
# Software: opentelemetry-sdk 1.45.2, opentelemetry-exporter-otlp-proto-http 1.45.2 (PyPI), Python 3.11
# Guess:    when the collector answers 200 with `partial_success` (one span rejected, "too old"), the exporter logs a
#           warning, as the specification of OTLP asks for.
# Seen:     the response is not read: nothing is logged, `force_flush` returns True, the span is gone.
# Output:   force_flush: True, requests: 1, logged: 0
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
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse
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
        answer = ExportTraceServiceResponse()
        answer.partial_success.rejected_spans = 1
        answer.partial_success.error_message = "too old"
        body = answer.SerializeToString()
        self.send_response(200)
        self.send_header("content-type", "application/x-protobuf")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


server = ThreadingHTTPServer(("127.0.0.1", 0), Collector)
server.daemon_threads = True
threading.Thread(target=server.serve_forever, daemon=True).start()
provider = TracerProvider(shutdown_on_exit=False)
exporter = OTLPSpanExporter(endpoint=f"http://127.0.0.1:{server.server_port}/v1/traces")
provider.add_span_processor(BatchSpanProcessor(exporter))
provider.get_tracer("probe").start_span("work").end()
flushed = provider.force_flush()
print(f"force_flush: {flushed}, requests: {len(requests)}, logged: {len(records)}")
assert (flushed, len(requests), len(records)) == (True, 1, 0), "the behaviour has changed"
PYTHON
venv/bin/python probe.py
