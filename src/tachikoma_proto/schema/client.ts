/* The client. It has no dependency, and needs a WebSocket: that of a browser, Deno, Bun or Node 22,
 * or another one such as that of the package `ws`, given in the options. */

declare function setTimeout(callback: () => void, milliseconds: number): unknown;
declare function clearTimeout(timer: unknown): void;

/** What the client needs of a WebSocket. */
export interface WebSocketLike {
  send(text: string): void;
  close(code?: number, reason?: string): void;
  addEventListener(
    type: "open" | "message" | "close" | "error",
    listener: (event: any) => void,
  ): void;
}

/** How the connection is: `lost` names the topics on which events may be missing. */
export type State =
  | { readonly status: "connected"; readonly attempts: number; readonly lost: readonly string[] }
  | { readonly status: "disconnected"; readonly code: number; readonly reason: string }
  | { readonly status: "closed"; readonly error?: Error };

/** A message of a type, or an event of a category or with a tag, that this file does not know. */
export interface UnknownMessage {
  readonly type: string;
  readonly payload?: unknown;
}

/** Options of {@link connect}; times are in milliseconds. */
export interface ConnectOptions {
  /** Authenticates now and after every reconnect; a function is asked each time. */
  readonly token?: string | (() => string | Promise<string>) | undefined;
  /** The class of the WebSocket, where there is no global one. */
  readonly WebSocket?: (new (url: string) => WebSocketLike) | undefined;
  /** How long connecting may take: 10,000 unless told. */
  readonly connectTimeout?: number | undefined;
  /** How long a reply may take: 30,000 unless told. */
  readonly requestTimeout?: number | undefined;
  /** After how long without a frame the server is asked whether it is there: 45,000 unless told. */
  readonly idleTimeout?: number | undefined;
  /** About how long to wait before the first attempt to reconnect: 500 unless told. */
  readonly backoff?: number | undefined;
  /** The longest wait between attempts to reconnect: 30,000 unless told. */
  readonly maxBackoff?: number | undefined;
  /** How many events a subscription holds for its reader, and the client while it subscribes again:
   * 1,000 unless told. */
  readonly maxPending?: number | undefined;
  /** Is told how the connection is, whenever that changes. */
  readonly onState?: ((state: State) => void) | undefined;
  /** Is told of errors that concern no request: the server's, and frames that cannot be read. */
  readonly onError?: ((error: Error) => void) | undefined;
  /** Is given what newer servers say and this file does not know. */
  readonly onUnknown?: ((message: UnknownMessage) => void) | undefined;
  /** Is given every frame, for debugging; a token is masked. */
  readonly onFrame?: ((direction: "sent" | "received", text: string) => void) | undefined;
}

/** Options of {@link Client.subscribe}. */
export interface SubscribeOptions {
  /** Which events; all that are given must hold. */
  readonly filters?: Filters | undefined;
  /** Whether to ask for what was missed after a reconnect, where the server offers it. */
  readonly resume?: boolean | undefined;
}

/** Which events of a topic are wanted. */
export interface Filters {
  readonly mission_id?: string | undefined;
  readonly session_id?: string | undefined;
  /** Tags (`progress`), or categories and tags (`mission.progress`). */
  readonly event_types?: readonly string[] | undefined;
}

/** Options of {@link Client.request}. */
export interface RequestOptions {
  /** How long the reply may take, in milliseconds. */
  readonly timeout?: number | undefined;
}

/** What {@link Client.request} takes for a command: no payload is needed where no field is. */
export type RequestArguments<T extends CommandType> = {} extends Commands[T]["payload"]
  ? [payload?: Commands[T]["payload"], options?: RequestOptions]
  : [payload: Commands[T]["payload"], options?: RequestOptions];

/** The server refused a request. */
export class RemoteError extends Error {
  override readonly name = "RemoteError";
  /** Such as `not_found`. */
  readonly code: string;
  readonly details: unknown;
  constructor(code: string, message: string, details?: unknown) {
    super(message);
    this.code = code;
    this.details = details;
  }
}

