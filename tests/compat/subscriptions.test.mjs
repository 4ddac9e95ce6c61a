// Catch-up subscriptions to streams and to $all.
import { allOf, assert, collect, idsOf, jsonEvents, numbersOf, randomUUID, refusal, sleep, upTo, Watch, withClient } from "./harness/suite.mjs";

withClient("stream subscriptions", ({ it }) => {
  it("history, then once caught up, then live", async ({ client, api, stream }) => {
    await client.appendToStream(stream, jsonEvents(api, 50));
    const watch = new Watch(client.subscribeToStream(stream));
    await watch.until(() => watch.caughtUp === 1, "caught up");
    assert.equal(watch.confirmed, 1);
    assert.equal(watch.caughtUpAt, 50);
    await client.appendToStream(stream, jsonEvents(api, 20, "tested", 50));
    await watch.count(70);
    assert.deepEqual(numbersOf(watch.events), upTo(70));
    assert.equal(watch.caughtUp, 1);
    await watch.stop();
  });

  it("from a revision (after it), and from the end", async ({ client, api, stream }) => {
    await client.appendToStream(stream, jsonEvents(api, 10));
    const after = new Watch(client.subscribeToStream(stream, { fromRevision: 6n }));
    const live = new Watch(client.subscribeToStream(stream, { fromRevision: api.END }));
    await live.until(() => live.caughtUp === 1, "caught up");
    await client.appendToStream(stream, jsonEvents(api, 1, "tested", 10));
    await after.count(4);
    await live.count(1);
    assert.deepEqual(numbersOf(after.events), [7, 8, 9, 10]);
    assert.deepEqual(numbersOf(live.events), [10]);
    await Promise.all([after.stop(), live.stop()]);
  });

  it("a stream that does not exist yet, or no more", async ({ client, api, stream }) => {
    const watch = new Watch(client.subscribeToStream(stream));
    await watch.until(() => watch.caughtUp === 1, "caught up");
    await client.appendToStream(stream, jsonEvents(api, 2));
    await watch.count(2);
    await client.deleteStream(stream);
    await client.appendToStream(stream, jsonEvents(api, 1, "tested", 2));
    await watch.count(3);
    assert.deepEqual(numbersOf(watch.events), [0, 1, 2]);
    await watch.stop();
  });

  it("a tombstone ends it", async ({ client, api, stream }) => {
    await client.appendToStream(stream, jsonEvents(api, 2));
    const watch = new Watch(client.subscribeToStream(stream));
    await watch.until(() => watch.caughtUp === 1, "caught up");
    await client.tombstoneStream(stream);
    assert.equal((await watch.failure()).type, api.ErrorType.STREAM_DELETED);
    const late = new Watch(client.subscribeToStream(stream));
    assert.equal((await late.failure()).type, api.ErrorType.STREAM_DELETED);
  });

  it("many writers, one reader: every event once, in order", async ({ client, api, stream }) => {
    const watch = new Watch(client.subscribeToStream(stream));
    await Promise.all(upTo(100).map((n) => client.appendToStream(stream, jsonEvents(api, 20, "tested", n * 20))));
    await watch.count(2000);
    assert.deepEqual(watch.events.map((each) => Number(each.event.revision)), upTo(2000));
    assert.equal(new Set(idsOf(watch.events)).size, 2000);
    await watch.stop();
  });

  it("a slow reader is not dropped and misses nothing", async ({ client, api, stream }) => {
    const subscription = client.subscribeToStream(stream);
    const watch = new Watch(subscription, { hold: true });
    await watch.until(() => watch.confirmed === 1, "confirmation").catch(() => {});
    const filler = "x".repeat(2000);
    for (const n of upTo(40)) {
      const events = upTo(250).map((i) => api.jsonEvent({ type: "large", data: { n: n * 250 + i, filler } }));
      await client.appendToStream(stream, events);
    }
    const seen = [];
    for await (const resolved of subscription) {
      seen.push(Number(resolved.event.data.n));
      if (seen.length % 1000 === 0) {
        await sleep(50);
      }
      if (seen.length === 10_000) {
        break;
      }
    }
    assert.deepEqual(seen, upTo(10_000));
    assert.equal(watch.error, undefined);
  });
});

