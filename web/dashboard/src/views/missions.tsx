import type { VNode } from "preact";
import { useState } from "preact/hooks";
import { type Action, ACTIONS, type Connection } from "../connection.js";
import type { Mission, Store } from "../store.js";
import { count, Empty, Section, short } from "./parts.js";

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;
const SHOWN = 50;

interface Props {
  readonly store: Store;
  readonly connection: Connection;
}

export function Missions({ store, connection }: Props): VNode {
  const [shown, setShown] = useState(SHOWN);
  const missions = [...store.missions].reverse();
  return (
    <Section id="missions" title={`Missions (${missions.length})`}>
      <FindMission connection={connection} />
      {missions.length === 0 && (
        <Empty>
          None was seen since the page was opened. Enter the id of one to see how it is.
        </Empty>
      )}
      <ul class="cards">
        {missions.slice(0, shown).map((mission) => (
          <MissionCard key={mission.id} mission={mission} connection={connection} />
        ))}
      </ul>
      {missions.length > shown && (
        <button type="button" onClick={() => setShown(shown + SHOWN)}>
          Show more missions
        </button>
      )}
    </Section>
  );
}

function FindMission({ connection }: { readonly connection: Connection }): VNode {
  const [text, setText] = useState("");
  const [isWrong, setIsWrong] = useState(false);
  const find = (event: SubmitEvent): void => {
    event.preventDefault();
    const id = text.trim().toLowerCase();
    setIsWrong(!UUID.test(id));
    if (!UUID.test(id)) return;
    setText("");
    void connection.show(id);
  };
  return (
    <form class="inline" onSubmit={find}>
      <label for="mission-id">Mission id</label>
      <input
        id="mission-id"
        value={text}
        onInput={(event) => setText(event.currentTarget.value)}
        aria-invalid={isWrong}
        aria-describedby="mission-id-error"
        autocomplete="off"
        spellcheck={false}
        placeholder="67e55044-10b1-426f-9247-bb680e5fe0c8"
      />
      <button type="submit">Show</button>
      <span id="mission-id-error" class="refusal" role="alert">
        {isWrong && "That is no UUID."}
      </span>
    </form>
  );
}

function details({ completed = 0, total, currentSpec, seconds }: Mission): string[] {
  const found: string[] = [];
  if (total !== undefined) found.push(`${count(completed)} of ${count(total)} specs`);
  if (currentSpec) found.push(`spec ${currentSpec}`);
  if (seconds !== undefined) found.push(`took ${count(seconds)} s`);
  return found;
}

function MissionCard(props: { readonly mission: Mission; readonly connection: Connection }): VNode {
  const { mission, connection } = props;
  const name = mission.name ?? `Mission ${short(mission.id)}`;
  const percentage = Math.min(100, Math.max(0, mission.percentage));
  const isPending = mission.pending !== undefined;
  return (
    <li class="card" id={`mission-${mission.id}`}>
      <div class="row">
        <h3>{name}</h3>
        <span class={`badge ${mission.status}`}>{mission.status}</span>
      </div>
      <p class="id">{mission.id}</p>
      <div class="row">
        <progress max={100} value={percentage} aria-label={`Progress of ${name}`} />
        <span class="number">{Math.round(percentage)}%</span>
      </div>
      <p class="detail">{details(mission).join(" · ")}</p>
      {mission.error !== undefined && <p class="error">{mission.error}</p>}
      <div class="buttons" role="group" aria-label={`Commands for ${name}`}>
        {(Object.keys(ACTIONS) as Action[]).map((action) => (
          <button
            key={action}
            type="button"
            aria-disabled={isPending}
            aria-label={`${ACTIONS[action]} ${name}`}
            onClick={() => void connection.act(mission, action)}
          >
            {ACTIONS[action]}
          </button>
        ))}
      </div>
      {isPending && <p class="detail">{mission.pending}…</p>}
      {mission.outcome !== undefined && (
        <p class={mission.outcome.isRefusal ? "refusal" : "detail"}>{mission.outcome.text}</p>
      )}
    </li>
  );
}