/** The connection ended, or was never there; whether a request had an effect is not known. */
export class ConnectionLostError extends Error {
  override readonly name = "ConnectionLostError";
}

/** No reply came in time. */
export class RequestTimeoutError extends Error {
  override readonly name = "RequestTimeoutError";
}

/** The server sent what cannot be read. */
export class ProtocolError extends Error {
  override readonly name = "ProtocolError";
}

/** An integer is beyond what a `number` holds exactly, and would have been rounded. */
export class UnsafeIntegerError extends Error {
  override readonly name = "UnsafeIntegerError";
  /** Where it stands, such as `$.payload.input_tokens`. */
  readonly path: string;
  constructor(path: string) {
    super(`${path}: an integer beyond ±(2^53 - 1), which a number does not hold exactly`);
    this.path = path;
  }
}

/** The reader of a subscription was too slow, and events were dropped. */
export class EventsMissedError extends Error {
  override readonly name = "EventsMissedError";
  readonly count: number;
  constructor(count: number) {
    super(`${count} events were dropped, since they were not read`);
    this.count = count;
  }
}

/**
 * The events of a topic, as an async iterator.
 *
 * It goes on over reconnects, and ends with {@link Subscription.close}, with the loop that reads it,
 * or with the client. An error in between, such as {@link EventsMissedError}, ends a loop but not
 * the subscription: it can be read on.
 */
