import type { VNode } from "preact";
import type { Store } from "../store.js";
import { count, Empty, Section } from "./parts.js";

export function System({ store }: { readonly store: Store }): VNode {
  const { serverStatus, versionUpdate } = store;
  const maintenance = store.maintenance.newest(5);
  return (
    <Section id="system" title="Server">
      {serverStatus === undefined ? (
        <Empty>It has not said how it is.</Empty>
      ) : (
        <dl class="totals">
          <div>
            <dt>Status</dt>
            <dd>{serverStatus.status}</dd>
          </div>
          <div>
            <dt>Active missions</dt>
            <dd>{count(serverStatus.active_missions)}</dd>
          </div>
          <div>
            <dt>Active sessions</dt>
            <dd>{count(serverStatus.active_sessions)}</dd>
          </div>
        </dl>
      )}
      {versionUpdate !== undefined && (
        <p>
          Version {versionUpdate.current_version} becomes {versionUpdate.new_version}.
        </p>
      )}
      {maintenance.length > 0 && (
        <>
          <h3>Maintenance</h3>
          <ul>
            {maintenance.map((one, index) => (
              <li key={store.maintenance.count - index}>
                {one.message} · at {one.starts_at}, for {count(one.duration_minutes)} minutes
              </li>
            ))}
          </ul>
        </>
      )}
    </Section>
  );
}
