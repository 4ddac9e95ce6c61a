// The atomic appends over several streams, which only the newer client has.
import { assert, collect, jsonEvents, numbersOf, randomUUID, refusal, withClient } from "./harness/suite.mjs";

withClient("multi-stream appends", ({ it, context }) => {
  const only = context.dialect.name.startsWith("@kurrent") ? {} : { skip: "this client has no such call" };

  it("all streams or none", async ({ client, api, stream }) => {
    const [one, two] = [`${stream}-1`, `${stream}-2`];
    const outcome = await client.multiStreamAppend([
      { streamName: one, expectedState: api.NO_STREAM, events: jsonEvents(api, 2) },
      { streamName: two, expectedState: api.ANY, events: jsonEvents(api, 3) },
    ]);
    assert.deepEqual(new Map(outcome.responses.map((each) => [each.streamName, each.revision])), new Map([[one, 1n], [two, 2n]]));
    const error = await refusal(
      client.multiStreamAppend([
        { streamName: one, expectedState: 1n, events: jsonEvents(api, 1) },
        { streamName: two, expectedState: api.NO_STREAM, events: jsonEvents(api, 1) },
      ]),
    );
    assert.equal(error.type, api.ErrorType.WRONG_EXPECTED_VERSION);
    assert.equal(error.streamName, two);
    assert.equal(error.actualState, 2n);
    assert.deepEqual(numbersOf(await collect(client.readStream(one))), [0, 1]);
    const last = (await collect(client.readStream(two))).at(-1);
    assert.equal(last.event.position.commit, outcome.position);
  }, only);

  it("metadata comes back as properties", async ({ client, api, stream }) => {
    const event = api.jsonEvent({ id: randomUUID(), type: "told", data: { a: 1 }, metadata: { who: "甲", $correlationId: "c" } });
    await client.multiStreamAppend([{ streamName: stream, expectedState: api.NO_STREAM, events: [event] }]);
    const [back] = await collect(client.readStream(stream));
    assert.equal(back.event.id, event.id);
    assert.equal(back.event.type, "told");
    assert.deepEqual(back.event.data, { a: 1 });
    assert.equal(back.event.metadata.who, "甲");
    assert.equal(back.event.metadata.$correlationId, "c");
  }, only);

  it("each documented refusal", async ({ client, api, stream }) => {
    await client.appendToStream(`${stream}-dead`, jsonEvents(api, 1));
    await client.tombstoneStream(`${stream}-dead`);
    const dead = await refusal(client.multiStreamAppend([{ streamName: `${stream}-dead`, expectedState: api.ANY, events: jsonEvents(api, 1) }]));
    assert.equal(dead.type, api.ErrorType.STREAM_TOMBSTONED);
    const twice = await refusal(
      client.multiStreamAppend([
        { streamName: stream, expectedState: api.ANY, events: jsonEvents(api, 1) },
        { streamName: stream, expectedState: api.ANY, events: jsonEvents(api, 1) },
      ]),
    );
    assert.ok(twice instanceof Error);
    const large = api.binaryEvent({ type: "large", data: Buffer.alloc((16 << 20) + 1) });
    assert.ok((await refusal(client.multiStreamAppend([{ streamName: stream, expectedState: api.ANY, events: [large] }]))) instanceof Error);
    assert.ok((await refusal(client.multiStreamAppend([]))) instanceof Error);
    assert.ok((await refusal(collect(client.readStream(stream)))) instanceof Error, "nothing was written");
  }, only);

  it("records may interleave, checks may name other streams", async ({ client, api, stream }) => {
    const [one, two, three] = [`${stream}-1`, `${stream}-2`, `${stream}-3`];
    const record = (streamName, n) => ({ streamName, record: api.jsonEvent({ type: "told", data: { n } }) });
    const outcome = await client.appendRecords(
      [record(one, 0), record(two, 1), record(one, 2)],
      [{ type: api.STREAM_STATE, streamName: three, expectedState: api.NO_STREAM }],
    );
    assert.deepEqual(new Map(outcome.responses.map((each) => [each.streamName, each.revision])), new Map([[one, 1n], [two, 0n]]));
    assert.deepEqual(numbersOf(await collect(client.readStream(one))), [0, 2]);
    assert.deepEqual(numbersOf(await collect(client.readStream(two))), [1]);
    const error = await refusal(
      client.appendRecords(
        [record(three, 0)],
        [
          { type: api.STREAM_STATE, streamName: one, expectedState: 1n },
          { type: api.STREAM_STATE, streamName: two, expectedState: 5n },
          { type: api.STREAM_STATE, streamName: three, expectedState: api.STREAM_EXISTS },
        ],
      ),
    );
    assert.equal(error.type, api.ErrorType.APPEND_CONSISTENCY_VIOLATION);
    assert.deepEqual(error.violations.map((each) => each.checkIndex), [1, 2]);
    assert.equal(error.violations[0].streamName, two);
    assert.equal(error.violations[0].actualState, 0n);
    assert.ok((await refusal(collect(client.readStream(three)))) instanceof Error);
  }, only);
});
