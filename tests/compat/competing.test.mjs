// Competing consumers of a group while the store is killed again and again. What everybody did and was told goes to the
// checker of the fault tests, as a history (tests/fault/README.md): each event is processed or parked, none is lost.
import { spawnSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { assert, collect, sleep, withClient } from "./harness/suite.mjs";

const checker = path.join(path.dirname(fileURLToPath(import.meta.url)), "../fault/checker/check");
const kills = 4;
const eventsARound = 100;
const retries = 3;

class History {
  constructor() {
    this.lines = [];
    this.op = 0;
  }
  tell(line) {
    this.lines.push(line);
  }
  check(folder) {
    const file = path.join(folder, "history");
    writeFileSync(file, this.lines.map((line) => JSON.stringify(line)).join("\n"));
    const { status, stdout, stderr } = spawnSync(checker, [file], { encoding: "utf8" });
    return { sound: status === 0, said: stdout + stderr };
  }
}

async function append(client, { api, stream, history }) {
  const op = (history.op += 1);
  const events = Array.from({ length: eventsARound }, (_, n) => api.jsonEvent({ type: "tested", data: { n } }));
  const written = events.map(({ id, data }) => ({ id, data: JSON.stringify(data) }));
  history.tell({ t: "invoke", op, kind: "append", writes: [{ stream, expected: "any", events: written }] });
  const done = await client.appendToStream(stream, events);
  const last = Number(done.nextExpectedRevision);
  history.tell({ t: "ok", op, position: Number(done.position.commit), revisions: [last], repeated: false });
}

// Most events are acknowledged; some are given back, parked, or never answered.
function consume(client, { api, stream, group, history, seed }) {
  const subscription = client.subscribeToPersistentSubscriptionToStream(stream, group, { bufferSize: 20 });
  subscription.on("error", () => {});
  let state = seed;
  subscription.on("data", (resolved) => {
    const told = (what) => history.tell({ t: "consumer", group, id: resolved.event.id, what });
    told("delivered");
    state = (state * 1103515245 + 12345) % 2147483648;
    const choice = state % 20;
    if (choice === 0 && resolved.retryCount === 0) {
      return; // the message's time will run out
    }
    const action = choice === 1 ? [api.PARK, "parked"] : choice < 5 ? [api.RETRY, "retried"] : undefined;
    told(action ? action[1] : "acked");
    (action ? subscription.nack(action[0], "as the test wants it", resolved) : subscription.ack(resolved)).catch(() => {});
  });
  return subscription;
}

// What consumers said, and what the store parked by itself after so many tries.
async function settled(client, { stream, group, history }) {
  const done = new Set(
    history.lines.filter((line) => line.t === "consumer" && ["acked", "parked"].includes(line.what)).map((line) => line.id),
  );
  const parked = await collect(
    client.readStream(`$persistentsubscription-${stream}::${group}-parked`, { resolveLinkTos: true }),
  ).catch(() => []);
  for (const { event } of parked) {
    if (event && !done.has(event.id)) {
      done.add(event.id);
      history.tell({ t: "consumer", group, id: event.id, what: "parked" });
    }
  }
  return done.size;
}

async function tellWhatIsThere(client, { stream, history }) {
  const events = (await collect(client.readStream(stream))).map(({ event }) => [
    Number(event.position.commit),
    event.streamId,
    Number(event.revision),
    event.id,
    JSON.stringify(event.data),
    null,
  ]);
  history.tell({ t: "final", events });
  return events;
}

withClient("competing consumers", ({ it }) => {
  it("the store is killed again and again: no event is lost", async (given) => {
    const { api, dialect, server, stream } = given;
    const world = { api, stream, group: "competing", history: new History() };
    const { history, group } = world;
    const settings = api.persistentSubscriptionToStreamSettingsFromDefaults({
      startFrom: api.START,
      maxRetryCount: retries,
      messageTimeout: 1000,
      checkPointAfter: 100,
      checkPointLowerBound: 1,
      checkPointUpperBound: 20,
    });
    await given.client.createPersistentSubscriptionToStream(stream, group, settings);
    history.tell({ t: "group", group, stream, max_tries: (retries + 1) * (kills + 1) });
    let client;
    for (let round = 0; round <= kills; round += 1) {
      client = dialect.connect(server);
      [1, 2].forEach((n) => consume(client, { ...world, seed: round * 7 + n }));
      await append(client, world);
      if (round < kills) {
        await sleep(100 + round * 150);
        await server.kill();
        history.tell({ t: "crash" });
        await client.dispose().catch(() => {});
        await server.resume();
        history.tell({ t: "boot" });
      }
    }
    const all = (kills + 1) * eventsARound;
    for (const until = Date.now() + 60_000; (await settled(client, world)) < all && Date.now() < until; ) {
      await sleep(200);
    }
    const final = await tellWhatIsThere(client, world);
    assert.equal(final.length, all);
    history.tell({ t: "group_end", group, position: final.at(-1)[0] });
    const checked = history.check(server.folder);
    assert.ok(checked.sound, checked.said);

    // The checker would see an event that nobody processed.
    const victim = final[17][3];
    history.lines = history.lines.filter((line) => line.t !== "consumer" || line.id !== victim);
    const control = history.check(server.folder);
    assert.ok(!control.sound && control.said.includes("S9"), control.said);
    await client.dispose();
  });
});