export class Subscription<E = Event> implements AsyncIterable<E> {
  readonly topic: string;
  /** @internal */
  readonly options: SubscribeOptions;
  readonly #maxPending: number;
  readonly #onClose: (subscription: Subscription<E>) => Promise<void>;
  readonly #items: (E | Error)[] = [];
  readonly #readers: {
    resolve(result: IteratorResult<E, undefined>): void;
    reject(error: Error): void;
  }[] = [];
  #missed = 0;
  #isClosed = false;

  /** @internal */
  constructor(
    topic: string,
    options: SubscribeOptions,
    maxPending: number,
    onClose: (subscription: Subscription<E>) => Promise<void>,
  ) {
    this.topic = topic;
    this.options = options;
    this.#maxPending = maxPending;
    this.#onClose = onClose;
  }

  [Symbol.asyncIterator](): AsyncIterator<E, undefined> {
    return {
      next: () => this.#next(),
      return: async () => {
        await this.close();
        return { done: true, value: undefined };
      },
    };
  }

  /** Unsubscribes, and ends the iteration. */
  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.end();
    await this.#onClose(this);
  }

  /** @internal */
  push(item: E | Error): void {
    if (this.#isClosed) return;
    const reader = this.#readers.shift();
    if (reader === undefined) {
      if (this.#items.length < this.#maxPending) this.#items.push(item);
      else this.#missed += 1;
    } else if (item instanceof Error) reader.reject(item);
    else reader.resolve({ done: false, value: item });
  }

  /** @internal */
  end(error?: Error): void {
    if (error !== undefined) this.push(error);
    this.#isClosed = true;
    for (const reader of this.#readers.splice(0)) reader.resolve({ done: true, value: undefined });
  }

  #next(): Promise<IteratorResult<E, undefined>> {
    const item = this.#items.shift();
    if (item instanceof Error) return Promise.reject(item);
    if (item !== undefined) return Promise.resolve({ done: false, value: item });
    if (this.#missed > 0) {
      const error = new EventsMissedError(this.#missed);
      this.#missed = 0;
      return Promise.reject(error);
    }
    if (this.#isClosed) return Promise.resolve({ done: true, value: undefined });
    return new Promise((resolve, reject) => this.#readers.push({ resolve, reject }));
  }
}

/** A place in the log of a category's topic. Its three members are compared and kept together. */
interface LogPosition {
  readonly topic: string;
  readonly epoch: string;
  readonly offset: number;
}

interface Topic {
  readonly subscriptions: Set<Subscription<any>>;
  /** Where the subscription on this connection began, if the server gives positions. */
  start?: LogPosition | undefined;
  /** Up to where everything came over the connections before. */
  since?: LogPosition | undefined;
}

/** What came over a connection on which not all topics are subscribed yet. */
interface Held {
  readonly frames: { readonly frame: Members; readonly hasLong: boolean }[];
  readonly positions: LogPosition[];
  /** How many events of a log found no room. */
  readonly dropped: Map<string, number>;
}

interface PendingRequest {
  readonly reply: string;
  readonly timer: unknown;
  resolve(payload: any): void;
  reject(error: Error): void;
}

type Members = { readonly [name: string]: any };

/** A connection to a server, which is made again when it is lost. Made by {@link connect}. */
export class Client {
  readonly #url: string;
  readonly #options: ConnectOptions;
  readonly #requests = new Map<string, PendingRequest>();
  readonly #topics = new Map<string, Topic>();
  /** How far each log was handed out: what is not beyond has been there, and comes once. */
  readonly #positions = new Map<string, LogPosition>();
  /** Logs of which a subscription on this connection came without positions. */
  readonly #withoutPositions = new Set<string>();
  #held: Held | undefined;
  #socket: WebSocketLike | undefined;
  #state: State = { status: "disconnected", code: 1006, reason: "" };
  #idleTimer: unknown;
  #wake: (() => void) | undefined;

  /** @internal */
  constructor(url: string, options: ConnectOptions) {
    this.#url = url;
    this.#options = options;
  }

  /** How the connection is. */
  get state(): State {
    return this.#state;
  }

  /** @internal */
  async start(): Promise<this> {
    try {
      await this.#establish();
    } catch (error) {
      this.#end(undefined);
      throw error;
    }
    this.#setState({ status: "connected", attempts: 1, lost: [] });
    return this;
  }

  /**
   * Sends a command, and waits for its reply.
   *
   * @throws {@link RemoteError} where the server refuses, {@link ConnectionLostError},
   * {@link RequestTimeoutError}, or {@link UnsafeIntegerError}.
   */
  async request<T extends CommandType>(
    type: T,
    ...[payload, options]: RequestArguments<T>
  ): Promise<Commands[T]["reply"]> {
    if (this.#state.status !== "connected") throw new ConnectionLostError("not connected");
    return await this.#call(type, payload ?? {}, options?.timeout);
  }

  /**
   * Subscribes to a topic and all topics below it.
   *
   * @throws {@link RemoteError} where the server refuses, such as `not_found`.
   */
  async subscribe<const T extends string>(
    topic: T,
    options: SubscribeOptions = {},
  ): Promise<Subscription<EventOf<T>>> {
    if (this.#state.status !== "connected") throw new ConnectionLostError("not connected");
    const maxPending = this.#options.maxPending ?? 1000;
    const subscription = new Subscription<EventOf<T>>(topic, options, maxPending, (closed) =>
      this.#unsubscribe(closed),
    );
    const entry: Topic = this.#topics.get(topic) ?? { subscriptions: new Set() };
    this.#topics.set(topic, entry);
    entry.subscriptions.add(subscription);
    try {
      await this.#announce(topic, entry, false, false);
    } catch (error) {
      this.#forget(subscription);
      throw error;
    }
    return subscription;
  }

  /** Closes the connection, and ends all subscriptions. */
  close(code = 1000, reason = ""): void {
    const socket = this.#socket;
    this.#end(undefined);
    socket?.close(code, reason);
  }

  async #establish(): Promise<void> {
    const socket = await this.#dial();
    if (this.#state.status === "closed") {
      socket.close(1000);
      throw new ConnectionLostError("closed");
    }
    this.#socket = socket;
    this.#watch();
    try {
      const { token } = this.#options;
      if (token === undefined) return;
      const chosen = typeof token === "function" ? await token() : token;
      const result = await this.#call("authenticate", { token: chosen });
      if (!result.authenticated) throw new RemoteError("auth_required", "the token was refused");
    } catch (error) {
      this.#lose(socket, 1006, "");
      socket.close(1000);
      throw error;
    }
  }

  #dial(): Promise<WebSocketLike> {
    const found =
      this.#options.WebSocket ??
      (globalThis as unknown as { WebSocket?: new (url: string) => WebSocketLike }).WebSocket;
    if (found === undefined) {
      throw new TypeError("there is no global WebSocket: give one in the options");
    }
    return new Promise((resolve, reject) => {
      const socket = new found(this.#url);
      const timer = setTimeout(() => {
        reject(new ConnectionLostError("connecting took too long"));
        socket.close();
      }, this.#options.connectTimeout ?? 10_000);
      socket.addEventListener("open", () => {
        clearTimeout(timer);
        resolve(socket);
      });
      socket.addEventListener("message", ({ data }) => this.#receive(socket, data));
      socket.addEventListener("error", () => {});
      socket.addEventListener("close", ({ code, reason }) => {
        clearTimeout(timer);
        reject(new ConnectionLostError(`the connection ended (${code})`));
        this.#lose(socket, code, reason);
      });
    });
  }

  /** Ends what depends on a connection, once, and sees to the next. */
  #lose(socket: WebSocketLike, code: number, reason: string): void {
    if (socket !== this.#socket) return;
    this.#socket = undefined;
    clearTimeout(this.#idleTimer);
    this.#failRequests(new ConnectionLostError(`the connection ended (${code})`));
    this.#leavePositions(this.#state.status === "connected");
    if (this.#state.status !== "connected") return;
    this.#setState({ status: "disconnected", code, reason });
    void this.#reconnect();
  }

  async #reconnect(): Promise<void> {
    for (let attempt = 1; this.#state.status !== "closed"; attempt += 1) {
      await this.#backOff(attempt);
      if (this.#isClosed()) return;
      this.#held = { frames: [], positions: [], dropped: new Map() };
      try {
        await this.#establish();
        const lost = await this.#resubscribe();
        if (this.#socket === undefined) continue;
        this.#release({ status: "connected", attempts: attempt, lost });
        return;
      } catch (error) {
        const socket = this.#socket;
        if (socket !== undefined) {
          this.#lose(socket, 1006, "");
          socket.close(1000);
        }
        const isFinal =
          error instanceof RemoteError &&
          ["auth_required", "permission_denied"].includes(error.code);
        if (isFinal) this.#end(error);
        else if (!(error instanceof ConnectionLostError)) this.#report(error);
      }
    }
  }

  #isClosed(): boolean {
    return this.#state.status === "closed";
  }

  /** Waits before an attempt, longer each time. */
  #backOff(attempt: number): Promise<void> {
    const { backoff = 500, maxBackoff = 30_000 } = this.#options;
    const longest = Math.min(maxBackoff, backoff * 2 ** Math.min(attempt - 1, 30));
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, longest * (0.5 + Math.random() / 2));
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  async #resubscribe(): Promise<string[]> {
    const lost: string[] = [];
    const topics = [...this.#topics];
    const isResuming = ([, { subscriptions }]: [string, Topic]) =>
      [...subscriptions].some((subscription) => subscription.options.resume === true);
    const logs = new Set(topics.filter(isResuming).map(([topic]) => logOf(topic)));
    for (const [topic, entry] of topics) {
      try {
        // All events of a log need positions where one topic resumes: they are put in order.
        const isRecovered = await this.#announceAgain(topic, entry, logs.has(logOf(topic)));
        if (!isRecovered) lost.push(topic);
      } catch (error) {
        if (!(error instanceof RemoteError)) throw error;
        lost.push(topic); // it is asked for again at the next reconnect
        this.#report(error);
      }
    }
    const dropped = this.#held?.dropped;
    for (const [topic] of topics) {
      if (dropped?.has(logOf(topic)) && !lost.includes(topic)) lost.push(topic);
    }
    return lost;
  }

  /** Subscribes over a new connection, and again after a while where that is too much at once. */
  async #announceAgain(topic: string, entry: Topic, asksPositions: boolean): Promise<boolean> {
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await this.#announce(topic, entry, asksPositions, true);
      } catch (error) {
        if (!(error instanceof RemoteError) || error.code !== "rate_limited") throw error;
      }
      await this.#backOff(attempt);
    }
  }

  /** Subscribes on the wire, with filters that cover all who read; tells whether nothing was missed. */
  async #announce(
    topic: string,
    entry: Topic,
    asksPositions: boolean,
    isAgain: boolean,
  ): Promise<boolean> {
    const options = [...entry.subscriptions].map((subscription) => subscription.options);
    const [filters, ...others] = new Set(options.map((one) => JSON.stringify(one.filters ?? {})));
    const isResuming = options.some((one) => one.resume === true);
    const plain = {
      topic,
      ...(filters === undefined || filters === "{}" || others.length > 0
        ? {}
        : { filters: JSON.parse(filters) }),
    };
    // Of a log that went on without this topic, events would come twice, or in another order.
    const isWhole = samePlace(entry.since, this.#positions.get(logOf(topic)));
    const since = isResuming && isAgain && isWhole ? entry.since : undefined;
    const resuming = { ...plain, resume: true, ...(since === undefined ? {} : { since }) };
    let ack: Members;
    try {
      ack = await this.#call("subscribe", isResuming || asksPositions ? resuming : plain);
    } catch (error) {
      const isForbidden = error instanceof RemoteError && error.code === "invalid_message";
      if (!isForbidden || !(isResuming || asksPositions)) throw error;
      ack = await this.#call("subscribe", plain); // to a server that forbids what it does not know
    }
    if (!ack["success"]) throw new RemoteError("refused", ack["message"] ?? "not subscribed");
    const position = this.#readPosition(ack["position"]);
    if (position === undefined) this.#withoutPositions.add(logOf(topic));
    // A log that begins anew under a connection leaves a hole: the start stays where it was.
    const epoch = entry.start?.epoch ?? position?.epoch;
    if (position === undefined || position.epoch === epoch) entry.start = position;
    return ack["recovered"] === true && since !== undefined && position?.epoch === since.epoch;
  }

  /** Hands out what was held, each log in its order, and takes over its positions. */
  #release(state: State): void {
    const { frames, positions, dropped } = this.#held!;
    this.#held = undefined;
    this.#setState(state);
    for (const { frame, hasLong } of inOrder(frames)) this.#take(frame, hasLong);
    for (const [topic, { subscriptions }] of this.#topics) {
      const count = dropped.get(logOf(topic));
      if (count === undefined) continue;
      for (const subscription of subscriptions) subscription.push(new EventsMissedError(count));
    }
    for (const position of positions) this.#advance(position);
  }

  /** Records up to where each topic came over a connection, unless that never became ready. */
  #leavePositions(wasReady: boolean): void {
    for (const [topic, entry] of this.#topics) {
      const latest = this.#positions.get(logOf(topic));
      if (wasReady && entry.start !== undefined) {
        entry.since = latest?.epoch === entry.start.epoch ? latest : undefined;
      } else if (wasReady && this.#withoutPositions.has(logOf(topic))) entry.since = undefined;
      entry.start = undefined;
    }
    this.#withoutPositions.clear();
  }

  async #unsubscribe(subscription: Subscription<any>): Promise<void> {
    if (!this.#forget(subscription) || this.#state.status !== "connected") return;
    try {
      await this.#call("unsubscribe", { topic: subscription.topic });
    } catch (error) {
      if (!(error instanceof ConnectionLostError)) this.#report(error);
    }
  }

  /** Drops a subscription; tells whether it was the last of its topic. */
  #forget(subscription: Subscription<any>): boolean {
    const entry = this.#topics.get(subscription.topic);
    entry?.subscriptions.delete(subscription);
    return entry?.subscriptions.size === 0 && this.#topics.delete(subscription.topic);
  }

  #call(type: string, payload: object, timeout?: number): Promise<any> {
    const socket = this.#socket;
    const command = own(COMMANDS, type);
    if (socket === undefined) return Promise.reject(new ConnectionLostError("not connected"));
    if (command === undefined) return Promise.reject(new TypeError(`no command ${type}`));
    const id = newUuid();
    const frame = {
      id,
      type,
      timestamp: new Date().toISOString(),
      payload: { category: command.category, command: command.tag, ...payload },
    };
    return new Promise((resolve, reject) => {
      refuseUnsafe(payload, command.shape, "$.payload");
      const timer = setTimeout(() => {
        this.#requests.delete(id);
        reject(new RequestTimeoutError(`no reply to ${type}`));
      }, timeout ?? this.#options.requestTimeout ?? 30_000);
      this.#requests.set(id, { reply: command.reply, timer, resolve, reject });
      this.#send(socket, frame);
    });
  }

  #send(socket: WebSocketLike, frame: Members): void {
    socket.send(JSON.stringify(frame));
    if (this.#options.onFrame === undefined) return;
    const secrets = own(COMMANDS, frame["type"])?.secrets ?? [];
    const masked = (name: string, value: unknown) => (secrets.includes(name) ? "***" : value);
    this.#options.onFrame("sent", JSON.stringify(frame, masked));
  }

  #receive(socket: WebSocketLike, data: unknown): void {
    if (socket !== this.#socket) return;
    this.#watch();
    let frame: Members;
    try {
      if (typeof data !== "string") throw new ProtocolError("a frame that is no text");
      this.#options.onFrame?.("received", data);
      frame = JSON.parse(data);
      if (typeof frame?.["type"] !== "string") throw new ProtocolError("a frame without a type");
    } catch (error) {
      this.#report(error instanceof SyntaxError ? new ProtocolError("no JSON") : error);
      return;
    }
    const hasLong = /[0-9]{16}/.test(data);
    const type: string = frame["type"];
    if (type === "ping" && frame["id"] === undefined) this.#send(socket, { type: "pong" });
    else if (frame["reply_to"] != null) this.#settle(frame, hasLong);
    else if (type.startsWith("event.")) this.#take(frame, hasLong);
    else if (type === "position") this.#advance(this.#readPosition(frame["payload"]?.["position"]));
    else if (type === "error") this.#report(remoteError(frame["payload"]));
    else if (own(RESPONSES, type) === undefined) this.#options.onUnknown?.(frame as UnknownMessage);
  }

  #settle(frame: Members, hasLong: boolean): void {
    const request = this.#requests.get(frame["reply_to"]);
    if (request === undefined) return; // it came too late
    this.#requests.delete(frame["reply_to"]);
    clearTimeout(request.timer);
    const type: string = frame["type"];
    const payload: unknown = frame["payload"] ?? {};
    try {
      if (hasLong) refuseUnsafe(payload, own(RESPONSES, type), "$.payload");
      if (type === "error") throw remoteError(payload as Members);
      if (type !== request.reply) throw new ProtocolError(`${type} instead of ${request.reply}`);
    } catch (error) {
      request.reject(error as Error);
      return;
    }
    const answer = payload as Members;
    if (type === "ack") this.#advance(this.#readPosition(answer["position"]));
    if (type === "auth_result") this.#doubtPositions();
    request.resolve(payload);
  }

  /** A server may end subscriptions with another identity, and does not say so for certain. */
  #doubtPositions(): void {
    for (const [topic, entry] of this.#topics) {
      if (entry.start !== undefined) this.#withoutPositions.add(logOf(topic));
      entry.start = undefined;
    }
  }

  /** Takes an event, once; it waits where the client is about to reconnect. */
  #take(frame: Members, hasLong: boolean): void {
    const position = this.#readPosition(frame["position"]);
    if (position !== undefined && this.#has(position)) return;
    if (this.#held === undefined) {
      this.#advance(position);
      this.#publish(frame, hasLong);
    } else if (this.#held.frames.length < (this.#options.maxPending ?? 1000)) {
      this.#held.frames.push({ frame, hasLong });
    } else if (position !== undefined) {
      const { dropped } = this.#held;
      dropped.set(position.topic, (dropped.get(position.topic) ?? 0) + 1);
    }
  }

  #publish(frame: Members, hasLong: boolean): void {
    const name = (frame["type"] as string).slice("event.".length);
    const category = own(EVENTS, name);
    const shape = own(category?.tags, frame["payload"]?.["event"]);
    if (category === undefined || shape === undefined) {
      this.#options.onUnknown?.(frame as UnknownMessage);
      return;
    }
    const event: Members = { ...frame["payload"], category: name };
    const key: unknown = category.key === undefined ? undefined : event[category.key];
    const topics = [category.topic, key === undefined ? undefined : `${category.topic}/${key}`];
    let problem: Error | undefined;
    try {
      if (hasLong) refuseUnsafe(event, shape, "$.payload");
    } catch (error) {
      problem = error as Error;
      this.#report(problem);
    }
    for (const topic of topics) {
      const entry = topic === undefined ? undefined : this.#topics.get(topic);
      for (const subscription of entry?.subscriptions ?? []) {
        if (passes(event, subscription.options.filters)) subscription.push(problem ?? event);
      }
    }
  }

  #has(position: LogPosition): boolean {
    const latest = this.#positions.get(position.topic);
    return latest?.epoch === position.epoch && latest.offset >= position.offset;
  }

  #advance(position: LogPosition | undefined): void {
    if (position === undefined) return;
    if (this.#held !== undefined) this.#held.positions.push(position);
    else if (!this.#has(position)) this.#positions.set(position.topic, position);
  }

  #readPosition(position: Members | null | undefined): LogPosition | undefined {
    if (position == null) return undefined;
    try {
      refuseUnsafe(position, undefined, "$.position");
    } catch (error) {
      this.#report(error);
      return undefined;
    }
    return position as unknown as LogPosition;
  }

  /** Asks whether the server is there when nothing was heard of it for a while. */
  #watch(): void {
    clearTimeout(this.#idleTimer);
    const socket = this.#socket;
    if (socket === undefined) return;
    this.#idleTimer = setTimeout(() => {
      this.#call("ping", {}, 10_000).catch(() => {
        this.#lose(socket, 1006, "nothing was heard of the server");
        socket.close();
      });
    }, this.#options.idleTimeout ?? 45_000);
  }

  #end(error: Error | undefined): void {
    if (this.#isClosed()) return;
    this.#setState(error === undefined ? { status: "closed" } : { status: "closed", error });
    this.#socket = undefined;
    clearTimeout(this.#idleTimer);
    this.#wake?.();
    this.#failRequests(error ?? new ConnectionLostError("closed"));
    for (const { subscriptions } of this.#topics.values()) {
      for (const subscription of subscriptions) subscription.end(error);
    }
    this.#topics.clear();
  }

  #failRequests(error: Error): void {
    for (const request of this.#requests.values()) {
      clearTimeout(request.timer);
      request.reject(error);
    }
    this.#requests.clear();
  }

  #setState(state: State): void {
    this.#state = state;
    this.#options.onState?.(state);
  }

  #report(error: unknown): void {
    this.#options.onError?.(error instanceof Error ? error : new Error(String(error)));
  }
}

