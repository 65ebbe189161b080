// The main flow with the official client: reads one JSON object from standard input, writes one to standard output.
// In: { authUrl, gatewayUrls, account: { id, passcode }, text }. Out: what the client received, for the test to check.
import { text as readAll } from "node:stream/consumers";
import { io } from "socket.io-client";

const TIMEOUT = 20_000; // milliseconds
const given = JSON.parse(await readAll(process.stdin));

async function post(path, body) {
  const headers = { "content-type": "application/json" };
  const answer = await fetch(given.authUrl + path, { method: "POST", headers, body: JSON.stringify(body) });
  return { status: answer.status, body: await answer.json() };
}

class Device {
  constructor(url, token) {
    this.events = [];
    this.waiting = [];
    this.socket = io(url, { auth: { token }, transports: ["websocket"], reconnection: false, forceNew: true });
    this.socket.onAny((name, payload) => this.arrived(name, payload));
    this.socket.on("connect_error", (error) => this.arrived("connect_error", { message: error.message, data: error.data }));
  }

  arrived(name, payload) {
    this.events.push({ name, payload });
    this.waiting = this.waiting.filter(({ fits, done }) => !(fits(name, payload) && (done(payload), true)));
  }

  until(name, fits = () => true) {
    const past = this.events.find((event) => event.name === name && fits(event.payload));
    if (past) return past.payload;
    return new Promise((done, failed) => {
      this.waiting.push({ fits: (seen, payload) => seen === name && fits(payload), done });
      setTimeout(() => failed(new Error(`no fitting ${name}`)), TIMEOUT).unref();
    });
  }

  call(name, payload) {
    return this.socket.timeout(TIMEOUT).emitWithAck(name, payload);
  }
}

const seen = { registered: (await post("/register", given.account)).status };
const token = (await post("/login", given.account)).body.access_token;

const anonymous = new Device(given.gatewayUrls[0], "not a token");
seen.refused = await anonymous.until("connect_error");

const first = new Device(given.gatewayUrls[0], token);
const second = new Device(given.gatewayUrls.at(-1), token);
seen.ready = await first.until("ready");
await second.until("ready");

const { session } = await first.call("start_chat", { title: "From JavaScript", chatbot_ids: ["echo"] });
await second.call("join_chat", { session_id: session.id });
const sent = await first.call("send_message", { session_id: session.id, content: given.text, client_message_id: "1" });
const isReply = (message) => message.reply_to === sent.message_id;
await Promise.all([first.until("message", isReply), second.until("message", isReply)]);
seen.sent = sent;
seen.malformed = await first.call("send_message", "not an object");
seen.unknown = await first.call("no_such_event", {});
const live = ({ name }) => name === "message" || name === "message_delta";
seen.devices = [first, second].map((device) => device.events.filter(live));

first.socket.disconnect();
const back = new Device(given.gatewayUrls.at(-1), token);
await back.until("ready");
seen.missed = await back.call("join_chat", { session_id: session.id, after_seq: 1 });
seen.listed = await back.call("list_chats", {});

for (const device of [second, back, anonymous]) device.socket.disconnect();
process.stdout.write(JSON.stringify(seen));
