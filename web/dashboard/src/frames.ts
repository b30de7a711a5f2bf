// The typed form of a frame: the name of its payload's type, and the payload as it could be written.

import { payloadType } from "./tachikoma.js";

/** Says what a frame is in a few words. */
export function typedName(text: string): string {
  const frame = parse(text);
  if (frame === undefined) return "no JSON";
  return payloadType(frame) ?? `${frame.type} (unknown)`;
}

/** Writes a frame's payload as a value of its type. */
export function typedForm(text: string): string {
  const frame = parse(text);
  if (frame === undefined) return "It is no JSON, or too long to be kept whole.";
  return `${payloadType(frame) ?? "unknown"} ${write(frame.payload ?? {}, "")}`;
}

function parse(text: string): { readonly type: string; readonly payload?: unknown } | undefined {
  try {
    const frame: unknown = JSON.parse(text);
    if (typeof frame !== "object" || frame === null || !("type" in frame)) return undefined;
    return { ...frame, type: String(frame.type) };
  } catch {
    return undefined; // it is shown as it is
  }
}

function write(value: unknown, indent: string): string {
  if (typeof value !== "object" || value === null) return JSON.stringify(value);
  const deeper = `${indent}  `;
  const members = Array.isArray(value)
    ? value.map((item) => write(item, deeper))
    : Object.entries(value).map(([name, member]) => `${key(name)}: ${write(member, deeper)}`);
  const [open, close] = Array.isArray(value) ? "[]" : "{}";
  if (members.length === 0) return `${open}${close}`;
  return `${open}\n${members.map((member) => `${deeper}${member},\n`).join("")}${indent}${close}`;
}

function key(name: string): string {
  return /^[A-Za-z_$][\w$]*$/.test(name) ? name : JSON.stringify(name);
}
