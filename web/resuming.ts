// The generated client against a server that follows a script: what it has after a lost connection.
import assert from "node:assert/strict";
import type { AddressInfo } from "node:net";
import { WebSocket as Ws, WebSocketServer } from "ws";
import { connect, EventsMissedError, type MissionEvent, type Subscription } from "./tachikoma.js";

const mine = "67e55044-10b1-426f-9247-bb680e5fe0c8";
const theirs = "a3bb189e-8bf9-3888-9912-ace4e6543002";
const server = new WebSocketServer({ host: "127.0.0.1", port: 0 });
await new Promise((resolve) => server.once("listening", resolve));
const url = `ws://127.0.0.1:${(server.address() as AddressInfo).port}`;

type Frame = { readonly [name: string]: any };
const received: Frame[] = [];
let socket: Ws;
let connections = 0;
let wake = (): void => {};
server.on("connection", (opened) => {
  socket = opened;
  connections += 1;
  received.length = 0;
  opened.on("message", (data) => {
    received.push(JSON.parse(String(data)) as Frame);
    wake();
  });
});

// What does not come says so: the script ends with where it waits, and what it has seen.
const patience = setTimeout(() => {
  console.error({ connections, received, lost, log });
  process.exit(1);
}, 20_000);

async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise((resolve) => setTimeout(resolve, 2));
}

/** The next subscribe. */
async function asked(): Promise<Frame> {
  while (received.length === 0) await new Promise<void>((resolve) => (wake = resolve));
  const frame = received.shift()!;
  assert.equal(frame["type"], "subscribe");
  return frame;
}

function send(type: string, members: Frame): void {
  const frame = { id: mine, type, timestamp: "2026-01-02T03:04:05Z", ...members };
  socket.send(JSON.stringify(frame));
}

let epoch = "first";
const at = (offset: number): Frame => ({ topic: "missions", epoch, offset });
const created = (offset: number, mission_id = mine): void =>
  send("event.mission", {
    payload: { event: "created", mission_id, name: `${offset}` },
    position: at(offset),
  });
const acknowledge = (frame: Frame, position?: Frame, recovered?: boolean): void =>
  send("ack", { reply_to: frame["id"], payload: { success: true, position, recovered } });
const refuse = (frame: Frame, code: string): void =>
  send("error", { reply_to: frame["id"], payload: { code, message: "" } });

const lost: (readonly string[])[] = [];
const log: string[] = [];
const client = await connect(url, {
  WebSocket: Ws,
  backoff: 5,
  maxBackoff: 5,
  maxPending: 6,
  onState: (state) => {
    if (state.status !== "connected") return;
    lost.push(state.lost);
    log.push("connected");
  },
});

/** Ends the connection, and waits for the subscribes of the next. */
async function cut(): Promise<void> {
  const before = connections;
  log.length = 0;
  socket.terminate();
  await until(() => connections > before);
}

const isReady = (times: number) => until(() => lost.length === times);

async function subscribe(topic: `missions/${string}` | "missions", since: Frame): Promise<void> {
  const subscribing = client.subscribe(topic, { resume: true });
  const frame = await asked();
  assert.deepEqual([frame["payload"].topic, frame["payload"].resume], [topic, true]);
  acknowledge(frame, since);
  void read((await subscribing) as Subscription<MissionEvent>);
}

async function read(events: Subscription<MissionEvent>): Promise<void> {
  for (;;) {
    try {
      for await (const event of events) log.push(event.event === "created" ? event.name : "?");
      return;
    } catch (error) {
      assert.ok(error instanceof EventsMissedError);
      log.push(`missed ${error.count}`); // it can be read on
    }
  }
}

// Two topics of one log: what comes as it happens waits for what is sent again, and comes once.
await subscribe(`missions/${mine}`, at(3));
await subscribe(`missions/${theirs}`, at(4));
created(5);
await until(() => log.includes("5"));
await cut();
let first = await asked();
assert.deepEqual(first["payload"].since, at(5));
created(6);
created(8);
acknowledge(first, at(8), true);
created(10);
let second = await asked();
assert.deepEqual(second["payload"].since, at(5), "nothing is handed out yet");
created(7, theirs);
created(9, theirs);
created(10);
acknowledge(second, at(10), true);
await isReady(2);
await until(() => log.length === 6);
assert.deepEqual(log, ["connected", "6", "7", "8", "9", "10"]);
assert.deepEqual(lost.at(-1), []);

