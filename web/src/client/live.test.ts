/** The whole kit against a running system: `BACKCHAT_TEST_URL=http://127.0.0.1:8000 npx vitest run live`. */

import { afterEach, describe, expect, it } from "vitest";

import { Account, BackchatError, Client, type Events, type Message, type SessionState } from "./index.ts";
import { codePoints } from "./state/session.ts";

const url = process.env.BACKCHAT_TEST_URL ?? "";
const PATIENCE = 20_000; // milliseconds for what takes a few on an idle machine
const TEXT = "Übung: a 🦜 repeats 👩‍👩‍👧 what it hears, word by word, and loses nothing on the way.";

const opened: Client[] = [];
afterEach(() => {
  for (const client of opened.splice(0)) client.close();
});

async function newAccount(): Promise<{ id: string; account: Account }> {
  const id = `ts-${crypto.randomUUID()}`;
  const passcode = crypto.randomUUID();
  await Account.register({ url }, id, passcode);
  return { id, account: await Account.login({ url }, id, passcode) };
}

function connected(account: Account): Client {
  const client = new Client({ url, token: account.token });
  opened.push(client);
  client.connect();
  return client;
}

/** The next event that fits. */
function next<E extends keyof Events>(
  client: Client,
  event: E,
  fits: (payload: Events[E]) => boolean = () => true,
): Promise<Events[E]> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`no ${event} within ${PATIENCE} ms`)), PATIENCE);
    const off = client.on(event, (payload) => {
      if (!fits(payload)) return;
      clearTimeout(timer);
      off();
      resolve(payload);
    });
  });
}

const answers = (message: Message) => (reply: Message) => reply.reply_to === message.id;
const shown = (state: SessionState) => state.messages.map(({ id, content }) => [id, content]);

