// Expected revisions and idempotency, row by row; deletes and tombstones.
import { allOf, assert, collect, jsonEvents, numbersOf, refusedAs, upTo, withClient } from "./harness/suite.mjs";

withClient("expected revisions", ({ it }) => {
  it("each expectation, met and not met", async ({ client, api, dialect, stream }) => {
    const append = (expected, from = 0) => client.appendToStream(stream, jsonEvents(api, 1, "tested", from), dialect.expecting(expected));
    const refused = async (expected, actual) => {
      const error = await refusedAs(api, api.ErrorType.WRONG_EXPECTED_VERSION, append(expected));
      assert.equal(error.streamName, stream);
      assert.equal(dialect.expectedOf(error), expected);
      assert.equal(dialect.actualOf(error), actual);
    };
    await refused(api.STREAM_EXISTS, api.NO_STREAM);
    await refused(5n, api.NO_STREAM);
    assert.equal((await append(api.NO_STREAM)).nextExpectedRevision, 0n);
    await refused(api.NO_STREAM, 0n);
    await refused(1n, 0n);
    assert.equal((await append(0n, 1)).nextExpectedRevision, 1n);
    assert.equal((await append(api.ANY, 2)).nextExpectedRevision, 2n);
    assert.equal((await append(api.STREAM_EXISTS, 3)).nextExpectedRevision, 3n);
    await refused(1n, 3n);
    assert.deepEqual(numbersOf(await collect(client.readStream(stream))), upTo(4));
  });

  it("a refusal can be an answer instead of an error", async ({ dialect, api, server, stream }) => {
    const client = dialect.connect(server, "&throwOnAppendFailure=false");
    await client.appendToStream(stream, jsonEvents(api, 2));
    for (const extra of [{}, { credentials: { username: "a", password: "b" } }]) {
      const outcome = await client.appendToStream(stream, jsonEvents(api, 1), { ...dialect.expecting(api.NO_STREAM), ...extra });
      assert.equal(outcome.success, false);
      assert.equal(outcome.nextExpectedRevision, 1n);
    }
    await client.dispose();
  });

  it("by the older call the refusal says the same", async ({ client, api, dialect, stream }) => {
    const credentials = { username: "a", password: "b" };
    await client.appendToStream(stream, jsonEvents(api, 2), { credentials, ...dialect.expecting(api.NO_STREAM) });
    for (const expected of [api.NO_STREAM, 7n, 0n]) {
      const error = await refusedAs(
        api,
        api.ErrorType.WRONG_EXPECTED_VERSION,
        client.appendToStream(stream, jsonEvents(api, 1), { credentials, ...dialect.expecting(expected) }),
      );
      assert.equal(dialect.actualOf(error), 1n);
    }
    await refusedAs(
      api,
      api.ErrorType.WRONG_EXPECTED_VERSION,
      client.appendToStream(`${stream}-other`, jsonEvents(api, 1), { credentials, ...dialect.expecting(api.STREAM_EXISTS) }),
    );
  });
});

withClient("idempotency", ({ it }) => {
  const count = async (client, stream) => (await collect(client.readStream(stream))).length;

  it("exact and no_stream: the same events again give the first answer", async ({ client, api, dialect, stream }) => {
    const batches = [jsonEvents(api, 3), jsonEvents(api, 2, "tested", 3), jsonEvents(api, 1, "tested", 5)];
    const expected = [api.NO_STREAM, 2n, 4n];
    const first = [];
    for (const n of upTo(3)) {
      first.push(await client.appendToStream(stream, batches[n], dialect.expecting(expected[n])));
    }
    for (const n of upTo(3)) {
      const again = await client.appendToStream(stream, batches[n], dialect.expecting(expected[n]));
      assert.equal(again.nextExpectedRevision, first[n].nextExpectedRevision);
      assert.deepEqual(again.position, first[n].position);
    }
    assert.equal(await count(client, stream), 6);
  });

  it("exact: another first event, or a later one that differs, is a conflict", async ({ client, api, dialect, stream }) => {
    const events = jsonEvents(api, 3);
    await client.appendToStream(stream, events, dialect.expecting(api.NO_STREAM));
    const other = jsonEvents(api, 1);
    for (const attempt of [other, [events[0], ...other], [...events, ...other]]) {
      await refusedAs(api, api.ErrorType.WRONG_EXPECTED_VERSION, client.appendToStream(stream, attempt, dialect.expecting(api.NO_STREAM)));
    }
    assert.equal(await count(client, stream), 3);
  });

  it("exact: a prefix of what was written there is a repeat", async ({ client, api, dialect, stream }) => {
    const events = jsonEvents(api, 3);
    await client.appendToStream(stream, events, dialect.expecting(api.NO_STREAM));
    const again = await client.appendToStream(stream, events.slice(0, 2), dialect.expecting(api.NO_STREAM));
    assert.equal(again.nextExpectedRevision, 1n);
    assert.equal(await count(client, stream), 3);
  });

  it("any and stream_exists: known events are not written again", async ({ client, api, dialect, stream }) => {
    const events = jsonEvents(api, 3);
    const first = await client.appendToStream(stream, events);
    for (const expected of [api.ANY, api.STREAM_EXISTS]) {
      const again = await client.appendToStream(stream, events, dialect.expecting(expected));
      assert.deepEqual(again.position, first.position);
      assert.equal(again.nextExpectedRevision, 2n);
    }
    assert.equal(await count(client, stream), 3);
  });

  it("any: first known and a later one new is a conflict, first new is written", async ({ client, api, stream }) => {
    const [one, two] = jsonEvents(api, 2);
    await client.appendToStream(stream, one);
    await refusedAs(api, api.ErrorType.WRONG_EXPECTED_VERSION, client.appendToStream(stream, [one, two]));
    assert.equal(await count(client, stream), 1);
    await client.appendToStream(stream, [two, one]);
    assert.equal(await count(client, stream), 3);
  });

  it("at the head the same id is written again", async ({ client, api, dialect, stream }) => {
    const [event] = jsonEvents(api, 1);
    await client.appendToStream(stream, event, dialect.expecting(api.NO_STREAM));
    const second = await client.appendToStream(stream, event, dialect.expecting(0n));
    assert.equal(second.nextExpectedRevision, 1n);
    assert.equal(await count(client, stream), 2);
  });

  it("the same id may stand in two streams", async ({ client, api, stream }) => {
    const [event] = jsonEvents(api, 1);
    await client.appendToStream(stream, event);
    await client.appendToStream(`${stream}-other`, event);
    assert.equal(await count(client, `${stream}-other`), 1);
  });
});

