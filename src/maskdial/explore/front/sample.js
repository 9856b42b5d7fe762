/** Reading `sample-view/1`: nothing here decides what an objective does, it only finds things in what Python sent. */

/** kind → the letter on a token (so that colour is never alone) and words for it */
export const KINDS = {
  mask: ["M", "hidden behind [MASK]"],
  random: ["R", "replaced by a random token"],
  same: ["K", "chosen but kept"],
  sentinel: ["S", "a sentinel that stands for a span"],
  replaced: ["Δ", "replaced"],
  moved: ["⇄", "moved"],
  inserted: ["+", "inserted"],
  "deleted-marker": ["×", "deleted here"],
  special: ["", "a special token"],
  pad: ["", "padding"]
};
/** kinds that mean "this is not simply the text's token" */
export const CHANGED = new Set(["mask", "random", "same", "sentinel", "replaced", "moved", "inserted", "deleted-marker"]);
/** how a cell is drawn: hidden, one-way, two-way */
export const CELLS = ["no", "one", "two"];
/** more positions than this in a panel are drawn on a canvas */
export const FINEST = 64;

/** A token with its white space made visible; nothing is ever blank, and nothing turns the line around. */
export function spelled(text) {
  if (text === "") return "∅";
  return text
    .replace(/\r\n|\n/g, "⏎")
    .replace(/\t/g, "⇥")
    .replace(/[\x20\u0120\u2581]/g, "␣")
    .replace(
      /[\u0000-\u001f\u007f\u200b-\u200f\u202a-\u202e\u2066-\u2069\ufeff\u2028\u2029]/g,
      (c) => `<${c.codePointAt(0).toString(16).toUpperCase().padStart(2, "0")}>`
    );
}

/** Everything that can be looked at: the streams of a view and, behind them, those of a second network's view. */
export function streamsOf(view) {
  if (!view) return [];
  const own = view.streams.map((stream) => ({ ...stream, key: stream.id, view }));
  const second = view.second
    ? view.second.streams.map((stream) => ({
        ...stream,
        key: `second.${stream.id}`,
        view: view.second,
        label: view.second.note ?? stream.label
      }))
    : [];
  return [...own, ...second];
}

/** A stream by its key. */
export function streamOf(view, key) {
  return streamsOf(view).find((stream) => stream.key === key) ?? null;
}

/** Whether position i of a stream bears loss. */
export function scored(stream, i) {
  return (stream.loss ?? []).some((head) => head[i] > 0);
}

/** What position i must say, head by head (null: nothing is asked). */
export function saidAt(stream, i) {
  return (stream.targets ?? []).map((head) => head[i] ?? null);
}

/** The same in words, with the heads' names where there are several. */
export function saidWords(stream, i) {
  const name = (head) => (stream.heads.length > 1 ? `${stream.heads[head]} ` : "");
  return saidAt(stream, i).flatMap((one, head) => (one ? [`${name(head)}“${spelled(one.t)}”`] : []));
}

/** The panels to draw for a row's view: who looks, at whom, and each row's intervals. */
export function panelsOf(view) {
  return view ? view.attn.filter((panel) => size(view, panel.q) && size(view, panel.k)) : [];
}

/** How many positions a stream of a view has. */
export function size(view, id) {
  return view.streams.find((stream) => stream.id === id)?.tokens.length ?? 0;
}

/** What a row sees: stream key → intervals. A stream that the row never looks at is absent. */
export function seenFrom(view, row) {
  const stream = row && streamOf(view, row.stream);
  if (!stream || row.index >= stream.tokens.length) return new Map();
  const before = stream.key.slice(0, stream.key.length - stream.id.length);
  return new Map(stream.view.attn.filter((panel) => panel.q === stream.id).map((panel) => [before + panel.k, panel.rows[row.index] ?? []]));
}

/** Whether a position lies in one of the half-open intervals. */
export function inside(intervals, i) {
  return (intervals ?? []).some(([low, high]) => low <= i && i < high);
}

/** A panel as a matrix of 0 hidden, 1 one-way, 2 two-way, row after row. */
export function cellsOf(view, panel) {
  const rows = panel.rows.length,
    columns = size(view, panel.k);
  const cells = new Uint8Array(rows * columns);
  panel.rows.forEach((intervals, q) => intervals.forEach(([low, high]) => cells.fill(1, q * columns + low, q * columns + high)));
  if (panel.q !== panel.k) return cells;
  for (let q = 0; q < rows; q += 1)
    for (let k = q + 1; k < columns; k += 1)
      if (cells[q * columns + k] && cells[k * columns + q]) cells[q * columns + k] = cells[k * columns + q] = 2;
  // a position and itself: as its neighbours are, or a causal grid would show a dark staircase that means nothing
  for (let q = 0; q < rows; q += 1)
    if (cells[q * columns + q] && cells.subarray(q * columns, (q + 1) * columns).includes(2)) cells[q * columns + q] = 2;
  return cells;
}

/** The share of a view's cells through which something is seen, cells between streams included. */
function shareVisible(view) {
  const all = view.streams.reduce((sum, stream) => sum + stream.tokens.length, 0) ** 2;
  const seen = view.attn.reduce((sum, panel) => sum + panel.rows.reduce((n, row) => n + row.reduce((m, [a, b]) => m + b - a, 0), 0), 0);
  return all ? seen / all : 0;
}

