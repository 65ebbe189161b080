#!/usr/bin/env bash
# Software: PyJWT 2.15.1 with cryptography 50.0.2 (PyPI), Python 3.11
# Guess:    a key set with an Ed25519 key whose `alg` is "Ed25519", the name that RFC 9864 gives the algorithm, is read
#           like one whose `alg` is "EdDSA"; or the set is refused because of it.
# Seen:     the key is left out of the set without a word, while the other keys stay. A token of that key later fails
#           with an unknown `kid`, as if the issuer did not publish the key.
# Output:   no alg: ['one', 'two']
#           EdDSA: ['one', 'two']
#           Ed25519: ['two']
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv venv
venv/bin/pip install -qq pyjwt==2.15.1 cryptography==50.0.2
cat >probe.py <<'PYTHON'
import logging
import warnings

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from jwt import PyJWKSet
from jwt.utils import base64url_encode

records = []
handler = logging.Handler()
handler.emit = records.append
logging.getLogger().addHandler(handler)
warnings.simplefilter("error")


def key(kid, alg=None):
    x = base64url_encode(Ed25519PrivateKey.generate().public_key().public_bytes_raw()).decode()
    return {"kty": "OKP", "crv": "Ed25519", "kid": kid, "use": "sig", "x": x} | ({"alg": alg} if alg else {})


read = {}
for alg in (None, "EdDSA", "Ed25519"):
    keys = PyJWKSet.from_dict({"keys": [key("one", alg), key("two")]}).keys
    read[alg] = [each.key_id for each in keys]
    print(f"{alg or 'no alg'}: {read[alg]}")
expected = {None: ["one", "two"], "EdDSA": ["one", "two"], "Ed25519": ["two"]}
assert read == expected and not records, "the behaviour has changed"
PYTHON
venv/bin/python probe.py
