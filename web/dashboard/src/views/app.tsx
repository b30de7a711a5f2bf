import type { VNode } from "preact";
import type { Connection } from "../connection.js";
import type { Store } from "../store.js";
import { Forge } from "./forge.js";
import { Frames } from "./frames.js";
import { Logs } from "./logs.js";
import { Missions } from "./missions.js";
import { Others } from "./others.js";
import { Versioned } from "./parts.js";
import { System } from "./system.js";
import { UsageSection } from "./usage.js";

interface Props {
  readonly store: Store;
  readonly connection: Connection;
}

export function App({ store, connection }: Props): VNode {
  const { versions } = store;
  return (
    <>
      <a class="skip" href="#missions">
        Skip to the missions
      </a>
      <Versioned version={versions.connection} view={() => <Header store={store} />} />
      <main>
        <Versioned
          version={versions.missions}
          view={() => <Missions store={store} connection={connection} />}
        />
        <Versioned version={versions.usage} view={() => <UsageSection store={store} />} />
        <Versioned version={versions.logs} view={() => <Logs store={store} />} />
        <Versioned
          version={versions.forge + versions.missions}
          view={() => <Forge store={store} />}
        />
        <Versioned version={versions.system} view={() => <System store={store} />} />
        <Versioned
          version={versions.other}
          view={() => <Others store={store} connection={connection} />}
        />
        <Versioned version={versions.frames} view={() => <Frames store={store} />} />
      </main>
    </>
  );
}

function Header({ store }: { readonly store: Store }): VNode {
  const { connection, about, reconnects } = store;
  const problems = store.problems.newest(5);
  return (
    <header>
      <h1>Tachikoma</h1>
      <p class="server">{about.server}</p>
      <p class={`state ${connection.status}`} role="status">
        {sentence(store)}
        {reconnects > 0 && ` Connected again ${reconnects} ${reconnects === 1 ? "time" : "times"}.`}
      </p>
      <p class="unseen" role="status" aria-live="polite">
        {store.announcement}
      </p>
      {problems.length > 0 && (
        <details class="problems">
          <summary>Problems ({store.problems.count})</summary>
          <ul>
            {problems.map((text, index) => (
              <li key={store.problems.count - index}>{text}</li>
            ))}
          </ul>
        </details>
      )}
    </header>
  );
}

function sentence({ connection }: Store): string {
  switch (connection.status) {
    case "connecting":
      return connection.reason === "" ? "Connecting…" : `Not connected: ${connection.reason}`;
    case "connected":
      return connection.lost.length === 0
        ? "Connected."
        : `Connected; events may be missing on ${connection.lost.join(", ")}.`;
    case "disconnected":
      return `Disconnected: ${connection.reason}`;
    case "refused":
      return "Disconnected.";
  }
}

export function NoAccess(): VNode {
  return (
    <main class="no-access">
      <h1>This page has to be opened anew</h1>
      <p role="alert">
        An address of this page can be used once. The command <code>tachikoma-proto</code> has
        printed the next one; or it is no longer running.
      </p>
    </main>
  );
}
