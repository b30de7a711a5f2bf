// What the page knows, and how what the server says changes it.
//
// Every part has a version: a view is made anew when that of its part has changed, at most once per
// frame of the screen, however many events have come in between. Every collection is bounded.

import { Known, Recent, cut } from "./bounded.js";
import { typedName } from "./frames.js";
import type { About } from "./session.js";
import type {
  Event,
  ForgeEvent,
  Maintenance,
  MissionEvent,
  MissionStatusResponse,
  ServerStatus,
  SystemEvent,
  UnknownMessage,
  VersionUpdate,
} from "./tachikoma.js";

/** A mission, as far as it is known; what only some messages say may be missing. */
export interface Mission {
  readonly id: string;
  name?: string;
  status: string;
  currentSpec?: string;
  completed?: number;
  total?: number;
  percentage: number;
  seconds?: number;
  error?: string;
  /** The command that waits for its reply. */
  pending?: string;
  /** What came of the last command. */
  outcome?: { readonly text: string; readonly isRefusal: boolean };
}

export interface ForgeSession {
  readonly id: string;
  missionId?: string;
  specId?: string;
  status: "running" | "completed" | "failed";
  readonly tools: Recent<{ readonly id: number; readonly name: string; readonly status: string }>;
  inputTokens: number;
  outputTokens: number;
  cost: number;
}

export interface LogLine {
  readonly id: number;
  readonly time: Date;
  readonly level: string;
  readonly sessionId: string;
  readonly message: string;
}

export interface OtherEvent {
  readonly id: number;
  readonly time: Date;
  readonly type: string;
  readonly text: string;
}

export interface Frame {
  readonly id: number;
  readonly time: Date;
  readonly direction: "sent" | "received";
  /** The name of its payload's type. */
  readonly name: string;
  readonly text: string;
}

/** Times in seconds, and the sums over all forge sessions that were known then. */
export interface Usage {
  times: number[];
  inputs: number[];
  outputs: number[];
  costs: number[];
}

export type ConnectionState =
  | { readonly status: "connecting"; readonly reason: string }
  | { readonly status: "connected"; readonly lost: readonly string[] }
  | { readonly status: "disconnected"; readonly reason: string }
  | { readonly status: "refused" };

const PARTS = [
  "connection",
  "missions",
  "forge",
  "usage",
  "logs",
  "system",
  "other",
  "frames",
] as const;
export type Part = (typeof PARTS)[number];

const ENDED = ["completed", "failed", "cancelled"];
const MAX_POINTS = 1000;
const MAX_NOTICES = 20;

/** Returns whether nothing more is to come of a mission. */
export function hasEnded(mission: Mission): boolean {
  return ENDED.includes(mission.status);
}

export class Store {
  readonly versions: Record<Part, number>;
  about: About = { server: "", topics: [], failure: null };
  connection: ConnectionState = { status: "connecting", reason: "" };
  reconnects = 0;
  /** What a screen reader says: the newest of what was asked for or went wrong. */
  announcement = "";
  readonly problems = new Recent<string>(MAX_NOTICES, 1e5, (text) => text.length);
  readonly missions = new Known<Mission>(200, hasEnded);
  readonly forge = new Known<ForgeSession>(200, (session) => session.status !== "running");
  readonly usage: Usage = { times: [], inputs: [], outputs: [], costs: [] };
  readonly totals = { input: 0, output: 0, cost: 0 };
  readonly logs = new Recent<LogLine>(2000, 2e6, (line) => line.message.length);
  readonly others = new Recent<OtherEvent>(200, 1e6, (event) => event.text.length);
  readonly frames = new Recent<Frame>(1000, 4e6, (frame) => frame.text.length);
  serverStatus: ServerStatus | undefined;
  versionUpdate: VersionUpdate | undefined;
  readonly maintenance = new Recent<Maintenance>(10, 1e5, (one) => one.message.length);
  readonly #onChange: () => void;

  constructor(onChange: () => void) {
    this.#onChange = onChange;
    this.versions = Object.fromEntries(PARTS.map((part) => [part, 0])) as Record<Part, number>;
  }

  changed(...parts: Part[]): void {
    for (const part of parts) this.versions[part] += 1;
    this.#onChange();
  }

  setConnection(state: ConnectionState): void {
    if (state.status === "connected" && this.connection.status === "disconnected") {
      this.reconnects += 1;
    }
    this.connection = state;
    this.changed("connection");
  }

  announce(text: string): void {
    this.announcement = text;
    this.changed("connection");
  }

  addProblem(text: string): void {
    this.problems.add(cut(text, 500));
    this.changed("connection");
  }

  addFrame(direction: Frame["direction"], text: string): void {
    this.frames.add({
      id: this.frames.count,
      time: new Date(),
      direction,
      name: cut(typedName(text), 200),
      text: cut(text, 20_000),
    });
    this.changed("frames");
  }

