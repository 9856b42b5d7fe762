/** Asking Python for samples: the newest request wins, what was answered is kept, and three ways to reach whoever answers. */

import { canonical, recipeOf } from "./store.js";

/** How long an answer may take before the page says that it is working, and before a newer request stops waiting for it. */
const SLOW = 300,
  IMPATIENT = 400;
/** how many answers are kept */
const KEPT = 200;

/** `ask(request)` resolves with {answer, request}, or with null when a newer one has taken its place. One request is under way
 * at a time and the newest waits, so a dial that is dragged shows what it passes and ends on its last value. */
export class Asker {
  #transport;
  #working;
  #kept = new Map();
  #current = null;
  #waiting = null;
  #number = 0;
  #latest = 0;

  /** `working(true)` is called when an answer takes long, `working(false)` when nothing is under way. */
  constructor(transport, working) {
    this.#transport = transport;
    this.#working = working;
  }

  ask(request) {
    return new Promise((done, fail) => {
      const job = { request, key: canonical(request), done, fail, number: (this.#number += 1), stop: new AbortController() };
      const found = this.#kept.get(job.key);
      if (found) {
        this.stop();
        return this.#settle(job, found);
      }
      this.#waiting?.done(null);
      this.#waiting = null;
      if (!this.#current) return this.#run(job);
      this.#waiting = job;
      if (performance.now() - this.#current.since > IMPATIENT) this.#current.stop.abort();
    });
  }

  /** Wait for nothing any more. */
  stop() {
    this.#current?.stop.abort();
    this.#waiting?.done(null);
    this.#waiting = null;
  }

  /** An answer that came some other way. */
  remember(request, answer) {
    this.#keep(canonical(request), answer);
  }

  /** Of what was answered, {request, answer} of what is most like a request; null when there is nothing like it. */
  nearest(request) {
    const all = [...this.#kept].map(([key, answer]) => ({ request: JSON.parse(key), answer }));
    return nearest(request, all);
  }

  #keep(key, answer) {
    this.#kept.delete(key);
    this.#kept.set(key, answer);
    if (this.#kept.size > KEPT) this.#kept.delete(this.#kept.keys().next().value);
  }

  #settle(job, answer) {
    if (job.number < this.#latest) return job.done(null);
    this.#latest = job.number;
    return job.done({ answer, request: answer.request ?? job.request });
  }

  async #run(job) {
    this.#current = job;
    job.since = performance.now();
    const timer = setTimeout(() => this.#working(true), SLOW);
    try {
      const answer = await this.#transport(job.request, job.stop.signal);
      if (answer.ok && !answer.snapped) this.#keep(job.key, answer);
      this.#settle(job, answer);
    } catch (error) {
      if (job.stop.signal.aborted) job.done(null);
      else job.fail(error);
    }
    clearTimeout(timer);
    this.#current = null;
    const next = this.#waiting;
    this.#waiting = null;
    if (next) this.#run(next);
    else this.#working(false);
  }
}

/** Over the local server. */
export function byFetch(path, token) {
  return async (request, signal) => {
    const headers = { "Content-Type": "application/json", ...(token ? { "X-Maskdial-Token": token } : {}) };
    const got = await fetch(path, { method: "POST", headers, body: JSON.stringify(request), signal });
    return got.json();
  };
}

/** Over a notebook's comm: `{id, request}` goes out, `{id, answer}` comes back. */
export function byModel(model) {
  const open = new Map();
  let count = 0;
  const hear = (message) => {
    open.get(message?.id)?.(message.answer);
    open.delete(message?.id);
  };
  model.on("msg:custom", hear);
  const transport = (request, signal) =>
    new Promise((done, fail) => {
      const id = (count += 1);
      open.set(id, done);
      signal?.addEventListener("abort", () => {
        open.delete(id);
        fail(signal.reason);
      });
      model.send({ id, request });
    });
  return { transport, close: () => model.off("msg:custom", hear) };
}

/** From what a page carries (`read()` gives answers by their requests): the answer itself, or the nearest one, with the request that it answers. */
export function byEmbedded(read, meta) {
  let answers = null,
    all = null;
  const look = (request) => {
    // megabytes, which a page that is only looked at need not read
    answers ??= read();
    const exact = answers[canonical(request)];
    if (exact) return exact;
    all ??= Object.entries(answers).map(([key, answer]) => ({ request: JSON.parse(key), answer }));
    const found = nearest(request, all, meta);
    return found
      ? { ...found.answer, request: found.request, snapped: true }
      : {
          ok: false,
          error: {
            code: "not_precomputed",
            message: `This page holds no sample of ${request.objective}.`,
            hint: "Run `maskdial explore` to turn every dial."
          }
        };
  };
  return async (request) =>
    request.second ? pair(look({ ...request, second: null }), look({ ...request, ...request.second, second: null })) : look(request);
}

/** Two answers as the answer to a comparison. */
function pair(one, two) {
  if (!one.ok || !two.ok) return one.ok ? two : one;
  // each summary is a sentence that opens with the same words
  const opening = "For the same text, ",
    summary = `${one.extra.summary.slice(0, -1)}; ${two.extra.summary.slice(opening.length)}`;
  const other = { objective: two.extra.request.objective, options: two.extra.request.options };
  return {
    ...one,
    data: [one.data[0], two.data[0]],
    extra: { ...one.extra, second: two.extra, summary },
    other,
    snapped: one.snapped || two.snapped
  };
}

/** Of what is known, the request most like this one: the same objective, then the text, then the dials. */
function nearest(request, known, meta = null) {
  const usual = Object.fromEntries((meta ? (recipeOf(meta, request)?.dials ?? []) : []).map((dial) => [dial.name, dial.default]));
  let best = null,
    least = Infinity;
  for (const one of known) {
    const far = distance(request, one.request, usual);
    if (far < least) [best, least] = [one, far];
  }
  return best;
}

function distance(a, b, usual) {
  if (a.objective !== b.objective || (a.second?.objective ?? null) !== (b.second?.objective ?? null)) return Infinity;
  const unlike = (key) => canonical(a[key] ?? null) !== canonical(b[key] ?? null);
  const far = 1000 * unlike("text") + 500 * unlike("tokenizer") + 20 * unlike("seed") + 60 * unlike("hide") + 60 * unlike("force");
  const one = { ...usual, ...a.options },
    two = { ...usual, ...b.options };
  return Object.keys({ ...one, ...two }).reduce((sum, name) => sum + apart(one[name], two[name]), far);
}

function apart(x, y) {
  if (canonical(x ?? null) === canonical(y ?? null)) return 0;
  if (typeof x === "number" && typeof y === "number") return (100 * Math.abs(x - y)) / (1 + Math.abs(x) + Math.abs(y));
  if (x?.visibility && x.visibility === y?.visibility) return Math.abs((x.split ?? 0) - (y.split ?? 0));
  return 100;
}
