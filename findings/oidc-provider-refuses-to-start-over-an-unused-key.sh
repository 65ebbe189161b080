#!/usr/bin/env bash
# Software: oidc-provider 9.13.3 with jose 6.2.17 (npm), Node.js 20
# Guess:    a private key in `jwks` that no configured algorithm needs, such as one with use "enc" prepared for encryption
#           that is not switched on yet, is published or ignored.
# Seen:     the constructor throws, so the provider does not start: "jwks.keys[1] is of no use given the other
#           configuration, remove it". An Ed25519 signing key, for which no client is configured, is taken.
# Output:   one RSA key: starts
#           and an unused Ed25519 key for signatures: starts
#           and an unused RSA key for encryption: jwks.keys[1] is of no use given the other configuration, remove it
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
npm install --silent --no-audit --no-fund oidc-provider@9.13.3 jose@6.2.17 >/dev/null
cat >probe.mjs <<'JAVASCRIPT'
import { exportJWK, generateKeyPair } from "jose";
import Provider from "oidc-provider";

async function key(algorithm, use, kid) {
  const { privateKey } = await generateKeyPair(algorithm, { extractable: true });
  return { ...(await exportJWK(privateKey)), use, kid };
}

const first = await key("RS256", "sig", "a");
const sets = {
  "one RSA key": [first],
  "and an unused Ed25519 key for signatures": [first, await key("EdDSA", "sig", "b")],
  "and an unused RSA key for encryption": [first, await key("RSA-OAEP-256", "enc", "b")],
};
for (const [name, keys] of Object.entries(sets)) {
  let outcome = "starts";
  try {
    new Provider("http://127.0.0.1:3000", { jwks: { keys } });
  } catch (error) {
    outcome = error.message;
  }
  console.log(`${name}: ${outcome}`);
}
JAVASCRIPT
node probe.mjs 2>/dev/null | tee seen
diff seen - <<'EXPECTED' || { echo "the behaviour has changed" >&2; exit 1; }
one RSA key: starts
and an unused Ed25519 key for signatures: starts
and an unused RSA key for encryption: jwks.keys[1] is of no use given the other configuration, remove it
EXPECTED
