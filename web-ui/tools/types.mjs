// Writes src/api/schema.ts from docs/openapi.json, or with --check says whether it is as it would be written.
//
// (openapi-typescript needs the compiler's JavaScript interface, which TypeScript 7 does not have.)
import { readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
const from = join(here, "../../docs/openapi.json");
const to = join(here, "../src/api/schema.ts");

const METHODS = ["get", "post", "put", "delete", "patch"];
const name = (ref) => ref.split("/").at(-1);
const key = (text) => (/^[A-Za-z_$][\w$]*$/.test(text) ? text : JSON.stringify(text));

/** A schema as a type. What says nothing is `unknown`, so that nobody takes it for something. */
function typeOf(schema) {
  if (!schema || schema === true) return "unknown";
  if (schema.$ref) return name(schema.$ref);
  const any = schema.oneOf ?? schema.anyOf;
  if (any) return [...new Set(any.map(typeOf))].join(" | ");
  if (schema.allOf) return schema.allOf.map(typeOf).join(" & ");
  if (schema.enum) return schema.enum.map((value) => JSON.stringify(value)).join(" | ");
  if (Array.isArray(schema.type)) {
    return schema.type.map((type) => typeOf({ ...schema, type })).join(" | ");
  }
  switch (schema.type) {
    case "null":
      return "null";
    case "string":
      return "string";
    case "boolean":
      return "boolean";
    case "integer":
    case "number":
      return "number";
    case "array": {
      const item = typeOf(schema.items);
      return /[|&]/.test(item) ? `(${item})[]` : `${item}[]`;
    }
    case "object":
      return objectOf(schema);
    default:
      return "unknown";
  }
}

function objectOf(schema) {
  if (schema.properties) {
    const required = new Set(schema.required ?? []);
    const fields = Object.entries(schema.properties).map(([field, inner]) => {
      const type = typeOf(inner);
      // Answers of the desk say `null` for what is not there; wishes may leave it out.
      return `${key(field)}${required.has(field) ? "" : "?"}: ${type}`;
    });
    return `{ ${fields.join("; ")} }`;
  }
  const inner = schema.additionalProperties;
  return `Record<string, ${inner && typeof inner === "object" ? typeOf(inner) : "unknown"}>`;
}

const json = (content) => content?.["application/json"]?.schema;

function operationOf(operation) {
  const answers = Object.entries(operation.responses ?? {}).filter(([code]) =>
    code.startsWith("2"),
  );
  const bodies = answers.map(([, answer]) => json(answer.content)).filter(Boolean);
  const answer = bodies.length > 0 ? [...new Set(bodies.map(typeOf))].join(" | ") : "undefined";
  const body = json(operation.requestBody?.content);
  const query = (operation.parameters ?? []).filter((parameter) => parameter.in === "query");
  const fields = query.map((one) => `${key(one.name)}?: ${typeOf(one.schema)}`);
  return `{ query: { ${fields.join("; ")} }; body: ${body ? typeOf(body) : "undefined"}; answer: ${answer} }`;
}

const document = JSON.parse(readFileSync(from, "utf8"));
const lines = [
  "// Written by tools/types.mjs from docs/openapi.json. Do not edit.",
  "",
  ...Object.entries(document.components.schemas).map(
    ([schema, inner]) => `export type ${schema} = ${typeOf(inner)};`,
  ),
  "",
  "/** What can be asked: by method and path, what goes in and what comes out. */",
  "export interface Operations {",
  ...Object.entries(document.paths).flatMap(([path, methods]) =>
    METHODS.filter((method) => methods[method]).map(
      (method) =>
        `  ${JSON.stringify(`${method.toUpperCase()} ${path}`)}: ${operationOf(methods[method])};`,
    ),
  ),
  "}",
  "",
];
const text = lines.join("\n");

if (process.argv.includes("--check")) {
  if (readFileSync(to, "utf8") !== text) {
    console.error("src/api/schema.ts is not what docs/openapi.json says; run `npm run schema`");
    process.exit(1);
  }
} else {
  writeFileSync(to, text);
}
