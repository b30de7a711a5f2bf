// The generated client against a real server, which the test in Python runs and has told the address.
import assert from "node:assert/strict";
import { WebSocket as Ws } from "ws";
import {
  connect,
  type ConnectOptions,
  ConnectionLostError,
  EventsMissedError,
  RemoteError,
  type State,
  UnsafeIntegerError,
} from "./tachikoma.js";

const [url = "", token = "", mission_id = ""] = process.argv.slice(2);
const hasOwn = "WebSocket" in globalThis;
const socket: Pick<ConnectOptions, "WebSocket"> = hasOwn ? {} : { WebSocket: Ws };
const states: State[] = [];
const frames: string[] = [];
const errors: Error[] = [];
let onConnected = (): void => {};

const client = await connect(url, {
  ...socket,
  token: () => token,
  backoff: 20,
  maxPending: 5,
  onState: (state) => {
    states.push(state);
    if (state.status === "connected") onConnected();
  },
  onFrame: (_, text) => frames.push(text),
  onError: (error) => errors.push(error),
});

// Requests and refusals.
const status = await client.request("mission_status", { mission_id });
assert.equal(status.total_specs, 10);
assert.equal((await client.request("session_info")).authenticated, true);
assert.equal(typeof (await client.request("ping")).timestamp, "string");
await assert.rejects(
  client.request("mission_pause", { mission_id }),
  (error) => error instanceof RemoteError && error.code === "not_found",
);
await assert.rejects(
  client.subscribe("nowhere"),
  (error) => error instanceof RemoteError && error.code === "not_found",
);
assert.ok(!frames.join().includes(token), "the token is masked");
await assert.rejects(
  connect(url, { ...socket, token: "wrong" }),
  (error) => error instanceof RemoteError,
);

// Events, in a loop that ends the subscription.
const events = await client.subscribe(`missions/${mission_id}`);
await client.request("mission_start", { mission_id });
const tags: string[] = [];
for await (const event of events) {
  tags.push(event.event);
  if (event.event === "progress") break;
}
assert.deepEqual(tags, ["started", "progress"]);
assert.deepEqual((await client.request("list_subscriptions")).subscriptions, []);

// Two readers of one topic, each with what it asked for.
const all = await client.subscribe("missions");
const some = await client.subscribe("missions", { filters: { event_types: ["progress"] } });
await client.request("mission_start", { mission_id });
const [first, second] = [all[Symbol.asyncIterator](), some[Symbol.asyncIterator]()];
assert.equal((await first.next()).value?.event, "started");
assert.equal((await first.next()).value?.event, "progress");
assert.equal((await second.next()).value?.event, "progress");
await some.close();
assert.deepEqual((await client.request("list_subscriptions")).subscriptions, ["missions"]);

// An integer that a number does not hold is an error, and the subscription goes on.
await client.request("mission_resume", { mission_id });
await assert.rejects(
  first.next(),
  (error) => error instanceof UnsafeIntegerError && error.path === "$.payload.duration_seconds",
);
assert.deepEqual((await first.next()).value, {
  category: "mission",
  event: "completed",
  mission_id,
  success: true,
  duration_seconds: Number.MAX_SAFE_INTEGER,
});

// A reader that is too slow is told how many events it missed.
for (let round = 0; round < 4; round += 1) await client.request("mission_start", { mission_id });
for (let event = 0; event < 5; event += 1) await first.next();
await assert.rejects(
  first.next(),
  (error) => error instanceof EventsMissedError && error.count === 3,
);

// The server drops the connection: requests fail, and the client is there again. What was published
// meanwhile comes out of a subscription that resumes.
const resuming = (await client.subscribe("forge_sessions", { resume: true }))[Symbol.asyncIterator]();
const isBack = new Promise<void>((resolve) => (onConnected = resolve));
await client.request("mission_cancel", { mission_id }).catch((error: unknown) => {
  assert.ok(error instanceof ConnectionLostError);
});
await isBack;
assert.deepEqual(
  states.map((state) => state.status),
  ["connected", "disconnected", "connected"],
);
assert.deepEqual(states[2]?.status === "connected" && states[2].lost, ["missions"]);
const missed = (await resuming.next()).value;
assert.ok(missed?.event === "log");
assert.equal(missed.message, "while nobody was there");
await client.request("mission_start", { mission_id });
assert.equal((await first.next()).value?.event, "started");

// The server asks whether the client is there, for longer than it waits for an answer.
await new Promise((resolve) => setTimeout(resolve, 700));
assert.ok(frames.includes('{"type":"ping"}') && frames.includes('{"type":"pong"}'));
assert.equal(client.state.status, "connected");

client.close();
assert.equal((await first.next()).value?.event, "progress");
assert.equal((await first.next()).done, true);
await assert.rejects(client.request("ping"), ConnectionLostError);
assert.deepEqual(
  errors.map((error) => error.name),
  ["UnsafeIntegerError"],
);
console.log("done");