/**
 * Connects to a server, and authenticates where a token is given.
 *
 * The client reconnects by itself afterwards, and subscribes again.
 *
 * @example
 * const client = await connect("wss://tachikoma.example", { token });
 * const status = await client.request("mission_status", { mission_id });
 * for await (const event of await client.subscribe("missions")) console.log(event.event);
 */
export function connect(url: string, options: ConnectOptions = {}): Promise<Client> {
  return new Client(url, options).start();
}

/**
 * Tells the name that the type of a message's payload has in this file, such as `MissionProgress`,
 * for showing messages to people. It is undefined for a message that this file does not know.
 */
export function payloadType(message: UnknownMessage): string | undefined {
  const { type } = message;
  const payload = message.payload as Members | null | undefined;
  if (!type.startsWith("event.")) return own(COMMANDS, type)?.shape ?? own(RESPONSES, type);
  return own(own(EVENTS, type.slice("event.".length))?.tags, payload?.["event"]);
}

/** Looks up what a table itself has: a peer may send `constructor`, too. */
function own<T>(table: { readonly [name: string]: T } | undefined, name: string): T | undefined {
  return table !== undefined && Object.hasOwn(table, name) ? table[name] : undefined;
}

/** The category's topic, along whose log positions count. */
function logOf(topic: string): string {
  return topic.split("/", 1)[0]!;
}

