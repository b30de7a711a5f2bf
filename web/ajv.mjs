// Reads {schema, root, frames} from standard input, and prints whether each frame is valid.
// Strict: an unknown keyword or format in a schema of ours is an error.
import { readFileSync } from "node:fs";
import Ajv2020 from "ajv/dist/2020.js";
import addFormats from "ajv-formats";

const { schema, root, frames } = JSON.parse(readFileSync(0, "utf8"));
const ajv = new Ajv2020.default({ strict: true, allErrors: true });
addFormats.default(ajv);
ajv.addSchema(schema, "tachikoma");
const validate = ajv.getSchema(`tachikoma#/$defs/${root}`);
console.log(JSON.stringify(frames.map((frame) => validate(JSON.parse(frame)))));
