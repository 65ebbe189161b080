#!/usr/bin/env bash
# Software: openai 3.57.0 (PyPI) and 7.55.0 (npm), Python 3.11, Node.js 20
# Guess:    a stream that ends after a complete `data:` line, without the blank line that ends the event, gives the same
#           in both SDKs.
# Seen:     the Python SDK drops that event without a word (as browsers do), the JavaScript SDK hands it on; both
#           end the stream without an error, also without [DONE].
# Output:   python one ended
#           javascript one two ended
set -euo pipefail

work=$(mktemp -d)
server=
trap '[ -z "$server" ] || kill "$server"; rm -rf "$work"' EXIT
cd "$work"
python3 -m venv venv
venv/bin/pip install -qq openai==3.57.0
npm install --silent --no-audit --no-fund openai@7.55.0 >/dev/null
cat >server.py <<'PYTHON'
"""A model server that answers every request with one event stream."""
import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


def chunk(text):
    choice = {"index": 0, "delta": {"content": text}, "finish_reason": None}
    return "data: " + json.dumps({"id": "1", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice]})


STREAM = f"{chunk('one')}\n\n{chunk('two')}\n"


class Handler(BaseHTTPRequestHandler):
    def log_message(self, *arguments):
        pass

    def do_POST(self):
        self.rfile.read(int(self.headers.get("content-length", 0)))
        body = STREAM.encode()
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
print(server.server_port, flush=True)
server.serve_forever()
PYTHON
python3 server.py >port &
server=$!
until [ -s port ]; do sleep 0.1; done
port=$(cat port)
cat >probe.py <<'PYTHON'
import sys

from openai import OpenAI

client = OpenAI(base_url=f"http://127.0.0.1:{sys.argv[1]}", api_key="none", max_retries=0)
texts = []
try:
    stream = client.chat.completions.create(model="m", messages=[{"role": "user", "content": "Hi"}], stream=True)
    for part in stream:
        texts.append(part.choices[0].delta.content if part.choices else "(no choices)")
    end = "ended"
except Exception as error:
    end = f"{type(error).__module__.split('.')[0]}.{type(error).__name__}"
print("python", *texts, end)
PYTHON
cat >probe.mjs <<'JAVASCRIPT'
import OpenAI from "openai";

const client = new OpenAI({ baseURL: `http://127.0.0.1:${process.argv[2]}`, apiKey: "none", maxRetries: 0 });
const texts = [];
let end = "ended";
try {
  const stream = await client.chat.completions.create({ model: "m", messages: [{ role: "user", content: "Hi" }], stream: true });
  for await (const part of stream) texts.push(part.choices ? part.choices[0].delta.content : "(no choices)");
} catch (error) {
  end = error.constructor.name;
}
console.log("javascript", ...texts, end);
JAVASCRIPT
{
    venv/bin/python probe.py "$port"
    node probe.mjs "$port" 2>/dev/null
} | tee seen
diff seen - <<'EXPECTED' || { echo "the behaviour has changed" >&2; exit 1; }
python one ended
javascript one two ended
EXPECTED
