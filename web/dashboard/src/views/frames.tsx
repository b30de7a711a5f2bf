import type { VNode } from "preact";
import { useState } from "preact/hooks";
import { typedForm } from "../frames.js";
import type { Frame, Store } from "../store.js";
import { Empty, Section, Time } from "./parts.js";

const SHOWN = 50;

export function Frames({ store }: { readonly store: Store }): VNode {
  const [search, setSearch] = useState("");
  const [held, setHeld] = useState<Frame[]>();
  const words = search.trim().toLowerCase();
  const passes = (frame: Frame): boolean =>
    words === "" || frame.text.toLowerCase().includes(words);
  const frames = held?.filter(passes).slice(0, SHOWN) ?? store.frames.newest(SHOWN, passes);
  const isHeld = held !== undefined;
  return (
    <Section id="frames" title={`Frames (${store.frames.count})`}>
      <div class="inline" role="group" aria-label="Which frames are shown">
        <label for="frame-search">Search</label>
        <input
          id="frame-search"
          type="search"
          value={search}
          onInput={(event) => setSearch(event.currentTarget.value)}
        />
        <button
          type="button"
          aria-pressed={isHeld}
          onClick={() => setHeld(isHeld ? undefined : store.frames.newest(1000))}
        >
          Hold
        </button>
      </div>
      {frames.length === 0 ? (
        <Empty>{store.frames.length === 0 ? "There is none." : "None is like that."}</Empty>
      ) : (
        <ol class="lines" aria-label="Frames, the newest first" tabIndex={0}>
          {frames.map((frame) => (
            <FrameLine key={frame.id} frame={frame} />
          ))}
        </ol>
      )}
    </Section>
  );
}

function FrameLine({ frame }: { readonly frame: Frame }): VNode {
  const [isOpen, setIsOpen] = useState(false);
  return (
    <li>
      <details onToggle={(event) => setIsOpen(event.currentTarget.open)}>
        <summary>
          <Time value={frame.time} /> <span class={frame.direction}>{frame.direction}</span>{" "}
          <span class="text">{frame.name}</span>
        </summary>
        {isOpen && (
          <>
            <h3>Typed</h3>
            <pre>{typedForm(frame.text)}</pre>
            <h3>Raw</h3>
            <pre>{frame.text}</pre>
          </>
        )}
      </details>
    </li>
  );
}
