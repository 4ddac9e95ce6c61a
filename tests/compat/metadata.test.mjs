// Stream metadata: what is kept, and what it hides.
import { allOf, assert, collect, jsonEvents, numbersOf, refusedAs, sleep, upTo, withClient } from "./harness/suite.mjs";

withClient("stream metadata", ({ it }) => {
  it("set, read, replaced", async ({ client, api, stream }) => {
    const none = await client.getStreamMetadata(stream);
    assert.equal(none.streamName, stream);
    assert.equal(none.metadata, undefined);
    const wanted = {
      maxCount: 10,
      maxAge: 2000,
      truncateBefore: 1,
      cacheControl: 3,
      acl: { readRoles: ["$all"], writeRoles: ["$admins"], metaReadRoles: ["a", "b"] },
      colour: "青",
      nested: { deep: [1, 2, 3] },
    };
    await client.setStreamMetadata(stream, wanted);
    const { metadata, metastreamRevision } = await client.getStreamMetadata(stream);
    assert.ok(metastreamRevision >= 0n);
    for (const key of ["maxCount", "maxAge", "truncateBefore", "cacheControl", "colour", "nested"]) {
      assert.deepEqual(metadata[key], wanted[key], key);
    }
    assert.deepEqual([metadata.acl.readRoles].flat(), ["$all"]);
    assert.deepEqual([metadata.acl.metaReadRoles].flat(), ["a", "b"]);
    await client.setStreamMetadata(stream, { colour: "赤" });
    const second = await client.getStreamMetadata(stream);
    assert.ok(second.metastreamRevision > metastreamRevision);
    assert.equal(second.metadata.colour, "赤");
    assert.equal(second.metadata.maxCount, undefined);
    const kept = await collect(client.readStream(`$$${stream}`));
    assert.equal(kept.length, 1, "a metadata stream shows its last event only");
    assert.equal(kept[0].event.type, "$metadata");
  });

  it("maxCount hides the oldest", async ({ client, api, stream }) => {
    await client.setStreamMetadata(stream, { maxCount: 3 });
    await client.appendToStream(stream, jsonEvents(api, 10));
    const read = async (options) => numbersOf(await collect(client.readStream(stream, options)));
    assert.deepEqual(await read({}), [7, 8, 9]);
    assert.deepEqual(await read({ direction: api.BACKWARDS, fromRevision: api.END }), [9, 8, 7]);
    assert.deepEqual(await read({ direction: api.BACKWARDS, fromRevision: 5n }), []);
    await client.setStreamMetadata(stream, { maxCount: 5 });
    assert.deepEqual(await read({}), [5, 6, 7, 8, 9]);
    const everything = await allOf(client, stream);
    assert.equal(everything.length, 10);
  });

  it("truncateBefore hides what is before", async ({ client, api, stream }) => {
    await client.appendToStream(stream, jsonEvents(api, 10));
    await client.setStreamMetadata(stream, { truncateBefore: 8 });
    assert.deepEqual(numbersOf(await collect(client.readStream(stream))), [8, 9]);
    await client.setStreamMetadata(stream, { truncateBefore: 4, maxCount: 3 });
    assert.deepEqual(numbersOf(await collect(client.readStream(stream))), [7, 8, 9]);
  });

  it("maxAge hides what is older", async ({ client, api, stream }) => {
    await client.appendToStream(stream, jsonEvents(api, 3));
    await client.setStreamMetadata(stream, { maxAge: 1 });
    await sleep(1500);
    await client.appendToStream(stream, jsonEvents(api, 1, "tested", 3));
    const seen = numbersOf(await collect(client.readStream(stream)));
    assert.ok(seen.every((n) => n >= 3), `too old: ${seen}`);
    await client.setStreamMetadata(stream, { maxAge: 100_000 });
    assert.deepEqual(numbersOf(await collect(client.readStream(stream))), upTo(4));
  });

  it("a stream that has only metadata exists", async ({ client, api, dialect, stream }) => {
    await client.setStreamMetadata(stream, { maxCount: 3 });
    await refusedAs(api, dialect.notFound, collect(client.readStream(stream)));
    const outcome = await client.appendToStream(stream, jsonEvents(api, 1), dialect.expecting(api.STREAM_EXISTS));
    assert.equal(outcome.nextExpectedRevision, 0n);
  });

  it("metadata with an expected revision", async ({ client, api, dialect, stream }) => {
    await client.setStreamMetadata(stream, { maxCount: 1 }, dialect.expecting(api.NO_STREAM));
    await refusedAs(
      api,
      api.ErrorType.WRONG_EXPECTED_VERSION,
      client.setStreamMetadata(stream, { maxCount: 2 }, dialect.expecting(api.NO_STREAM)),
    );
    await client.setStreamMetadata(stream, { maxCount: 2 }, dialect.expecting(0n));
  });

  it("metadata that is not JSON hides nothing", async ({ client, api, stream }) => {
    await client.appendToStream(stream, jsonEvents(api, 3));
    await client.appendToStream(`$$${stream}`, api.binaryEvent({ type: "$metadata", data: Buffer.from("{not json") }));
    assert.deepEqual(numbersOf(await collect(client.readStream(stream))), upTo(3));
  });
});
