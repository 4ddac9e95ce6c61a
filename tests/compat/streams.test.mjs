// Appending to and reading from streams and $all.
import { allOf, assert, collect, idsOf, jsonEvents, numbersOf, randomUUID, refusedAs, upTo, withClient } from "./harness/suite.mjs";

withClient("append and read", ({ it }) => {
  it("what was appended comes back whole", async ({ client, api, stream }) => {
    const json = api.jsonEvent({ id: randomUUID(), type: "told", data: { text: "灵石", big: 9007199254740991 }, metadata: { who: "甲" } });
    const binary = api.binaryEvent({ id: randomUUID(), type: "raw", data: Buffer.from([0, 1, 254, 255]), metadata: Buffer.from([7, 0, 9]) });
    const outcome = await client.appendToStream(stream, [json, binary]);
    assert.equal(outcome.success, true);
    assert.equal(outcome.nextExpectedRevision, 1n);
    const [first, second] = (await collect(client.readStream(stream))).map((each) => each.event);
    assert.equal(first.id, json.id);
    assert.equal(first.type, "told");
    assert.equal(first.streamId, stream);
    assert.equal(first.revision, 0n);
    assert.equal(first.isJson, true);
    assert.deepEqual(first.data, json.data);
    assert.deepEqual(first.metadata, json.metadata);
    assert.ok(Math.abs(first.created.getTime() - Date.now()) < 600_000);
    assert.equal(second.isJson, false);
    assert.deepEqual(Buffer.from(second.data), Buffer.from(binary.data));
    assert.deepEqual(Buffer.from(second.metadata), Buffer.from(binary.metadata));
    assert.deepEqual(second.position, outcome.position);
    assert.ok(first.position.commit < second.position.commit);
    assert.equal(first.position.commit, first.position.prepare);
  });

  it("an event without data, and names of every kind", async ({ client, api }) => {
    for (const name of [`空 ${randomUUID()}`, `a/b?c=d&e ${randomUUID()}`, `x-${"y".repeat(200)}-${randomUUID()}`]) {
      await client.appendToStream(name, api.binaryEvent({ type: "é", data: Buffer.alloc(0) }));
      const [only] = await collect(client.readStream(name));
      assert.equal(only.event.streamId, name);
      assert.equal(only.event.type, "é");
      assert.equal(only.event.data.length, 0);
    }
  });

  it("reads forwards, backwards, from anywhere, so many", async ({ client, api, stream }) => {
    await client.appendToStream(stream, jsonEvents(api, 100));
    const read = async (options) => numbersOf(await collect(client.readStream(stream, options)));
    assert.deepEqual(await read({}), upTo(100));
    assert.deepEqual(await read({ direction: api.BACKWARDS, fromRevision: api.END }), upTo(100).reverse());
    assert.deepEqual(await read({ fromRevision: 42n, maxCount: 3 }), [42, 43, 44]);
    assert.deepEqual(await read({ direction: api.BACKWARDS, fromRevision: 42n, maxCount: 3 }), [42, 41, 40]);
    assert.deepEqual(await read({ fromRevision: 1000n }), []);
    assert.deepEqual(await read({ direction: api.BACKWARDS, fromRevision: 1000n, maxCount: 2 }), [99, 98]);
    assert.deepEqual(await read({ direction: api.BACKWARDS, fromRevision: 0n }), [0]);
    assert.deepEqual(await read({ fromRevision: 99n, requiresLeader: true }), [99]);
  });

  it("a stream that was never written is not found", async ({ client, api, dialect, stream }) => {
    const error = await refusedAs(api, dialect.notFound, collect(client.readStream(stream)));
    assert.equal(error.streamName, stream);
  });

  it("$all forwards, backwards and from a position", async ({ client, api, stream }) => {
    const outcome = await client.appendToStream(stream, jsonEvents(api, 8));
    const everything = await collect(client.readAll());
    assert.ok(everything.length > 8, "system events exist beside the eight");
    const positions = everything.map((each) => each.event.position.commit);
    assert.deepEqual(positions, [...positions].sort((a, b) => (a < b ? -1 : 1)));
    assert.equal(new Set(positions).size, positions.length);
    const newest = await collect(client.readAll({ direction: api.BACKWARDS, fromPosition: api.END, maxCount: 8 }));
    assert.deepEqual(numbersOf(newest), upTo(8).reverse());
    assert.deepEqual(newest[0].event.position, outcome.position);
    // Forwards inclusive, backwards exclusive.
    const fifth = newest[3].event.position;
    assert.deepEqual(numbersOf(await collect(client.readAll({ fromPosition: fifth }))), [4, 5, 6, 7]);
    const before = await collect(client.readAll({ direction: api.BACKWARDS, fromPosition: fifth, maxCount: 2 }));
    assert.deepEqual(numbersOf(before), [3, 2]);
    assert.equal((await collect(client.readAll({ maxCount: 2 }))).length, 2);
    assert.deepEqual(await collect(client.readAll({ direction: api.BACKWARDS, fromPosition: { commit: 0n, prepare: 0n } })), []);
  });

  it("$all with filters", async ({ client, api, dialect, stream, t }) => {
    if (!dialect.filtersReads) {
      t.skip("this client does not filter reads; subscriptions are tested elsewhere");
      return;
    }
    const mark = randomUUID();
    await client.appendToStream(`${mark}-a`, jsonEvents(api, 5, `${mark}-red`));
    await client.appendToStream(`${mark}-b`, jsonEvents(api, 5, `${mark}-blue`));
    await client.appendToStream(stream, jsonEvents(api, 5, `x${mark}-red`));
    const types = async (filter) =>
      (await collect(client.readAll({ filter }))).map((each) => each.event.type);
    assert.deepEqual(await types(api.eventTypeFilter({ prefixes: [`${mark}-r`] })), Array(5).fill(`${mark}-red`));
    assert.equal((await types(api.eventTypeFilter({ regex: `${mark}-(red|green)$` }))).length, 10);
    assert.equal((await types(api.eventTypeFilter({ regex: `^${mark}-(red|green)$` }))).length, 5);
    assert.equal((await types(api.streamNameFilter({ prefixes: [`${mark}-a`, `${mark}-b`] }))).length, 10);
    assert.equal((await types(api.streamNameFilter({ regex: `^${mark}-[ab]$`, maxSearchWindow: 4 }))).length, 10);
    const user = await types(api.excludeSystemEvents());
    assert.ok(user.length >= 15 && user.every((type) => !type.startsWith("$")));
    const backwards = client.readAll({ direction: api.BACKWARDS, fromPosition: api.END, maxCount: 2, filter: api.eventTypeFilter({ prefixes: [mark] }) });
    assert.deepEqual((await collect(backwards)).map((each) => each.event.type), Array(2).fill(`${mark}-blue`));
  });

  it("append with credentials goes by the other call and does the same", async ({ client, api, stream }) => {
    const credentials = { username: "anyone", password: "anything" };
    const outcome = await client.appendToStream(stream, jsonEvents(api, 3), { credentials });
    assert.equal(outcome.nextExpectedRevision, 2n);
    assert.deepEqual(numbersOf(await collect(client.readStream(stream))), [0, 1, 2]);
    assert.equal((await client.appendToStream(stream, [], { credentials })).success, true);
  });

  it("one event of 15 MiB, and none of 17", async ({ client, api, stream }) => {
    const large = Buffer.alloc(15 << 20, 7);
    await client.appendToStream(stream, api.binaryEvent({ type: "large", data: large }));
    const [back] = await collect(client.readStream(stream));
    assert.ok(large.equals(Buffer.from(back.event.data)));
    const error = await client
      .appendToStream(stream, api.binaryEvent({ type: "larger", data: Buffer.alloc(17 << 20) }))
      .then(() => assert.fail("17 MiB were taken"), (e) => e);
    assert.ok(error instanceof Error);
    assert.equal((await collect(client.readStream(stream))).length, 1);
  });

  it("forty thousand events through one connection", async ({ client, api, stream }) => {
    const appends = upTo(400).map((n) => client.appendToStream(`${stream}-${n % 8}`, jsonEvents(api, 100, "flood", n * 100)));
    const outcomes = await Promise.all(appends);
    assert.ok(outcomes.every((outcome) => outcome.success));
    const all = await allOf(client, `${stream}-`);
    assert.equal(all.length, 40_000);
    assert.deepEqual(new Set(numbersOf(all)).size, 40_000);
    assert.equal(new Set(idsOf(all)).size, 40_000);
    for (const n of upTo(8)) {
      const revisions = (await collect(client.readStream(`${stream}-${n}`))).map((each) => Number(each.event.revision));
      assert.deepEqual(revisions, upTo(5000));
    }
  });

  it("a reader who stops early harms nobody", async ({ client, api, stream }) => {
    await client.appendToStream(stream, jsonEvents(api, 2000));
    for await (const each of client.readStream(stream)) {
      if (each.event.revision === 10n) {
        break;
      }
    }
    assert.equal((await collect(client.readStream(stream, { fromRevision: 1990n }))).length, 10);
  });
});
