/**
 * Writes the types of the public protocol to `src/client/protocol.ts`, from the services' JSON Schemas in
 * `docs/reference`: client events, server events and account routes. `npm run check` runs it, so that code that no
 * longer fits the schemas does not compile. The build does not need the types.
 */

import { readFileSync, writeFileSync } from "node:fs";
import { compile } from "json-schema-to-typescript";

const REFERENCE = new URL("../docs/reference/", import.meta.url);
const OUTPUT = new URL("src/client/protocol.ts", import.meta.url);
const BANNER = "/* Generated from the JSON Schemas of the services by generate-types.mjs; do not edit. */";
const ACCOUNTS = { Tokens: "LoggedIn", Me: "Me", OwnLogins: "OwnLogins" }; // by the names used in this package

const read = (name) => JSON.parse(readFileSync(new URL(name, REFERENCE), "utf8"));
const shortName = (ref) => ref.split("/").at(-1).split("__").at(-1);
const whole = (properties, title) => ({
  ...(title && { title }),
  type: "object",
  properties,
  required: Object.keys(properties),
  additionalProperties: false,
});

/** The referenced schemas, by their short names. */
class Definitions {
  found = {};
  #from = {};

  constructor(schemas) {
    this.schemas = schemas;
  }

  /** A reference to a schema of a document. With `told` it is sent by the server, which omits no field but those marked `x-omitted`. */
  use(ref, told) {
    const name = shortName(ref);
    const known = this.#from[name];
    if (known && known !== ref) throw new Error(`${known} and ${ref} would both be ${name}`);
    if (!known) {
      this.#from[name] = ref;
      const schema = this.#adapted(this.schemas[ref.split("/").at(-1)], told);
      this.found[name] = { ...schema, title: name };
      if (told && schema.properties) {
        const sent = Object.entries(schema.properties).filter(([, field]) => !field["x-omitted"]);
        this.found[name].required = sent.map(([field]) => field);
      }
    }
    return { $ref: `#/definitions/${name}` };
  }

  /** The schema without titles of fields, each of which would become a type. */
  #adapted(schema, told) {
    if (Array.isArray(schema)) return schema.map((each) => this.#adapted(each, told));
    if (typeof schema !== "object" || schema === null) return schema;
    if (schema.$ref) return this.use(schema.$ref, told);
    const kept = Object.entries(schema).filter(
      ([key, value]) => key !== "title" || typeof value !== "string",
    );
    return Object.fromEntries(kept.map(([key, value]) => [key, this.#adapted(value, told)]));
  }
}

function events() {
  const { channels, components } = read("asyncapi.json");
  const definitions = new Definitions(components.schemas);
  const client = Object.entries(channels.client.messages).map(([name, { payload, "x-ack": ack }]) => [
    name,
    whole({ payload: definitions.use(payload.$ref, false), answer: definitions.use(ack.$ref, true) }),
  ]);
  const server = Object.entries(channels.server.messages).map(([name, { payload }]) => [
    name,
    definitions.use(payload.$ref, true),
  ]);
  const properties = {
    client: whole(Object.fromEntries(client), "ClientEvents"),
    server: whole(Object.fromEntries(server), "ServerEvents"),
  };
  return { ...whole(properties, "Events"), definitions: definitions.found };
}

function accounts() {
  const definitions = new Definitions(read("openapi.json").components.schemas);
  const used = Object.entries(ACCOUNTS).map(([name, schema]) => [name, definitions.use(`/${schema}`, false)]);
  return { ...whole(Object.fromEntries(used), "Accounts"), definitions: definitions.found };
}

const options = { additionalProperties: false, ignoreMinAndMaxItems: true };
const texts = [
  await compile(events(), "Events", { ...options, bannerComment: BANNER }),
  await compile(accounts(), "Accounts", { ...options, bannerComment: "" }),
];
writeFileSync(OUTPUT, texts.join("\n"));
