#!/usr/bin/env bash
# Software: opentelemetry-sdk 1.45.2, opentelemetry-exporter-otlp-proto-http 1.45.2 (PyPI), Python 3.11
# Guess:    `force_flush(timeout_millis=1000)`, while the collector accepts the connection and does not answer, returns
#           False after one second.
# Seen:     it blocks for ten seconds (the timeout of the exporter) and returns True, although the span is lost.
# Output:   force_flush(1000) returned True after 10 s
#           logged: ['Failed to export spans batch due to timeout, max r']
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv venv
venv/bin/pip install -qq opentelemetry-sdk==1.45.2 opentelemetry-exporter-otlp-proto-http==1.45.2
cat >probe.py <<'PYTHON'
import logging
import threading
import time
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
        threading.Event().wait()


server = ThreadingHTTPServer(("127.0.0.1", 0), Collector)
server.daemon_threads = True
threading.Thread(target=server.serve_forever, daemon=True).start()
provider = TracerProvider(shutdown_on_exit=False)
exporter = OTLPSpanExporter(endpoint=f"http://127.0.0.1:{server.server_port}/v1/traces")
provider.add_span_processor(BatchSpanProcessor(exporter))
provider.get_tracer("probe").start_span("work").end()
start = time.monotonic()
flushed = provider.force_flush(timeout_millis=1000)
seconds = round(time.monotonic() - start)
print(f"force_flush(1000) returned {flushed} after {seconds} s")
print("logged:", [record.getMessage()[:50] for record in records])
assert flushed is True and 9 <= seconds <= 12 and records, "the behaviour has changed"
PYTHON
venv/bin/python probe.py