withClient("$all subscriptions", ({ it }) => {
  it("from the beginning, from a position, from the end", async ({ client, api, stream }) => {
    const { position } = await client.appendToStream(stream, jsonEvents(api, 5));
    await client.appendToStream(stream, jsonEvents(api, 5, "tested", 5));
    const ours = (watch) => watch.events.filter((each) => each.event.streamId === stream);
    const whole = new Watch(client.subscribeToAll());
    const after = new Watch(client.subscribeToAll({ fromPosition: position }));
    const live = new Watch(client.subscribeToAll({ fromPosition: api.END }));
    await live.until(() => live.caughtUp === 1, "caught up");
    await client.appendToStream(stream, jsonEvents(api, 1, "tested", 10));
    for (const [watch, expected] of [[whole, upTo(11)], [after, upTo(11, 5)], [live, [10]]]) {
      await watch.until(() => ours(watch).length === expected.length, "the events");
      assert.deepEqual(numbersOf(ours(watch)), expected);
      await watch.until(() => watch.caughtUp === 1, "caught up");
      await watch.stop();
    }
    assert.equal(after.events.length, 6);
  });

  it("filters, and checkpoints as they are asked for", async ({ client, api, stream }) => {
    const mark = randomUUID();
    for (const n of upTo(6)) {
      await client.appendToStream(`${stream}-${n}`, jsonEvents(api, 64, n % 2 === 0 ? `${mark}-a` : "other", n * 64));
    }
    const checkpoints = [];
    const start = (await allOf(client, `${stream}-0`))[0].event.position;
    const filter = api.eventTypeFilter({
      prefixes: [mark],
      maxSearchWindow: 32,
      checkpointInterval: 2,
      checkpointReached: (_, position) => checkpoints.push(position.commit),
    });
    const watch = new Watch(client.subscribeToAll({ fromPosition: start, filter }));
    await watch.until(() => watch.caughtUp === 1, "caught up");
    assert.equal(watch.events.length, 191);
    assert.ok(checkpoints.length >= 5 && checkpoints.length <= 8, `${checkpoints.length} checkpoints`);
    assert.deepEqual(checkpoints, [...checkpoints].sort((a, b) => (a < b ? -1 : 1)));
    assert.equal(new Set(checkpoints).size, checkpoints.length);
    // A checkpoint is a place to go on from: nothing after it is missed.
    const again = new Watch(client.subscribeToAll({ fromPosition: { commit: checkpoints[2], prepare: checkpoints[2] }, filter: api.eventTypeFilter({ prefixes: [mark] }) }));
    await again.until(() => again.caughtUp === 1, "caught up");
    const expected = watch.events.filter((each) => each.event.position.commit > checkpoints[2]);
    assert.deepEqual(idsOf(again.events), idsOf(expected));
    // Live, checkpoints go on although nothing matches.
    const before = checkpoints.length;
    await client.appendToStream(stream, jsonEvents(api, 300, "nothing of that"));
    await watch.until(() => checkpoints.length > before, "a live checkpoint");
    await Promise.all([watch.stop(), again.stop()]);
  });

  it("regular expressions and stream names", async ({ client, api, stream }) => {
    const watches = [
      new Watch(client.subscribeToAll({ filter: api.streamNameFilter({ regex: `^${stream}-[ab]$` }) })),
      new Watch(client.subscribeToAll({ filter: api.streamNameFilter({ prefixes: [`${stream}-a`, `${stream}-b`] }) })),
      new Watch(client.subscribeToAll({ filter: api.eventTypeFilter({ regex: `^${stream}-wanted$` }) })),
    ];
    for (const name of ["a", "b", "c"]) {
      await client.appendToStream(`${stream}-${name}`, jsonEvents(api, 4, name === "c" ? "other" : `${stream}-wanted`));
    }
    for (const watch of watches) {
      await watch.count(8);
      assert.equal(watch.events.length, 8);
      await watch.stop();
    }
  });

  it("system events can be left out", async ({ client, api, stream }) => {
    const watch = new Watch(client.subscribeToAll({ filter: api.excludeSystemEvents() }));
    await client.setStreamMetadata(stream, { maxCount: 5 });
    await client.appendToStream(stream, jsonEvents(api, 1));
    await watch.until(() => watch.events.some((each) => each.event.streamId === stream), "the event");
    assert.ok(watch.events.every((each) => !each.event.type.startsWith("$")));
    await watch.stop();
  });

  it("an expression that does not compile is refused", async ({ client, api, dialect }) => {
    const watch = new Watch(client.subscribeToAll({ filter: api.eventTypeFilter({ regex: "(" }) }));
    assert.ok((await watch.failure()) instanceof Error);
    if (dialect.filtersReads) {
      assert.ok((await refusal(collect(client.readAll({ filter: api.eventTypeFilter({ regex: "(" }) })))) instanceof Error);
    }
  });
});

withClient("idle subscriptions", ({ it }) => {
  it("one that hears nothing for more than a minute is still there", async ({ api, dialect, server, stream }) => {
    // Thirty minutes' worth of pings at the default of one every ten seconds.
    const eager = dialect.connect(server, "&keepAliveInterval=350&keepAliveTimeout=10000");
    const usual = dialect.connect(server);
    const watches = [eager, usual].map((client) => new Watch(client.subscribeToStream(stream)));
    await Promise.all(watches.map((watch) => watch.until(() => watch.caughtUp === 1, "caught up")));
    await sleep(65_000);
    await usual.appendToStream(stream, jsonEvents(api, 1));
    for (const watch of watches) {
      await watch.count(1);
      await watch.stop();
    }
    await Promise.all([eager.dispose(), usual.dispose()]);
  });
});
