import type { VNode } from "preact";
import { useEffect, useRef } from "preact/hooks";
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import type { Store } from "../store.js";
import { cost, count, Section } from "./parts.js";

const HEIGHT = 220;
/** How many milliseconds there are between two drawings of the chart. */
const INTERVAL = 250;
/** How many seconds the chart spans at least. */
const SHORTEST = 15;

export function UsageSection({ store }: { readonly store: Store }): VNode {
  const { totals } = store;
  return (
    <Section id="usage" title="Tokens and cost">
      <dl class="totals">
        <div>
          <dt>Tokens in</dt>
          <dd>{count(totals.input)}</dd>
        </div>
        <div>
          <dt>Tokens out</dt>
          <dd>{count(totals.output)}</dd>
        </div>
        <div>
          <dt>Cost</dt>
          <dd>{cost(totals.cost)}</dd>
        </div>
      </dl>
      <Chart store={store} version={store.versions.usage} />
    </Section>
  );
}

function Chart({ store, version }: { readonly store: Store; readonly version: number }): VNode {
  const frame = useRef<HTMLDivElement>(null);
  const chart = useRef<uPlot | undefined>(undefined);
  const timer = useRef<number | undefined>(undefined);

  useEffect(() => {
    const element = frame.current!;
    const make = (): void => {
      chart.current?.destroy();
      chart.current = new uPlot(options(element), data(store), element);
    };
    make();
    const observer = new ResizeObserver(() =>
      chart.current?.setSize({ width: element.clientWidth, height: HEIGHT }),
    );
    observer.observe(element);
    const scheme = matchMedia("(prefers-color-scheme: dark)");
    scheme.addEventListener("change", make);
    return () => {
      clearTimeout(timer.current);
      scheme.removeEventListener("change", make);
      observer.disconnect();
      chart.current?.destroy();
    };
  }, [store]);

  useEffect(() => {
    timer.current ??= window.setTimeout(() => {
      timer.current = undefined;
      chart.current?.setData(data(store));
    }, INTERVAL);
  }, [store, version]);

  const label = "Tokens and cost over time, as sums of all forge sessions; the totals stand above";
  return <div class="chart" role="img" aria-label={label} ref={frame} />;
}

function data({ usage }: Store): uPlot.AlignedData {
  return [usage.times, usage.inputs, usage.outputs, usage.costs];
}

function options(element: HTMLElement): uPlot.Options {
  const style = getComputedStyle(element);
  const colour = (name: string): string => style.getPropertyValue(name).trim();
  const axis = { stroke: colour("--muted"), grid: { stroke: colour("--line"), width: 1 } };
  const series = (label: string, stroke: string, scale: string, dash: number[]): uPlot.Series => ({
    label,
    scale,
    stroke,
    dash,
    width: 2,
    points: { show: true, size: 5 },
    value: (_, value) => (value == null ? "–" : scale === "cost" ? cost(value) : count(value)),
  });
  return {
    width: element.clientWidth,
    height: HEIGHT,
    series: [
      { label: "Time" },
      series("Tokens in", colour("--in"), "tokens", []),
      series("Tokens out", colour("--out"), "tokens", [8, 4]),
      series("Cost", colour("--cost"), "cost", [2, 3]),
    ],
    scales: {
      x: {
        range: (_, min, max) =>
          min == null ? [0, SHORTEST] : [Math.min(min, max - SHORTEST), max],
      },
      tokens: { range: (_, __, max) => [0, Math.max(1, max * 1.05)] },
      cost: { range: (_, __, max) => [0, Math.max(0.01, max * 1.05)] },
    },
    axes: [
      axis,
      { ...axis, scale: "tokens", size: 64 },
      { ...axis, scale: "cost", side: 1, size: 56, grid: { show: false } },
    ],
    cursor: { drag: { x: false, y: false } },
  };
}
