import type { VNode } from "preact";
import type { ForgeSession, Store } from "../store.js";
import { cost, count, Empty, Section, short } from "./parts.js";

const SHOWN = 30;
const SHOWN_TOOLS = 8;

export function Forge({ store }: { readonly store: Store }): VNode {
  const sessions = [...store.forge].reverse();
  return (
    <Section id="forge" title={`Forge sessions (${sessions.length})`}>
      {sessions.length === 0 ? (
        <Empty>None was seen since the page was opened.</Empty>
      ) : (
        <div class="scrolls" role="region" aria-label="Forge sessions, a table" tabIndex={0}>
          <table>
            <thead>
              <tr>
                <th scope="col">Session</th>
                <th scope="col">Mission</th>
                <th scope="col">Spec</th>
                <th scope="col">Status</th>
                <th scope="col">Tool runs</th>
                <th scope="col" class="number">
                  Tokens in
                </th>
                <th scope="col" class="number">
                  Tokens out
                </th>
                <th scope="col" class="number">
                  Cost
                </th>
              </tr>
            </thead>
            <tbody>
              {sessions.slice(0, SHOWN).map((session) => (
                <Row key={session.id} session={session} store={store} />
              ))}
            </tbody>
          </table>
        </div>
      )}
    </Section>
  );
}

function Row({ session, store }: { readonly session: ForgeSession; readonly store: Store }): VNode {
  const mission =
    session.missionId === undefined ? undefined : store.missions.get(session.missionId);
  return (
    <tr>
      <th scope="row" class="id" title={session.id}>
        {short(session.id)}
      </th>
      <td>{mission?.name ?? (session.missionId === undefined ? "" : short(session.missionId))}</td>
      <td>{session.specId}</td>
      <td>
        <span class={`badge ${session.status}`}>{session.status}</span>
      </td>
      <td>
        <ul class="tools">
          {session.tools.newest(SHOWN_TOOLS).map((tool) => (
            <li key={tool.id}>
              {tool.name} <span class={`badge ${tool.status}`}>{tool.status}</span>
            </li>
          ))}
        </ul>
      </td>
      <td class="number">{count(session.inputTokens)}</td>
      <td class="number">{count(session.outputTokens)}</td>
      <td class="number">{cost(session.cost)}</td>
    </tr>
  );
}
