/** The subset of JSON Schema (2020-12) that answers are checked against. Other keywords are ignored. */
import { say } from "./words.js";

const TYPES = {
  null: (value) => value === null, boolean: (value) => typeof value === "boolean", string: (value) => typeof value === "string",
  number: (value) => typeof value === "number", integer: Number.isInteger, array: Array.isArray,
  object: (value) => typeof value === "object" && value !== null && !Array.isArray(value),
};
const { object: isObject } = TYPES;
const one = (list) => (Array.isArray(list) ? list : [list]);
const same = (a, b) => JSON.stringify(sorted(a)) === JSON.stringify(sorted(b));
const sorted = (value) => {
  if (Array.isArray(value)) return value.map(sorted);
  return isObject(value) ? Object.keys(value).sort().map((name) => [name, sorted(value[name])]) : value;
};
// Code points, not UTF-16 units.
const letters = (text) => [...text].length;

/** For each keyword, the values it applies to and its check. */
const LIMITS = {
  minimum: [TYPES.number, (value, limit) => value >= limit], maximum: [TYPES.number, (value, limit) => value <= limit],
  exclusiveMinimum: [TYPES.number, (value, limit) => value > limit], exclusiveMaximum: [TYPES.number, (value, limit) => value < limit],
  multipleOf: [TYPES.number, (value, step) => Math.abs(value / step - Math.round(value / step)) < 1e-9],
  minLength: [TYPES.string, (value, limit) => letters(value) >= limit], maxLength: [TYPES.string, (value, limit) => letters(value) <= limit],
  pattern: [TYPES.string, (value, pattern) => new RegExp(pattern, "u").test(value)],
  minItems: [Array.isArray, (value, limit) => value.length >= limit], maxItems: [Array.isArray, (value, limit) => value.length <= limit],
  uniqueItems: [Array.isArray, (value, on) => !on || value.every((item, at) => !value.slice(at + 1).some((other) => same(item, other)))],
  required: [isObject, (value, names) => names.every((name) => Object.hasOwn(value, name))],
  minProperties: [isObject, (value, limit) => Object.keys(value).length >= limit],
  maxProperties: [isObject, (value, limit) => Object.keys(value).length <= limit],
};

/** Where and why `value` does not fit `schema`; "" when it does. @param {any} value @param {any} schema */
export function misfit(value, schema, root = schema, at = "$") {
  if (typeof schema === "boolean") return schema ? "" : at;
  if (schema.$ref) return misfit(value, referred(schema.$ref, root), root, at);
  if (schema.type && !one(schema.type).some((type) => TYPES[type](value))) return `${at}: type ${one(schema.type).join(", ")}`;
  if (schema.enum && !schema.enum.some((choice) => same(choice, value))) return `${at}: enum`;
  if ("const" in schema && !same(schema.const, value)) return `${at}: const`;
  const broken = Object.entries(LIMITS).find(([name, [about, holds]]) => name in schema && about(value) && !holds(value, schema[name]));
  if (broken) return `${at}: ${broken[0]} ${JSON.stringify(schema[broken[0]])}`;
  return combined(value, schema, root, at) || inside(value, schema, root, at);
}

function combined(value, schema, root, at) {
  const fits = (choice) => !misfit(value, choice, root, at);
  if (schema.anyOf && !schema.anyOf.some(fits)) return `${at}: anyOf`;
  if (schema.oneOf && schema.oneOf.filter(fits).length !== 1) return `${at}: oneOf`;
  if (schema.not !== undefined && fits(schema.not)) return `${at}: not`;
  return first(schema.allOf ?? [], (part) => misfit(value, part, root, at));
}

function inside(value, schema, root, at) {
  if (Array.isArray(value)) {
    const { prefixItems = [], items = true } = schema;
    return first(value, (item, index) => misfit(item, prefixItems[index] ?? items, root, `${at}[${index}]`));
  }
  if (!isObject(value)) return "";
  const { properties = {}, patternProperties = {}, additionalProperties = true } = schema;
  return first(Object.entries(value), ([name, held]) => {
    const found = Object.entries(patternProperties).filter(([pattern]) => new RegExp(pattern, "u").test(name)).map(([, part]) => part);
    if (Object.hasOwn(properties, name)) found.push(properties[name]);
    return first(found.length ? found : [additionalProperties], (part) => misfit(held, part, root, `${at}.${name}`));
  });
}

function first(list, find) {
  for (const [at, item] of list.entries()) {
    const found = find(item, at);
    if (found) return found;
  }
  return "";
}

function referred(reference, root) {
  const steps = reference.replace(/^#\/?/, "").split("/").filter(Boolean);
  return steps.reduce((part, step) => part?.[decodeURIComponent(step).replaceAll("~1", "/").replaceAll("~0", "~")], root);
}

/** Where and why `schema` is invalid; "" when it is valid. @param {any} schema */
export function wrongSchema(schema, root = schema, at = "$") {
  if (typeof schema === "boolean") return "";
  if (!isObject(schema)) return `${at}: ${say("otherJson")}`;
  const { type, $ref: reference, pattern } = schema;
  const unknown = type === undefined ? undefined : one(type).find((name) => !Object.hasOwn(TYPES, name));
  if (unknown !== undefined) return `${at}.type: ${JSON.stringify(unknown)}`;
  if (reference !== undefined && (!String(reference).startsWith("#") || referred(String(reference), root) === undefined)) return `${at}.$ref: ${reference}`;
  if (pattern !== undefined && !isPattern(pattern)) return `${at}.pattern: ${pattern}`;
  for (const name of ["required", "enum", "anyOf", "oneOf", "allOf", "prefixItems"]) {
    if (name in schema && !Array.isArray(schema[name])) return `${at}.${name}: ${say("otherJson")}`;
  }
  const parts = ["properties", "patternProperties", "$defs", "definitions"].flatMap((name) => Object.entries(schema[name] ?? {}));
  for (const name of ["items", "additionalProperties", "not"]) if (name in schema) parts.push([name, schema[name]]);
  for (const name of ["anyOf", "oneOf", "allOf", "prefixItems"]) parts.push(...(schema[name] ?? []).map((part, index) => [`${name}[${index}]`, part]));
  return first(parts, ([name, part]) => wrongSchema(part, root, `${at}.${name}`));
}

function isPattern(pattern) {
  try {
    return Boolean(new RegExp(pattern, "u"));
  } catch {
    return false;
  }
}