const shared = new WeakMap();

/** The share of positions that are changed, and the share that bear loss. */
export function shares(view) {
  if (!shared.has(view)) shared.set(view, sharesOf(view));
  return shared.get(view);
}

function sharesOf(view) {
  const streams = view.streams,
    total = streams.reduce((sum, stream) => sum + stream.tokens.length, 0) || 1;
  const asked = streams.reduce((sum, stream) => sum + stream.tokens.filter((_, i) => scored(stream, i)).length, 0);
  const pieces = piecesOf(view);
  return {
    see: shareVisible(view),
    hide: pieces.length ? pieces.filter((piece) => piece.chosen).length / pieces.length : 0,
    score: asked / total,
    asked,
    total
  };
}

/** Positions whose place in the text comes again are slots in which answers stand (XLNet, GLM, blocks): where those begin. */
export function slotsFrom(view, stream) {
  if (view.streams.length > 1) return stream.tokens.length;
  const seen = new Set();
  const again = stream.tokens.findIndex(({ position }) => seen.has(position) || !seen.add(position));
  return again < 0 ? stream.tokens.length : again;
}

/** The text in pieces, as the tokenizer cut it: every span that a token of the sample names, and what lies between them.
 * A piece is chosen when a token there is changed, or when the source no longer shows it. */
export function piecesOf(view) {
  const spans = new Map(),
    source = view.streams[0],
    until = slotsFrom(view, source);
  for (const stream of view.streams)
    stream.tokens.forEach((token, i) => {
      if (!token.src || token.src[0] >= token.src[1]) return;
      const known = spans.get(token.src[0]) ?? { low: token.src[0], high: token.src[1], shown: false, changed: false };
      known.changed ||= CHANGED.has(token.kind);
      known.shown ||= stream === source && i < until;
      spans.set(known.low, known);
    });
  return between(
    [...spans.values()].sort((a, b) => a.low - b.low),
    [...view.text]
  ).map(({ text, shown, changed }) => ({ text, chosen: changed || !shown }));
}

function between(spans, letters) {
  const made = [];
  let at = 0;
  const gap = (high) => {
    for (const [text] of letters.slice(at, high).join("").matchAll(/\S+/g)) made.push({ text, shown: false, changed: false });
  };
  for (const span of spans) {
    if (span.low < at) continue;
    gap(span.low);
    made.push({ ...span, text: letters.slice(span.low, span.high).join("") });
    at = span.high;
  }
  gap(letters.length);
  return made;
}

/** The row of another view that stands for the same piece of the text, or null. */
export function linked(from, to, row) {
  const token = streamOf(from, row?.stream)?.tokens[row?.index];
  if (!token || !to) return null;
  const same = streamOf(to, row.stream);
  const place = ({ src }) => src && token.src && src[0] === token.src[0];
  if (same && same.tokens[row.index] && (place(same.tokens[row.index]) || !token.src)) return row;
  for (const stream of streamsOf(to)) {
    const index = stream.tokens.findIndex(place);
    if (index >= 0) return { stream: stream.key, index };
  }
  return null;
}

/** A scored row near the middle: what a first look shows. */
export function middleRow(view) {
  const asked = [];
  for (const stream of view.streams)
    stream.tokens.forEach((_, i) => {
      if (scored(stream, i)) asked.push({ stream: stream.id, index: i });
    });
  return asked[Math.floor(asked.length / 2)] ?? (view.streams[0]?.tokens.length ? { stream: view.streams[0].id, index: 0 } : null);
}

/** The row, if the view still has it; else one that it has. */
export function keptRow(view, row) {
  const stream = row && streamOf(view, row.stream);
  return stream && row.index < stream.tokens.length ? row : middleRow(view);
}

/** "0–6, 8" for [[0, 7], [8, 9]]. */
export function ranges(intervals) {
  return intervals.map(([low, high]) => (high - low > 1 ? `${low}–${high - 1}` : String(low))).join(", ") || "–";
}

/** Where two views differ: "read.stream.index" and "say.stream.index" of tokens, "panel.q.k" of cells that both have. */
export function differencesOf(one, two) {
  const tokens = new Set(),
    cells = new Set();
  for (const stream of one?.streams ?? []) {
    const same = two?.streams.find((other) => other.id === stream.id);
    stream.tokens.forEach((token, i) => {
      const other = same?.tokens[i];
      if (!other || token.t !== other.t || token.kind !== other.kind) tokens.add(`read.${stream.id}.${i}`);
      if (!other || saying(stream, i) !== saying(same, i)) tokens.add(`say.${stream.id}.${i}`);
    });
  }
  for (const panel of one?.attn ?? []) {
    const same = two?.attn.find((other) => other.id === panel.id);
    if (!same) continue;
    const a = cellsOf(one, panel),
      b = cellsOf(two, same),
      across = [size(one, panel.k), size(two, panel.k)];
    for (let q = 0; q < Math.min(panel.rows.length, same.rows.length); q += 1)
      for (let k = 0; k < Math.min(...across); k += 1)
        if (a[q * across[0] + k] > 0 !== b[q * across[1] + k] > 0) cells.add(`${panel.id}.${q}.${k}`);
  }
  return { tokens, cells };
}

function saying(stream, i) {
  return JSON.stringify([scored(stream, i), saidAt(stream, i).map((one) => one?.t ?? null)]);
}
