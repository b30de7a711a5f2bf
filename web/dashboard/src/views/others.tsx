import type { VNode } from "preact";
import { useState } from "preact/hooks";
import type { Connection } from "../connection.js";
import type { Store } from "../store.js";
import { Empty, Section, Time } from "./parts.js";

const SHOWN = 50;

interface Props {
  readonly store: Store;
  readonly connection: Connection;
}

export function Others({ store, connection }: Props): VNode {
  const [topic, setTopic] = useState("");
  const watch = (event: SubmitEvent): void => {
    event.preventDefault();
    if (topic.trim() === "") return;
    void connection.watch(topic.trim());
    setTopic("");
  };
  return (
    <Section id="others" title={`Other events (${store.others.count})`}>
      <form class="inline" onSubmit={watch}>
        <label for="topic">Topic of an extension</label>
        <input
          id="topic"
          value={topic}
          onInput={(event) => setTopic(event.currentTarget.value)}
          autocomplete="off"
          spellcheck={false}
          placeholder="deploys"
        />
        <button type="submit">Watch</button>
      </form>
      {store.others.length === 0 ? (
        <Empty>Events of categories that this page does not know are shown here.</Empty>
      ) : (
        <ol class="lines" aria-label="Other events, the newest first" tabIndex={0}>
          {store.others.newest(SHOWN).map((event) => (
            <li key={event.id}>
              <details>
                <summary>
                  <Time value={event.time} /> {event.type}
                </summary>
                <pre>{event.text}</pre>
              </details>
            </li>
          ))}
        </ol>
      )}
    </Section>
  );
}
