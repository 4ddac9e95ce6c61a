// One server for a group of tests with the client of this run.
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { after, before, describe, test } from "node:test";
import { dialect } from "./dialects.mjs";
import { Server, sleep } from "./server.mjs";

export { assert, randomUUID, sleep };

const patience = 120_000;

// `define({ it, context })`; a test gets ({ client, dialect, api, server, stream, t }).
export function withClient(title, define) {
  describe(`${title}: ${dialect.name}`, () => {
    const context = { dialect, api: dialect.api };
    before(async () => {
      context.server = await Server.start();
      context.client = dialect.connect(context.server);
    });
    after(async () => {
      await context.client?.dispose();
      await context.server?.stop();
    });
    define({
      context,
      it: (name, body, only = {}) =>
        test(name, { timeout: patience, ...only }, async (t) => {
          await body({ ...context, t, stream: `s-${randomUUID()}` });
        }),
    });
  });
}

export const jsonEvents = (api, count, type = "tested", from = 0) =>
  Array.from({ length: count }, (_, n) => api.jsonEvent({ type, data: { n: n + from } }));

export async function collect(reading) {
  const out = [];
  for await (const resolved of reading) {
    out.push(resolved);
  }
  return out;
}

// The error a promise is rejected with; fails if it is not.
export async function refusal(promise) {
  try {
    await promise;
  } catch (error) {
    return error;
  }
  return assert.fail("this should have been refused");
}

export async function refusedAs(api, type, promise) {
  const error = await refusal(promise);
  assert.equal(error.type, type, `${error.type ?? error.name}: ${error.message}`);
  return error;
}

// A subscription's deliveries, with a way to wait for some of them.
export class Watch {
  constructor(subscription, { hold = false } = {}) {
    this.subscription = subscription;
    this.events = [];
    this.caughtUp = 0;
    this.confirmed = 0;
    this.waiting = [];
    subscription.on("error", (error) => {
      this.error = error;
      this.wake();
    });
    subscription.on("confirmation", () => {
      this.confirmed += 1;
      this.wake();
    });
    subscription.on("caughtUp", (info) => {
      this.caughtUp += 1;
      this.caughtUpAt = this.events.length;
      this.caughtUpInfo = info;
      this.wake();
    });
    subscription.on("end", () => {
      this.ended = true;
      this.wake();
    });
    if (!hold) {
      subscription.on("data", (resolved) => {
        this.events.push(resolved);
        this.onEvent?.(resolved);
        this.wake();
      });
    }
  }

  wake() {
    const waiting = this.waiting;
    this.waiting = [];
    waiting.forEach((resolve) => resolve());
  }

  async until(done, what, timeout = 60_000) {
    const deadline = Date.now() + timeout;
    while (!done(this)) {
      if (this.error && !String(what).startsWith("error")) {
        throw this.error;
      }
      const left = deadline - Date.now();
      if (left <= 0) {
        assert.fail(`waited in vain for ${what}; got ${this.events.length} events`);
      }
      await Promise.race([new Promise((resolve) => this.waiting.push(resolve)), sleep(Math.min(left, 200))]);
    }
  }

  count(n) {
    return this.until(() => this.events.length >= n, `${n} events`);
  }

  async failure() {
    await this.until(() => this.error, "error");
    return this.error;
  }

  stop() {
    return this.subscription.unsubscribe();
  }
}

export const idsOf = (resolved) => resolved.map((each) => (each.link ?? each.event).id);
export const numbersOf = (resolved) => resolved.map((each) => Number(each.event.data.n));
export const upTo = (n, from = 0) => Array.from({ length: n - from }, (_, i) => i + from);

// The events of $all whose stream begins with `prefix`, picked here: not every client filters reads.
export async function allOf(client, prefix) {
  return (await collect(client.readAll())).filter((each) => (each.link ?? each.event).streamId.startsWith(prefix));
}