// An attempt that breaks leaves everything as it was.
await cut();
first = await asked();
created(11);
acknowledge(first); // from a server without positions
await asked();
await cut();
for (const topic of [mine, theirs]) {
  const frame = await asked();
  assert.deepEqual(frame["payload"].since, at(10));
  if (topic === mine) created(11);
  acknowledge(frame, at(11), true);
}
await isReady(3);
await until(() => log.length === 2);
assert.deepEqual(log, ["connected", "11"]);

// A topic that is refused does not resume once the log went on without it.
await cut();
refuse(await asked(), "permission_denied");
acknowledge(await asked(), at(11), true);
await isReady(4);
created(12, theirs);
await until(() => log.includes("12"));
assert.deepEqual(lost.at(-1), [`missions/${mine}`]);
await cut();
first = await asked();
assert.deepEqual([first["payload"].since, first["payload"].resume], [undefined, true]);
acknowledge(first, at(13));
second = await asked();
assert.deepEqual(second["payload"].since, at(12));
acknowledge(second, at(13), true);
await isReady(5);
assert.deepEqual(lost.at(-1), [`missions/${mine}`]);

// A log that begins anew counts from one again; whoever claims to have recovered it is not believed.
await cut();
const last = at(13);
epoch = "second";
for (const _ of [mine, theirs]) {
  const frame = await asked();
  assert.deepEqual(frame["payload"].since, last, "an answer moves the position, too");
  acknowledge(frame, at(1), true);
}
await isReady(6);
assert.deepEqual(lost.at(-1), [`missions/${mine}`, `missions/${theirs}`]);
created(2);
await until(() => log.includes("2"));

// A server that forbids what it does not know is asked without; then nothing can be resumed.
await cut();
for (const _ of [mine, theirs]) {
  refuse(await asked(), "invalid_message");
  const plain = await asked();
  assert.deepEqual([plain["payload"].resume, plain["payload"].since], [undefined, undefined]);
  acknowledge(plain);
}
await isReady(7);
await cut();
for (const _ of [mine, theirs]) {
  const frame = await asked();
  assert.deepEqual([frame["payload"].resume, frame["payload"].since], [true, undefined]);
  acknowledge(frame, at(2));
}
await isReady(8);
assert.deepEqual(lost.slice(-2), [
  [`missions/${mine}`, `missions/${theirs}`],
  [`missions/${mine}`, `missions/${theirs}`],
]);

// More than there is room for is told: to whoever looks at the state, and to the readers.
await cut();
first = await asked();
for (const offset of [3, 4, 5, 6, 7, 8, 9]) created(offset);
acknowledge(first, at(9), true);
acknowledge(await asked(), at(9), true);
await isReady(9);
assert.deepEqual(lost.at(-1), [`missions/${mine}`, `missions/${theirs}`]);
await until(() => log.length === 9);
assert.deepEqual(log.slice().sort(), ["3", "4", "5", "6", "7", "8", "connected", "missed 1", "missed 1"]);

// A fresh token may have ended subscriptions: what came since is no proof that they are whole.
const authenticating = client.request("authenticate", { token: "fresh" });
await until(() => received.length === 1);
send("auth_result", { reply_to: received.shift()!["id"], payload: { authenticated: true } });
await authenticating;
await cut();
for (const _ of [mine, theirs]) {
  const frame = await asked();
  assert.equal(frame["payload"].since, undefined);
  acknowledge(frame, at(9));
}
await isReady(10);

// A server that says it is too much is asked once more over the same connection.
await cut();
first = await asked();
assert.deepEqual(first["payload"].since, at(9));
refuse(first, "rate_limited");
const again = await asked();
assert.deepEqual(again["payload"], first["payload"]);
acknowledge(again, at(9), true);
acknowledge(await asked(), at(9), true);
await isReady(11);
assert.deepEqual(lost.at(-1), []);

client.close();
server.close();
clearTimeout(patience);
console.log("done");
