// The generated client against a server that follows a script: resuming, and what is not known.
import assert from "node:assert/strict";
import type { AddressInfo } from "node:net";
import { WebSocket as Ws, WebSocketServer } from "ws";
import {
  connect,
  ConnectionLostError,
  payloadType,
  RequestTimeoutError,
  type UnknownMessage,
} from "./tachikoma.js";

const mission_id = "67e55044-10b1-426f-9247-bb680e5fe0c8";
const server = new WebSocketServer({ host: "127.0.0.1", port: 0 });
await new Promise((resolve) => server.once("listening", resolve));
const url = `ws://127.0.0.1:${(server.address() as AddressInfo).port}`;

type Frame = { readonly [name: string]: any };
const received: Frame[] = [];
const sockets: Ws[] = [];
let wake = (): void => {};
server.on("connection", (socket) => {
  sockets.push(socket);
  socket.on("message", (data) => {
    received.push(JSON.parse(String(data)) as Frame);
    wake();
  });
});

async function next(type: string): Promise<Frame> {
  for (;;) {
    const index = received.findIndex((frame) => frame["type"] === type);
    if (index >= 0) return received.splice(index, 1)[0]!;
    await new Promise<void>((resolve) => (wake = resolve));
  }
}

function send(type: string, members: Frame): void {
  const frame = { id: mission_id, type, timestamp: "2026-01-02T03:04:05Z", ...members };
  sockets.at(-1)!.send(JSON.stringify(frame));
}

async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise((resolve) => setTimeout(resolve, 5));
}

const position = (offset: number) => ({ topic: "missions", epoch: "e", offset });
const started = (offset: number, extra: Frame = {}): void =>
  send("event.mission", {
    payload: { event: "started", mission_id, ...extra },
    position: position(offset),
  });

const unknown: UnknownMessage[] = [];
const errors: Error[] = [];
const lost: (readonly string[])[] = [];
const client = await connect(url, {
  WebSocket: Ws,
  backoff: 10,
  idleTimeout: 60_000,
  onUnknown: (message) => unknown.push(message),
  onError: (error) => errors.push(error),
  onState: (state) => state.status === "connected" && lost.push(state.lost),
});

// Subscribing asks for a position, and an event without its category has it from the type.
const subscribing = client.subscribe("missions", { resume: true });
const asked = await next("subscribe");
assert.deepEqual(asked["payload"], {
  category: "subscription",
  command: "subscribe",
  topic: "missions",
  resume: true,
});
send("ack", { reply_to: asked["id"], payload: { success: true, position: position(4) } });
const events = (await subscribing)[Symbol.asyncIterator]();
started(5, { new_field: 1 });
assert.deepEqual((await events.next()).value, {
  category: "mission",
  event: "started",
  mission_id,
  new_field: 1,
});

// A position without an event counts, too; what is missed is asked for from there.
send("position", { payload: { position: position(7) } });
await client.request("ping", {}, { timeout: 50 }).catch((error: unknown) => {
  assert.ok(error instanceof RequestTimeoutError);
});
for (const [since, recovered] of [
  [7, true],
  [8, false],
] as const) {
  sockets.at(-1)!.terminate();
  const again = await next("subscribe");
  assert.deepEqual(again["payload"].since, position(since));
  started(since + 1);
  const ack = { success: true, position: position(since + 1), recovered };
  send("ack", { reply_to: again["id"], payload: ack });
  assert.equal((await events.next()).value?.event, "started");
  await until(() => client.state.status === "connected");
}
await until(() => lost.length === 3);
assert.deepEqual(lost, [[], [], ["missions"]]);

// What newer servers say is handed on, and what cannot be read is reported; neither ends anything.
send("event.mission", { payload: { event: "exploded" } });
send("event.weather", { payload: { event: "rained", millimetres: 3 } });
send("news", { payload: [1] });
// These are names that every object of JavaScript has.
send("event.constructor", { payload: { event: "name" } });
send("event.mission", { payload: { event: "toString", constructor: 12345678901234567 } });
send("valueOf", { payload: {} });
for (const text of ["{", "[]", "null", '{"type":1}']) sockets.at(-1)!.send(text);
sockets.at(-1)!.send(Buffer.from([1]));
send("error", { payload: { code: "rate_limited", message: "slow down" } });
started(10);
assert.equal((await events.next()).value?.event, "started");
assert.deepEqual(
  unknown.map((message) => message.type),
  ["event.mission", "event.weather", "news", "event.constructor", "event.mission", "valueOf"],
);
assert.deepEqual(
  [
    payloadType({ type: "event.mission", payload: { event: "progress" } }),
    payloadType({ type: "mission_start", payload: {} }),
    payloadType({ type: "ack" }),
    ...unknown.map(payloadType),
  ],
  ["MissionProgress", "StartMission", "AckResponse", ...unknown.map(() => undefined)],
);
assert.deepEqual(
  errors.map((error) => error.name),
  ["ProtocolError", "ProtocolError", "ProtocolError", "ProtocolError", "ProtocolError", "RemoteError"],
);

// A float may be written as a long integer; an integer may not be.
const forge = client.subscribe("forge_sessions");
const second = await next("subscribe");
send("ack", { reply_to: second["id"], payload: { success: true } });
const usage = (await forge)[Symbol.asyncIterator]();
const tokens = { event: "token_usage", session_id: mission_id, input_tokens: 1, output_tokens: 2 };
const cost = JSON.stringify({
  id: mission_id,
  type: "event.forge",
  timestamp: "2026-01-02T03:04:05Z",
  payload: { ...tokens, total_cost: "COST" },
});
sockets.at(-1)!.send(cost.replace('"COST"', "10000000000000000000"));
const event = (await usage.next()).value;
assert.equal(event?.event === "token_usage" && event.total_cost, 1e19);

// A request that is not answered before the connection ends is not sent again.
const waiting = client.request("mission_start", { mission_id });
await next("mission_start");
client.close();
await assert.rejects(waiting, ConnectionLostError);
server.close();
console.log("done");
