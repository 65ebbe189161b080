#!/usr/bin/env bash
# Software: standardwebhooks 1.1.0 (PyPI) and 1.1.1 (npm), Python 3.11, Node.js 20
# Guess:    `verify(body, headers)` checks the signature of any body and returns or raises WebhookVerificationError;
#           both languages agree.
# Seen:     after the signature it parses the body as JSON. A rightly signed text raises json.JSONDecodeError in Python
#           and SyntaxError in JavaScript, neither of which is a WebhookVerificationError. An empty body raises in
#           Python alone; JavaScript returns undefined.
# Output:   python "{}": dict
#           python "text": JSONDecodeError
#           python "": JSONDecodeError
#           javascript "{}": object
#           javascript "text": SyntaxError
#           javascript "": undefined
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv venv
venv/bin/pip install -qq standardwebhooks==1.1.0
npm install --silent --no-audit --no-fund standardwebhooks@1.1.1 >/dev/null
cat >probe.py <<'PYTHON'
import base64
from datetime import datetime, timezone

from standardwebhooks import Webhook

webhook = Webhook("whsec_" + base64.b64encode(b"k" * 24).decode())
for body in ("{}", "text", ""):
    now = datetime.now(timezone.utc)
    headers = {
        "webhook-id": "msg_1",
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": webhook.sign("msg_1", now, body),
    }
    try:
        outcome = webhook.verify(body, headers)
    except Exception as error:
        outcome = error
    print(f'python "{body}": {type(outcome).__name__}')
PYTHON
cat >probe.js <<'JAVASCRIPT'
const { Webhook } = require("standardwebhooks");

const webhook = new Webhook("whsec_" + Buffer.alloc(24, "k").toString("base64"));
for (const body of ["{}", "text", ""]) {
  const now = new Date();
  const headers = {
    "webhook-id": "msg_1",
    "webhook-timestamp": String(Math.floor(now / 1000)),
    "webhook-signature": webhook.sign("msg_1", now, body),
  };
  let outcome;
  try {
    outcome = typeof webhook.verify(body, headers);
  } catch (error) {
    outcome = error.constructor.name;
  }
  console.log(`javascript "${body}": ${outcome}`);
}
JAVASCRIPT
{
    venv/bin/python probe.py
    node probe.js
} | tee seen
diff seen - <<'EXPECTED' || { echo "the behaviour has changed" >&2; exit 1; }
python "{}": dict
python "text": JSONDecodeError
python "": JSONDecodeError
javascript "{}": object
javascript "text": SyntaxError
javascript "": undefined
EXPECTED
