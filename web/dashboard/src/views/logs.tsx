import type { VNode } from "preact";
import { useState } from "preact/hooks";
import type { LogLine, Store } from "../store.js";
import { Empty, Section, short, Time } from "./parts.js";

const SHOWN = 200;
const LEVELS = ["debug", "info", "warn", "error"];
const RANKS: { readonly [level: string]: number | undefined } = {
  trace: -1,
  debug: 0,
  info: 1,
  notice: 1,
  warn: 2,
  warning: 2,
  error: 3,
  critical: 4,
  fatal: 4,
};

/** A level that is not known is shown unless debug messages alone would be hidden. */
function rank({ level }: LogLine): number {
  const name = level.toLowerCase();
  return (Object.hasOwn(RANKS, name) ? RANKS[name] : undefined) ?? 1;
}

export function Logs({ store }: { readonly store: Store }): VNode {
  const [level, setLevel] = useState("debug");
  const [search, setSearch] = useState("");
  const [held, setHeld] = useState<LogLine[]>();
  const least = level === LEVELS[0] ? -Infinity : (RANKS[level] ?? 0);
  const words = search.trim().toLowerCase();
  const passes = (line: LogLine): boolean =>
    rank(line) >= least &&
    (words === "" || `${line.message} ${line.sessionId}`.toLowerCase().includes(words));
  const lines = held?.filter(passes) ?? store.logs.newest(SHOWN, passes);
  const isHeld = held !== undefined;
  return (
    <Section id="logs" title={`Logs (${store.logs.count})`}>
      <div class="inline" role="group" aria-label="Which logs are shown">
        <label for="log-level">From level</label>
        <select
          id="log-level"
          value={level}
          onChange={(event) => setLevel(event.currentTarget.value)}
        >
          {LEVELS.map((one) => (
            <option key={one}>{one}</option>
          ))}
        </select>
        <label for="log-search">Search</label>
        <input
          id="log-search"
          type="search"
          value={search}
          onInput={(event) => setSearch(event.currentTarget.value)}
        />
        <button
          type="button"
          aria-pressed={isHeld}
          onClick={() => setHeld(isHeld ? undefined : store.logs.newest(2000))}
        >
          Hold
        </button>
      </div>
      {lines.length === 0 ? (
        <Empty>{store.logs.length === 0 ? "There is none." : "None is like that."}</Empty>
      ) : (
        <div class="lines" role="log" aria-live="off" aria-labelledby="logs-heading" tabIndex={0}>
          <ol>
            {lines.slice(0, SHOWN).map((line) => (
              <li key={line.id}>
                <Time value={line.time} />{" "}
                <span class={`badge ${line.level.toLowerCase()}`}>{line.level}</span>{" "}
                <span class="id" title={line.sessionId}>
                  {short(line.sessionId)}
                </span>{" "}
                <span class="text">{line.message}</span>
              </li>
            ))}
          </ol>
        </div>
      )}
    </Section>
  );
}