describe.skipIf(!url)("against a running system", { timeout: 3 * PATIENCE }, () => {
  it("shares a session, and changes what is in it", async () => {
    const [ada, bob] = [connected((await newAccount()).account), connected((await newAccount()).account)];
    const hers = await ada.start({ chatbot_ids: ["echo"] });
    const replied = next(ada, "message", (message) => message.sender_type === "chatbot");
    const asked = await ada.send(hers.id, "words").stored;
    const reply = await replied;
    const { invite } = await ada.call("create_invite", { session_id: hers.id });
    const his = await bob.accept(invite);
    expect(shown(his)).toEqual(shown(hers));

    const superseded = next(bob, "message_updated", (message) => message.id === reply.id);
    const again = next(bob, "message", (message) => message.content === "better words");
    await ada.change("edit_message", { session_id: hers.id, message_id: asked.id, content: "better words" });
    expect((await superseded).superseded_by).toBe((await again).id);
    expect(his.messages.map(({ content }) => content)).toEqual(["better words", "words", "better words"]);

    const read = next(ada, "read");
    await bob.change("mark_read", { session_id: his.id, seq: his.cursor ?? 0 });
    expect(await read).toMatchObject({ session_id: his.id, seq: his.cursor });
    const closed = next(bob, "closed");
    await bob.change("leave_session", { session_id: his.id });
    expect(await closed).toEqual({ session_id: his.id, code: "not_found" });
  });

  it("starts a chat, sends a message, streams and stores the reply", async () => {
    const { id, account } = await newAccount();
    const client = connected(account);
    const texts: string[] = [];
    client.on("reply", (reply) => {
      expect(reply.length).toBe(codePoints(reply.text));
      texts.push(reply.text);
    });
    const chat = await client.start({ chatbot_ids: ["echo"], title: "From TypeScript" });
    expect(chat.session).toMatchObject({ owner_id: id, title: "From TypeScript" });

    const replied = next(client, "message", (message) => message.sender_type === "chatbot");
    const sent = client.send(chat.id, TEXT);
    const message = await sent.stored;
    expect(message).toMatchObject({ id: await sent.accepted, content: TEXT, seq: 1, sender_id: id });
    const reply = await replied;
    expect(reply).toMatchObject({ content: TEXT, status: "complete", reply_to: message.id });
    expect(texts.length).toBeGreaterThan(1);
    for (const text of texts) expect(TEXT.startsWith(text)).toBe(true);
    expect(chat.replies.size).toBe(0);
    expect(shown(chat)).toEqual([
      [message.id, TEXT],
      [reply.id, TEXT],
    ]);
    expect(client.outbox).toEqual([]);
  });

  it("reconnects, catches up, and sends the outbox in order", async () => {
    const { account } = await newAccount();
    const [phone, laptop] = [connected(account), connected(account)];
    const chat = await phone.start({ chatbot_ids: ["echo"], reply_policy: "silent", title: "Two devices" });
    const other = await laptop.open(chat.id);
    await phone.send(chat.id, "before").stored;

    phone.disconnect();
    for (let n = 0; n < 60; n += 1) laptop.send(other.id, `missed ${n}`);
    await laptop.send(other.id, "missed, the last").stored;
    const waited = ["one", "two", "three"].map((text) => phone.send(chat.id, text));
    expect(phone.outbox).toHaveLength(3);

    const missed: string[] = [];
    phone.on("message", (message) => missed.push(message.content));
    const back = connectedAgain(phone);
    await Promise.all([back, ...waited.map((each) => each.stored)]);
    await until(() => other.cursor === chat.cursor);
    expect(missed.slice(0, 61).at(-1)).toBe("missed, the last");
    expect(new Set(missed).size).toBe(missed.length);
    expect(chat.messages.slice(-3).map((message) => message.content)).toEqual(["one", "two", "three"]);
    expect(shown(chat)).toEqual(shown(other));
    expect(chat.messages.map((message) => message.seq)).toEqual(chat.messages.map((_, at) => at + 1));
  });

  it("loses no reply when the connection breaks in the middle of it", async () => {
    const { account } = await newAccount();
    const client = connected(account);
    const chat = await client.start({ chatbot_ids: ["echo"], title: "Broken" });
    const begun = next(client, "reply");
    const message = await client.send(chat.id, TEXT).stored;
    const replied = next(client, "message", answers(message));
    await begun;
    client.reconnect();
    expect((await replied).content).toBe(TEXT);
    await until(() => chat.live && chat.replies.size === 0);
    expect(chat.messages.map(({ content }) => content)).toEqual([TEXT, TEXT]);
  });

  it("loads history page by page", async () => {
    const { account } = await newAccount();
    const client = connected(account);
    const chat = await client.start({ chatbot_ids: ["echo"], reply_policy: "silent", title: "Long" });
    for (let n = 1; n < 120; n += 1) client.send(chat.id, `${n}`);
    await client.send(chat.id, "120").stored;
    const fresh = await connected(account).open(chat.id);
    expect(fresh.messages.map(({ seq }) => seq).at(0)).toBe(71);
    const reader = opened.at(-1);
    while (fresh.hasOlder) await reader?.older(chat.id);
    expect(fresh.messages.map(({ content }) => content)).toEqual(
      Array.from({ length: 120 }, (_, n) => `${n + 1}`),
    );
  });

  it("reports refusals", async () => {
    const { account } = await newAccount();
    const client = connected(account);
    const unknown = crypto.randomUUID();
    await expect(client.open(unknown)).rejects.toMatchObject({ code: "not_found" });
    await expect(client.send(unknown, "hello?").accepted).rejects.toMatchObject({ code: "not_found" });
    await expect(client.start({ chatbot_ids: ["unknown"] })).rejects.toBeInstanceOf(BackchatError);
    expect((await client.call("list_chats", {})).sessions).toEqual([]);
  });

  it("stops reconnecting when no token is accepted", async () => {
    const client = new Client({ url, token: () => "no token at all" });
    opened.push(client);
    const away = next(client, "state", ({ state }) => state === "signed_out");
    client.connect();
    expect((await away).error?.code).toBe("unauthenticated");
  });
});

async function connectedAgain(client: Client): Promise<void> {
  const synced = next(client, "synced");
  client.connect();
  await synced;
}

async function until(holds: () => boolean): Promise<void> {
  await expect.poll(holds, { timeout: PATIENCE, interval: 10 }).toBe(true);
}