function samePlace(one: LogPosition | undefined, other: LogPosition | undefined): boolean {
  return one !== undefined && one.epoch === other?.epoch && one.offset === other.offset;
}

/** Sorts the events of each log, in the places that they have among the others. */
function inOrder<T extends { readonly frame: Members }>(held: readonly T[]): readonly T[] {
  const logs = new Map<string, T[]>();
  const logAt = ({ frame }: T): T[] | undefined => {
    const position = frame["position"] as LogPosition | null | undefined;
    if (position == null) return undefined;
    const name = JSON.stringify([position.topic, position.epoch]);
    const log = logs.get(name) ?? [];
    logs.set(name, log);
    return log;
  };
  for (const one of held) logAt(one)?.push(one);
  const offset = ({ frame }: T): number => frame["position"].offset;
  for (const log of logs.values()) log.sort((one, other) => offset(one) - offset(other));
  return held.map((one) => logAt(one)?.shift() ?? one);
}

function remoteError(payload: Members | null | undefined): RemoteError {
  return new RemoteError(
    String(payload?.["code"]),
    String(payload?.["message"]),
    payload?.["details"],
  );
}

function passes(event: Members, filters: Filters | undefined): boolean {
  if (filters === undefined) return true;
  const { mission_id, session_id, event_types } = filters;
  const isOf = (name: string, wanted: string | undefined): boolean =>
    wanted === undefined || String(event[name]).toLowerCase() === wanted.toLowerCase();
  const tag: string = event["event"];
  return (
    isOf("mission_id", mission_id) &&
    isOf("session_id", session_id) &&
    (event_types === undefined ||
      event_types.includes(tag) ||
      event_types.includes(`${event["category"]}.${tag}`))
  );
}

/** Throws where an integer is not exact. A `*` before a shape is an array or map of it. */
function refuseUnsafe(value: unknown, shape: string | undefined, path: string): void {
  if (typeof value === "number") {
    const isUnsafe = Number.isInteger(value) && !Number.isSafeInteger(value);
    if (isUnsafe && shape !== "float") throw new UnsafeIntegerError(path);
  } else if (typeof value === "object" && value !== null) {
    const item = shape?.startsWith("*") ? shape.slice(1) : undefined;
    const fields = item === undefined && shape !== undefined ? own(SHAPES, shape) : undefined;
    for (const [name, member] of Object.entries(value)) {
      const step = Array.isArray(value) ? `[${name}]` : `.${name}`;
      refuseUnsafe(member, item ?? own(fields, name), path + step);
    }
  }
}

function newUuid(): string {
  const { crypto } = globalThis as unknown as {
    crypto: { getRandomValues(bytes: Uint8Array): Uint8Array };
  };
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6]! & 0x0f) | 0x40;
  bytes[8] = (bytes[8]! & 0x3f) | 0x80;
  const hex = [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-");
}
