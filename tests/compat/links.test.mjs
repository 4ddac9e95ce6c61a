// Links, and the five system streams.
import { allOf, assert, collect, idsOf, jsonEvents, numbersOf, refusal, upTo, Watch, withClient } from "./harness/suite.mjs";

const linkTo = (api, stream, number) => api.binaryEvent({ type: "$>", data: Buffer.from(`${number}@${stream}`) });

withClient("links", ({ it }) => {
  it("a link is followed when asked", async ({ client, api, stream }) => {
    await client.appendToStream(stream, jsonEvents(api, 3));
    await client.appendToStream(`links-${stream}`, [linkTo(api, stream, 2), linkTo(api, stream, 0)]);
    const plain = await collect(client.readStream(`links-${stream}`));
    assert.deepEqual(plain.map((each) => each.event.type), ["$>", "$>"]);
    assert.ok(plain.every((each) => each.link === undefined));
    const resolved = await collect(client.readStream(`links-${stream}`, { resolveLinkTos: true }));
    assert.deepEqual(numbersOf(resolved), [2, 0]);
    assert.deepEqual(idsOf(resolved), plain.map((each) => each.event.id));
    assert.deepEqual(resolved.map((each) => each.link.revision), [0n, 1n]);
    const watch = new Watch(client.subscribeToStream(`links-${stream}`, { resolveLinkTos: true }));
    await watch.count(2);
    assert.deepEqual(numbersOf(watch.events), [2, 0]);
    await watch.stop();
    const all = (await collect(client.readAll({ resolveLinkTos: true }))).filter((each) => each.link?.streamId === `links-${stream}`);
    assert.deepEqual(numbersOf(all), [2, 0]);
  });

  it("a link whose target is gone", async ({ client, api, stream }) => {
    await client.appendToStream(stream, jsonEvents(api, 1));
    await client.appendToStream(`links-${stream}`, [linkTo(api, stream, 0), linkTo(api, stream, 9), linkTo(api, `${stream}-never`, 0)]);
    await client.deleteStream(stream);
    for (const each of await collect(client.readStream(`links-${stream}`, { resolveLinkTos: true }))) {
      assert.equal(each.event, undefined);
      assert.equal(each.link.type, "$>");
    }
    await client.appendToStream(`odd-${stream}`, api.binaryEvent({ type: "$>", data: Buffer.from("no link at all") }));
    const [odd] = await collect(client.readStream(`odd-${stream}`, { resolveLinkTos: true }));
    assert.equal(odd.event.type, "$>");
    assert.equal(odd.link, undefined);
  });
});

withClient("system streams", ({ it }) => {
  it("by category, by type, by correlation, streams", async ({ client, api, stream }) => {
    const category = `cat${stream.replaceAll("-", "")}`;
    const correlation = `corr-${stream}`;
    const type = `type-${stream}`;
    for (const n of upTo(6)) {
      const event = api.jsonEvent({ type, data: { n }, metadata: { $correlationId: correlation } });
      await client.appendToStream(`${category}-${n % 3}`, event);
    }
    const read = (name, options) => collect(client.readStream(name, { resolveLinkTos: true, ...options }));
    for (const name of [`$ce-${category}`, `$et-${type}`, `$bc-${correlation}`]) {
      const events = await read(name);
      assert.deepEqual(numbersOf(events), upTo(6), name);
      assert.deepEqual(events.map((each) => Number(each.link.revision)), upTo(6), name);
      assert.ok(events.every((each) => each.link.streamId === name && each.link.type === "$>"));
      const backwards = await read(name, { direction: api.BACKWARDS, fromRevision: api.END, maxCount: 2 });
      assert.deepEqual(numbersOf(backwards), [5, 4], name);
      const middle = await read(name, { fromRevision: 3n, maxCount: 2 });
      assert.deepEqual(numbersOf(middle), [3, 4], name);
      const again = await read(name);
      assert.deepEqual(idsOf(again), idsOf(events), "the links' ids are stable");
      const plain = await collect(client.readStream(name));
      assert.equal(Buffer.from(plain[1].event.data).toString(), `0@${category}-1`);
    }
    const firsts = (await read("$streams")).filter((each) => each.event?.streamId.startsWith(category));
    assert.deepEqual(firsts.map((each) => each.event.streamId), upTo(3).map((n) => `${category}-${n}`));
    const members = await collect(client.readStream(`$category-${category}`));
    assert.equal(members.length, 3);
    const all = await allOf(client, `$ce-${category}`);
    assert.equal(all.length, 0, "views are not part of $all");
  });

  it("a category can be followed live", async ({ client, api, stream }) => {
    const category = `live${stream.replaceAll("-", "")}`;
    await client.appendToStream(`${category}-1`, jsonEvents(api, 2));
    const watch = new Watch(client.subscribeToStream(`$ce-${category}`, { resolveLinkTos: true }));
    await watch.count(2);
    await client.appendToStream(`${category}-2`, jsonEvents(api, 2, "tested", 2));
    await client.appendToStream(`${category}-1`, jsonEvents(api, 1, "tested", 4));
    await watch.count(5);
    assert.deepEqual(numbersOf(watch.events), upTo(5));
    await watch.stop();
  });

  it("nobody writes to them", async ({ client, api, stream }) => {
    for (const name of [`$ce-${stream}`, `$et-${stream}`, `$bc-${stream}`, "$streams", `$category-${stream}`]) {
      assert.ok((await refusal(client.appendToStream(name, jsonEvents(api, 1)))) instanceof Error, name);
      assert.ok((await refusal(client.deleteStream(name))) instanceof Error, name);
      assert.ok((await refusal(client.setStreamMetadata(name, { maxCount: 1 }))) instanceof Error, name);
    }
  });
});
