/** A state as a link and back: everything stands behind the `#`, so it works from disk and reaches no server's log. */

import { recipeOf, withOption } from "./store.js";

/** longer than this a link is too long to pass around: the page offers the sample's JSON instead */
export const LONGEST = 2000;
const SCREEN_NAMES = ["explore", "compare", "audit", "runs", "quiz"];

/** The link of a state. What equals the default is left out; `text` is packed where that is shorter. */
export async function encode(state, meta, home) {
  const parts = [["v", "1"]];
  const say = (key, value, usual) => {
    if (value !== usual && value !== null && value !== undefined) parts.push([key, String(value)]);
  };
  const { request, other } = state;
  parts.push(["o", request.objective], ...options("p.", request.options));
  parts.push(await textPart(request.text, meta, home.text));
  say("seed", request.seed, home.seed);
  say("tok", request.tokenizer, home.tokenizer);
  say("hide", request.hide?.join(","), undefined);
  for (const [name, value] of Object.entries(request.force ?? {})) say(`f.${name}`, plain(value));
  if (state.row) say("row", `${state.row.stream}.${state.row.index}`);
  say("step", state.step, 6);
  say("view", state.form, "grid");
  say("theme", state.theme, "auto");
  say("screen", state.screen, "explore");
  if (state.screen === "compare") parts.push(["b.o", other.objective], ...options("b.p.", other.options));
  return `#${parts
    .filter(Boolean)
    .map((pair) => pair.map(escaped).join("="))
    .join("&")}`;
}

function options(before, given) {
  return Object.keys(given ?? {})
    .sort()
    .map((name) => [before + name, plain(given[name])]);
}

/** A value as it stands in a link; SEE is "causal", "bidirectional" or "prefix:5". */
function plain(value) {
  if (value && typeof value === "object" && value.visibility)
    return value.split === undefined ? value.visibility : `${value.visibility}:${value.split}`;
  return typeof value === "string" ? value : JSON.stringify(value);
}

function escaped(value) {
  return encodeURIComponent(value).replace(/%20/g, "+").replace(/%2C/g, ",").replace(/%3A/g, ":");
}

async function textPart(text, meta, usual) {
  if (text === usual) return null;
  const example = meta.examples.find((one) => one.text === text);
  if (example) return ["ex", example.id];
  const packed = escaped(text).length > 120 ? await pack(text) : null;
  return packed && packed.length < escaped(text).length ? ["z", packed] : ["t", text];
}

async function pack(text) {
  if (typeof CompressionStream === "undefined") return null;
  const squeezed = new Blob([text]).stream().pipeThrough(new CompressionStream("deflate-raw"));
  const bytes = new Uint8Array(await new Response(squeezed).arrayBuffer());
  return btoa(String.fromCharCode(...bytes))
    .replace(/\+/g, "-")
    .replace(/\//g, "_")
    .replace(/=+$/, "");
}

async function unpack(packed) {
  const bytes = Uint8Array.from(atob(packed.replace(/-/g, "+").replace(/_/g, "/")), (c) => c.charCodeAt(0));
  return new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate-raw"))).text();
}

/** What a link says, as a patch of the state; what could not be read is named under `ignored`. */
export async function decode(hash, meta, home) {
  const given = new Map(hash.replace(/^#/, "").split("&").filter(Boolean).map(keyAndValue));
  if (!given.size) return null;
  const ignored = [],
    patch = { request: { ...home, options: {} }, ignored };
  const name = given.get("o") ?? home.objective,
    known = recipeOf(meta, { objective: name });
  if (known) patch.request.objective = name;
  else ignored.push(`o=${name}`);
  for (const [key, value] of given) {
    const read = READ[key.replace(/^([pfb])\..*/, "$1.")];
    if (!read || (await read(patch, value, meta, key)) === false) ignored.push(key);
  }
  return patch;
}

function keyAndValue(part) {
  const [key, ...rest] = part.split("=");
  try {
    return [key, decodeURIComponent(rest.join("=").replace(/\+/g, " "))];
  } catch {
    return [key, rest.join("=")];
  }
}

/** key → how it is read into the patch; false where it can't be */
const READ = {
  v: (patch, value) => value === "1",
  o: () => true,
  "p.": (patch, value, meta, key) => option(patch.request, meta, key.slice(2), value),
  "f.": (patch, value, meta, key) => {
    patch.request.force = { ...patch.request.force, [key.slice(2)]: parsed(value) };
  },
  "b.": (patch, value, meta, key) => second(patch, value, meta, key.slice(2)),
  t: (patch, value) => {
    patch.request.text = value;
  },
  z: async (patch, value) => {
    try {
      patch.request.text = await unpack(value);
    } catch {
      return false;
    }
  },
  ex: (patch, value, meta) => {
    const found = meta.examples.find((one) => one.id === value);
    if (!found) return false;
    patch.request.text = found.text;
  },
  seed: (patch, value) => /^\d{1,15}$/.test(value) && ((patch.request.seed = Number(value)), true),
  tok: (patch, value) => {
    patch.request.tokenizer = value;
  },
  hide: (patch, value) => /^\d+(,\d+)*$/.test(value) && ((patch.request.hide = value.split(",").map(Number)), true),
  row: (patch, value) => {
    const [, stream, index] = /^(.+)\.(\d+)$/.exec(value) ?? [];
    if (!stream) return false;
    patch.wanted = { stream, index: Number(index) };
  },
  step: (patch, value) => /^[1-6]$/.test(value) && ((patch.step = Number(value)), true),
  view: (patch, value) => one(patch, "form", value, ["grid", "table"]),
  theme: (patch, value) => one(patch, "theme", value, ["auto", "light", "dark"]),
  screen: (patch, value) => one(patch, "screen", value, SCREEN_NAMES)
};

function one(patch, key, value, allowed) {
  if (!allowed.includes(value)) return false;
  patch[key] = value;
  return true;
}

function second(patch, value, meta, key) {
  if (key === "o") {
    if (!recipeOf(meta, { objective: value })) return false;
    patch.other = { objective: value, options: {} };
    patch.screen = "compare";
    return true;
  }
  return Boolean(patch.other) && key.startsWith("p.") && option(patch.other, meta, key.slice(2), value);
}

function option(request, meta, name, value) {
  const recipe = recipeOf(meta, request);
  if (name === "see") {
    const [, visibility, split] = /^(causal|bidirectional|prefix)(?::(\d+))?$/.exec(value) ?? [];
    if (!visibility) return false;
    request.options = { ...request.options, see: split === undefined ? { visibility } : { visibility, split: Number(split) } };
    return true;
  }
  const dial = recipe?.dials.find((one) => one.name === name);
  if (!dial && name !== "compat") return false;
  request.options = withOption(recipe, request.options, name, dial?.kind === "text" ? value : parsed(value));
  return true;
}

function parsed(value) {
  try {
    return JSON.parse(value);
  } catch {
    return value === "none" ? null : value;
  }
}
