// What several views are made of.

import { Component, type ComponentChildren, type VNode } from "preact";

/** Draws a view again only when a version has changed, or what the view itself holds. */
export class Versioned extends Component<{ readonly version: number; readonly view: () => VNode }> {
  override shouldComponentUpdate(next: { readonly version: number }): boolean {
    return next.version !== this.props.version;
  }

  override render(): VNode {
    return this.props.view();
  }
}

export function Section(props: {
  readonly id: string;
  readonly title: string;
  readonly children: ComponentChildren;
}): VNode {
  const heading = `${props.id}-heading`;
  return (
    <section id={props.id} aria-labelledby={heading} tabIndex={-1}>
      <h2 id={heading}>{props.title}</h2>
      {props.children}
    </section>
  );
}

export function Empty(props: { readonly children: ComponentChildren }): VNode {
  return <p class="empty">{props.children}</p>;
}

const TIME = new Intl.DateTimeFormat(undefined, { timeStyle: "medium" });

export function Time(props: { readonly value: Date }): VNode {
  return <time dateTime={props.value.toISOString()}>{TIME.format(props.value)}</time>;
}

const NUMBER = new Intl.NumberFormat("en");
const COST = new Intl.NumberFormat("en", { minimumFractionDigits: 2, maximumFractionDigits: 4 });

export const count = (value: number): string => NUMBER.format(value);
export const cost = (value: number): string => COST.format(value);

/** The beginning of an id, which is enough to tell it from others. */
export const short = (id: string): string => id.slice(0, 8);
