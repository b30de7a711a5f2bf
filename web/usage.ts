// What the types of the generated client allow and refuse; only compiled, by two versions of tsc.
import {
  connect,
  type Client,
  type Commands,
  type DeployEvent,
  type Event,
  type MissionEvent,
  type ServerMessage,
} from "./tachikoma.js";

type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
const holds = <T extends true>(): T | void => {};

export async function requests(client: Client, id: string): Promise<void> {
  const status = await client.request("mission_status", { mission_id: id });
  const done: number = status.completed_specs;
  await client.request("ping");
  await client.request("list_subscriptions", {}, { timeout: 1_000 });
  await client.request("deploy_start", {
    mission_id: id,
    version: "1.2.3",
    environment: "staging",
    targets: [{ host: "a", port: done }],
    labels: {},
    ports: { http: 80 },
    not_before: undefined,
  });
  holds<Same<Commands["mission_status"]["reply"]["error"], string | null | undefined>>();

  // @ts-expect-error a command that is not there
  await client.request("mission_explode", { mission_id: id });
  // @ts-expect-error a payload is needed
  await client.request("mission_status");
  // @ts-expect-error a field is missing
  await client.request("mission_status", {});
  // @ts-expect-error a field that is not there
  await client.request("mission_status", { mission_id: id, force: true });
  // @ts-expect-error a field of another type
  await client.request("mission_status", { mission_id: 7 });
  // @ts-expect-error another word than those of the literal
  await client.request("deploy_start", { environment: "nowhere" });
  // @ts-expect-error a reply has its own fields only
  status.success;
  // @ts-expect-error nothing that was received is changed
  status.status = "running";
}

export async function subscriptions(client: Client): Promise<void> {
  const missions = await client.subscribe("missions/67e55044-10b1-426f-9247-bb680e5fe0c8");
  for await (const event of missions) holds<Same<typeof event, MissionEvent>>();
  const deploys = await client.subscribe("deploys", { resume: true, filters: {} });
  for await (const event of deploys) holds<Same<typeof event, DeployEvent>>();
  const topic: string = "any";
  const any = await client.subscribe(topic);
  for await (const event of any) holds<Same<typeof event, Event>>();
  // @ts-expect-error a filter that is not there
  await client.subscribe("missions", { filters: { level: "error" } });
}

export function exhaustive(event: MissionEvent): string {
  switch (event.event) {
    case "created":
      return event.name;
    case "started":
      return event.mission_id;
    case "progress":
      return event.current_spec;
    case "completed":
      return String(event.success);
    case "failed":
      return event.error;
    case "status_changed":
      return event.new_status;
    default:
      return event satisfies never;
  }
}

export function incomplete(event: MissionEvent): string {
  switch (event.event) {
    case "created":
      return event.name;
    default:
      // @ts-expect-error the other events are not handled
      return event satisfies never;
  }
}

export function nested(event: Event): string {
  if (event.category === "forge" && event.event === "started") return event.spec_id;
  if (event.category === "mission" && event.event === "started") return event.mission_id;
  // @ts-expect-error it is one of several events
  return event.mission_id;
}

export function frames(message: ServerMessage): string | undefined {
  if (message.type === "error") return message.payload.code;
  if (message.type === "event.system") return message.payload.event;
  return message.type === "ping" ? undefined : message.id;
}

export async function options(): Promise<void> {
  await connect("ws://localhost", { token: async () => "secret", onState: (state) => state.status });
  // @ts-expect-error an option that is not there
  await connect("ws://localhost", { tokens: "secret" });
}