withClient("delete and tombstone", ({ it }) => {
  it("a deleted stream is gone, and comes back with its numbers going on", async ({ client, api, dialect, stream }) => {
    await client.appendToStream(stream, jsonEvents(api, 3));
    await client.setStreamMetadata(stream, { maxCount: 100, custom: "kept" });
    const deleted = await client.deleteStream(stream, { expectedRevision: 2n });
    assert.ok(deleted.position.commit > 0n);
    await refusedAs(api, dialect.notFound, collect(client.readStream(stream)));
    const everything = await allOf(client, stream);
    assert.equal(everything.length, 3, "$all still shows what was there");
    const back = await client.appendToStream(stream, jsonEvents(api, 2, "tested", 3), dialect.expecting(api.NO_STREAM));
    assert.equal(back.nextExpectedRevision, 4n);
    assert.deepEqual(numbersOf(await collect(client.readStream(stream))), [3, 4]);
    const { metadata } = await client.getStreamMetadata(stream);
    assert.equal(metadata.truncateBefore, 3);
  });

  it("every expectation of a delete", async ({ client, api, dialect, stream }) => {
    const refused = async (name, promise) => {
      const error = await refusedAs(api, api.ErrorType.WRONG_EXPECTED_VERSION, promise);
      assert.equal(error.streamName, name);
      return error;
    };
    await refused(stream, client.deleteStream(stream));
    await client.appendToStream(stream, jsonEvents(api, 2));
    const error = await refused(stream, client.deleteStream(stream, { expectedRevision: 0n }));
    assert.equal(dialect.expectedOf(error), 0n);
    assert.equal(dialect.actualOf(error), 1n);
    await refused(stream, client.deleteStream(stream, { expectedRevision: api.NO_STREAM }));
    await refused(stream, client.tombstoneStream(stream, { expectedRevision: 7n }));
    await client.deleteStream(stream, { expectedRevision: api.ANY });
    await client.deleteStream(stream, { expectedRevision: api.ANY });
    await client.appendToStream(stream, jsonEvents(api, 1), dialect.expecting(1n));
    await client.deleteStream(stream, { expectedRevision: 2n });
  });

  it("a tombstone is for ever", async ({ client, api, stream }) => {
    await client.appendToStream(stream, jsonEvents(api, 2));
    await client.tombstoneStream(stream, { expectedRevision: 1n });
    const attempts = [
      () => collect(client.readStream(stream)),
      () => collect(client.readStream(stream, { direction: api.BACKWARDS, fromRevision: api.END })),
      () => client.appendToStream(stream, jsonEvents(api, 1)),
      () => client.appendToStream(stream, jsonEvents(api, 1), { credentials: { username: "a", password: "b" } }),
      () => client.deleteStream(stream),
      () => client.tombstoneStream(stream),
      () => client.setStreamMetadata(stream, { maxCount: 2 }),
    ];
    for (const attempt of attempts) {
      const error = await refusedAs(api, api.ErrorType.STREAM_DELETED, attempt());
      assert.ok(error.streamName === stream || error.streamName === `$$${stream}`, error.streamName);
    }
    const last = await collect(client.readAll({ direction: api.BACKWARDS, fromPosition: api.END, maxCount: 1 }));
    assert.equal(last[0].event.type, "$streamDeleted");
    assert.equal(last[0].event.streamId, stream);
  });

  it("a stream that was never written can be tombstoned", async ({ client, api, stream }) => {
    await client.tombstoneStream(stream, { expectedRevision: api.NO_STREAM });
    await refusedAs(api, api.ErrorType.STREAM_DELETED, client.appendToStream(stream, jsonEvents(api, 1)));
  });
});
