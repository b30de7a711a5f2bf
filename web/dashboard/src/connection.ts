// Keeps the page connected and subscribed, and carries out what a person asks for.

import { NoAccessError, type Session } from "./session.js";
import { hasEnded, type Mission, type Store } from "./store.js";
import {
  type Client,
  ConnectionLostError,
  type ConnectOptions,
  connect,
  type Event,
  RemoteError,
  type State,
  type Subscription,
} from "./tachikoma.js";

/** The commands for missions that are answered by an ack, and what their buttons say. */
export const ACTIONS = {
  mission_start: "Start",
  mission_pause: "Pause",
  mission_resume: "Resume",
  mission_cancel: "Cancel",
} as const;
export type Action = keyof typeof ACTIONS;

const BACKOFF = 500;
const MAX_BACKOFF = 10_000;
/** Of how many missions the status is asked for after a reconnect. */
const MAX_REFRESHED = 50;

export class Connection {
  readonly #session: Session;
  readonly #store: Store;
  readonly #wanted = new Set<string>();
  readonly #subscribed = new Set<string>();
  #client: Client | undefined;
  #isExplaining = false;

  constructor(session: Session, store: Store) {
    this.#session = session;
    this.#store = store;
  }

  /** Connects, again and again until it succeeds; the client sees to reconnects afterwards. */
  async start(): Promise<void> {
    const store = this.#store;
    const url = `ws://${location.host}/socket`;
    for (let wait = BACKOFF; this.#client === undefined; wait = Math.min(wait * 2, MAX_BACKOFF)) {
      try {
        store.about = await this.#session.about();
        this.#client = await connect(url, this.#options());
      } catch (error) {
        if (error instanceof NoAccessError) throw error;
        store.setConnection({ status: "connecting", reason: await this.#whyNot(error) });
        await new Promise((resolve) => setTimeout(resolve, wait));
      }
    }
    for (const topic of store.about.topics) this.#wanted.add(topic);
    await this.#subscribeToWanted();
    if (this.#client.state.status === "connected") {
      store.setConnection({ status: "connected", lost: [] });
    }
  }

  /** Subscribes to a topic; one that the server refuses is forgotten. */
  async watch(topic: string): Promise<void> {
    const isCovered = [...this.#subscribed].some((one) => `${topic}/`.startsWith(`${one}/`));
    if (!isCovered) await this.#subscribe(topic);
    const isWatched = isCovered || this.#subscribed.has(topic);
    if (isWatched) this.#wanted.add(topic);
    this.#store.announce(isWatched ? `Watching ${topic}` : `${topic} cannot be watched`);
  }

  /** Shows a mission, and asks how it is. */
  async show(id: string): Promise<void> {
    if (!this.#subscribed.has("missions")) await this.watch(`missions/${id}`);
    await this.#refresh(this.#store.mission(id));
  }

  /** Sends a command, and shows what comes of it. */
  async act(mission: Mission, action: Action): Promise<void> {
    if (mission.pending !== undefined) return;
    const store = this.#store;
    const label = ACTIONS[action];
    mission.pending = label;
    delete mission.outcome;
    store.changed("missions");
    let text = "";
    let isRefusal = false;
    try {
      if (this.#client === undefined) throw new ConnectionLostError("not connected");
      const reply = await this.#client.request(action, { mission_id: mission.id });
      isRefusal = !reply.success;
      text = reply.message ?? (reply.success ? "done" : "refused");
    } catch (error) {
      isRefusal = true;
      text = describe(error);
    }
    delete mission.pending;
    mission.outcome = { text: `${label}: ${text}`, isRefusal };
    store.announce(`${mission.name ?? mission.id}: ${mission.outcome.text}`);
    store.changed("missions");
  }

  #options(): ConnectOptions {
    const store = this.#store;
    return {
      WebSocket: this.#session.WebSocket,
      maxBackoff: MAX_BACKOFF,
      onState: (state) => this.#onState(state),
      onError: (error) => store.addProblem(describe(error)),
      onUnknown: (message) => store.addUnknown(message),
      onFrame: (direction, text) => store.addFrame(direction, text),
    };
  }

  #onState(state: State): void {
    const store = this.#store;
    if (this.#client === undefined) return; // start() says what happens until there is one
    if (state.status === "connected") {
      store.setConnection({ status: "connected", lost: state.lost });
      void this.#subscribeToWanted();
      const running = [...store.missions].filter((mission) => !hasEnded(mission));
      for (const mission of running.slice(-MAX_REFRESHED)) void this.#refresh(mission);
    } else if (state.status === "disconnected") {
      const reason = state.reason || `the connection ended (${state.code})`;
      store.setConnection({ status: "disconnected", reason });
      void this.#explain();
    }
  }

  /** Asks now and then, as long as there is no connection, why there is none. */
  async #explain(): Promise<void> {
    const store = this.#store;
    if (this.#isExplaining) return;
    this.#isExplaining = true;
    while (store.connection.status === "disconnected") {
      await new Promise((resolve) => setTimeout(resolve, 1000));
      try {
        const { failure } = await this.#session.about();
        const isStill = store.connection.status === "disconnected";
        if (isStill && failure !== null)
          store.setConnection({ status: "disconnected", reason: failure });
      } catch (error) {
        if (!(error instanceof NoAccessError)) continue; // it is not served at present
        this.#client?.close();
        store.setConnection({ status: "refused" });
      }
    }
    this.#isExplaining = false;
  }

  async #whyNot(error: unknown): Promise<string> {
    try {
      return (await this.#session.about()).failure ?? describe(error);
    } catch {
      return "the process that serves this page does not answer";
    }
  }

  async #subscribeToWanted(): Promise<void> {
    for (const topic of this.#wanted) {
      if (!this.#subscribed.has(topic)) await this.#subscribe(topic);
    }
  }

  async #subscribe(topic: string): Promise<void> {
    this.#subscribed.add(topic);
    try {
      if (this.#client === undefined) throw new ConnectionLostError("not connected");
      void this.#read(await this.#client.subscribe(topic, { resume: true }));
    } catch (error) {
      this.#subscribed.delete(topic);
      this.#store.addProblem(`${topic}: ${describe(error)}`);
    }
  }

  async #read(subscription: Subscription<Event>): Promise<void> {
    for (let isOpen = true; isOpen;) {
      try {
        for await (const event of subscription) this.#store.apply(event);
        isOpen = false;
      } catch (error) {
        this.#store.addProblem(describe(error)); // the subscription goes on
      }
    }
  }

  async #refresh(mission: Mission): Promise<void> {
    try {
      if (this.#client === undefined) throw new ConnectionLostError("not connected");
      this.#store.applyStatus(
        await this.#client.request("mission_status", { mission_id: mission.id }),
      );
    } catch (error) {
      mission.outcome = { text: `Status: ${describe(error)}`, isRefusal: true };
      this.#store.announce(`${mission.name ?? mission.id}: ${mission.outcome.text}`);
      this.#store.changed("missions");
    }
  }
}

function describe(error: unknown): string {
  if (error instanceof RemoteError) return `${error.message} (${error.code})`;
  return error instanceof Error ? error.message : String(error);
}
