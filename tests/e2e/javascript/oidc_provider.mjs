/** The real `oidc-provider` at its defaults: PORT CLIENT SECRET REDIRECT_URI. Profile claims are only in the user info. */

import Provider from "oidc-provider";

const [port, client_id, client_secret, redirect_uri] = process.argv.slice(2);
const provider = new Provider(`http://127.0.0.1:${port}`, {
  clients: [{ client_id, client_secret, redirect_uris: [redirect_uri] }],
  claims: { openid: ["sub"], profile: ["preferred_username", "name"], email: ["email"] },
  pkce: { required: () => true },
  findAccount: (_context, sub) => ({
    accountId: sub,
    claims: () => ({ sub, preferred_username: `${sub}.l`, email: `${sub}@example.org` }),
  }),
});
provider.listen(Number(port), "127.0.0.1", () => console.log("listening"));