  addUnknown(message: UnknownMessage): void {
    this.others.add({
      id: this.others.count,
      time: new Date(),
      type: cut(message.type, 200),
      text: cut(JSON.stringify(message.payload ?? null, null, 2), 20_000),
    });
    this.changed("other");
  }

  apply(event: Event): void {
    switch (event.category) {
      case "mission":
        return this.#applyToMission(event);
      case "forge":
        return this.#applyToForge(event);
      case "system":
        return this.#applyToSystem(event);
      default:
        event satisfies never;
    }
  }

  applyStatus(response: MissionStatusResponse): void {
    const mission = this.mission(response.mission_id);
    mission.status = cut(response.status, 100);
    mission.completed = response.completed_specs;
    mission.total = response.total_specs;
    mission.percentage = response.percentage;
    if (response.current_spec != null) mission.currentSpec = cut(response.current_spec, 200);
    if (response.error != null) mission.error = cut(response.error);
    this.changed("missions");
  }

  /** Returns a mission, which is one of those that are shown from now on. */
  mission(id: string): Mission {
    return this.missions.getOrMake(id, () => ({ id, status: "unknown", percentage: 0 }));
  }

  #applyToMission(event: MissionEvent): void {
    const mission = this.mission(event.mission_id);
    switch (event.event) {
      case "created":
        mission.name = cut(event.name, 200);
        if (mission.status === "unknown") mission.status = "created";
        break;
      case "started":
        mission.status = "running";
        break;
      case "progress":
        mission.currentSpec = cut(event.current_spec, 200);
        mission.completed = event.completed_specs;
        mission.total = event.total_specs;
        mission.percentage = event.percentage;
        break;
      case "completed":
        // A mission that was cancelled is completed, too, and not with success.
        if (event.success) mission.status = "completed";
        else if (!hasEnded(mission)) mission.status = "failed";
        mission.seconds = event.duration_seconds;
        break;
      case "failed":
        mission.status = "failed";
        mission.error = cut(event.error);
        break;
      case "status_changed":
        mission.status = cut(event.new_status, 100);
        break;
      default:
        event satisfies never;
    }
    this.changed("missions");
  }

  #applyToForge(event: ForgeEvent): void {
    const session = this.forge.getOrMake(event.session_id, () => ({
      id: event.session_id,
      status: "running",
      tools: new Recent(50, 1e4, (tool) => tool.name.length + tool.status.length),
      inputTokens: 0,
      outputTokens: 0,
      cost: 0,
    }));
    switch (event.event) {
      case "started":
        session.missionId = event.mission_id;
        session.specId = cut(event.spec_id, 200);
        break;
      case "token_usage":
        // A session says what it has used so far, and so what it said before is contained in that.
        this.totals.input += event.input_tokens - session.inputTokens;
        this.totals.output += event.output_tokens - session.outputTokens;
        this.totals.cost += event.total_cost - session.cost;
        session.inputTokens = event.input_tokens;
        session.outputTokens = event.output_tokens;
        session.cost = event.total_cost;
        this.#addPoint();
        break;
      case "tool_execution":
        session.tools.add({
          id: session.tools.count,
          name: cut(event.tool_name, 100),
          status: cut(event.status, 100),
        });
        break;
      case "completed":
        session.status = event.success ? "completed" : "failed";
        break;
      case "log":
        this.logs.add({
          id: this.logs.count,
          time: new Date(),
          level: cut(event.level, 20),
          sessionId: event.session_id,
          message: cut(event.message),
        });
        this.changed("logs");
        break;
      default:
        event satisfies never;
    }
    this.changed("forge");
  }

  #applyToSystem(event: SystemEvent): void {
    switch (event.event) {
      case "server_status":
        this.serverStatus = { ...event, status: cut(event.status, 100) };
        break;
      case "maintenance":
        this.maintenance.add({ ...event, message: cut(event.message, 500) });
        this.announce(`Maintenance: ${cut(event.message, 500)}`);
        break;
      case "version_update":
        this.versionUpdate = event;
        break;
      default:
        event satisfies never;
    }
    this.changed("system");
  }

  /** Adds the sums of now to the chart; where there are too many points, every other one goes. */
  #addPoint(): void {
    const { usage, totals } = this;
    const now = Date.now() / 1000;
    if (usage.times.at(-1) === now) {
      for (const column of Object.values(usage) as number[][]) column.pop();
    } else if (usage.times.length >= MAX_POINTS) {
      for (const name of ["times", "inputs", "outputs", "costs"] as const) {
        usage[name] = usage[name].filter((_, index) => index % 2 === 1);
      }
    }
    usage.times.push(now);
    usage.inputs.push(totals.input);
    usage.outputs.push(totals.output);
    usage.costs.push(totals.cost);
    this.changed("usage");
  }
}
