// Reads a document from standard input; prints what @asyncapi/parser says is wrong with it.
import { readFileSync } from "node:fs";
import { Parser } from "@asyncapi/parser";

const { diagnostics } = await new Parser().parse(readFileSync(0, "utf8"));
const found = diagnostics.map(({ code, message, path }) => `${code} ${path.join(".")}: ${message}`);
console.log(JSON.stringify(found));
