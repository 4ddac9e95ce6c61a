// Persistent subscriptions, to streams and to $all.
import { assert, jsonEvents, numbersOf, refusedAs, sleep, upTo, Watch, withClient } from "./harness/suite.mjs";

// The two kinds of group under one face.
function kinds({ client, api, stream }) {
  const group = `g-${stream}`;
  const filter = api.streamNameFilter({ prefixes: [stream] });
  return {
    stream: {
      group,
      settings: (changes) => api.persistentSubscriptionToStreamSettingsFromDefaults({ startFrom: api.START, ...changes }),
      create: (settings) => client.createPersistentSubscriptionToStream(stream, group, settings),
      update: (settings) => client.updatePersistentSubscriptionToStream(stream, group, settings),
      remove: () => client.deletePersistentSubscriptionToStream(stream, group),
      info: () => client.getPersistentSubscriptionToStreamInfo(stream, group),
      list: () => client.listPersistentSubscriptionsToStream(stream),
      replay: (options) => client.replayParkedMessagesToStream(stream, group, options),
      subscribe: (options) => client.subscribeToPersistentSubscriptionToStream(stream, group, options),
    },
    all: {
      group,
      settings: (changes) => api.persistentSubscriptionToAllSettingsFromDefaults({ startFrom: api.START, ...changes }),
      create: (settings) => client.createPersistentSubscriptionToAll(group, settings, { filter }),
      update: (settings) => client.updatePersistentSubscriptionToAll(group, settings),
      remove: () => client.deletePersistentSubscriptionToAll(group),
      info: () => client.getPersistentSubscriptionToAllInfo(group),
      list: () => client.listPersistentSubscriptionsToAll(),
      replay: (options) => client.replayParkedMessagesToAll(group, options),
      subscribe: (options) => client.subscribeToPersistentSubscriptionToAll(group, options),
    },
  };
}

async function eventually(check, what, timeout = 60_000) {
  const deadline = Date.now() + timeout;
  for (;;) {
    const value = await check();
    if (value) {
      return value;
    }
    assert.ok(Date.now() < deadline, `waited in vain for ${what}`);
    await sleep(100);
  }
}

// Acknowledges everything as it comes.
function acking(subscription) {
  const watch = new Watch(subscription);
  watch.onEvent = (resolved) => subscription.ack(resolved).catch(() => {});
  return watch;
}

withClient("persistent subscriptions", ({ it }) => {
  for (const kind of ["stream", "all"]) {
    it(`${kind}: delivers history and live events, each once when acknowledged`, async (given) => {
      const { client, api, stream } = given;
      const group = kinds(given)[kind];
      await client.appendToStream(stream, jsonEvents(api, 60));
      await group.create(group.settings());
      const watch = acking(group.subscribe({ bufferSize: 7 }));
      await watch.count(60);
      await client.appendToStream(stream, jsonEvents(api, 40, "tested", 60));
      await watch.count(100);
      assert.deepEqual(numbersOf(watch.events), upTo(100));
      assert.ok(watch.events.every((each) => each.retryCount === 0));
      assert.ok(watch.events.every((each) => each.event.position.commit > 0n));
      assert.equal(watch.confirmed, 1);
      await watch.stop();
      await group.remove();
    });

    it(`${kind}: without acknowledgement no more than the buffer`, async (given) => {
      const { client, api, stream } = given;
      const group = kinds(given)[kind];
      await client.appendToStream(stream, jsonEvents(api, 50));
      await group.create(group.settings());
      const watch = new Watch(group.subscribe({ bufferSize: 5 }));
      await watch.count(5);
      await sleep(500);
      assert.equal(watch.events.length, 5);
      watch.onEvent = (resolved) => watch.subscription.ack(resolved).catch(() => {});
      await watch.subscription.ack(...watch.events);
      await watch.count(50);
      assert.deepEqual(numbersOf(watch.events), upTo(50));
      await watch.stop();
    });

    it(`${kind}: retry, skip, park and replay`, async (given) => {
      const { client, api, stream } = given;
      const group = kinds(given)[kind];
      await client.appendToStream(stream, jsonEvents(api, 4));
      await group.create(group.settings());
      const subscription = group.subscribe();
      const watch = new Watch(subscription);
      const actions = { 0: api.PARK, 1: api.SKIP };
      watch.onEvent = (resolved) => {
        const n = Number(resolved.event.data.n);
        const action = resolved.retryCount === 0 && n === 2 ? api.RETRY : !watch.replaying && actions[n];
        const done = action ? subscription.nack(action, "as the test wants it", resolved) : subscription.ack(resolved);
        done.catch(() => {});
      };
      await watch.count(5);
      assert.deepEqual(numbersOf(watch.events).sort(), [0, 1, 2, 2, 3]);
      const repeated = watch.events.filter((each) => each.event.data.n === 2);
      assert.deepEqual(repeated.map((each) => each.retryCount), [0, 1]);
      await eventually(async () => (await group.info()).stats.parkedMessageCount === 1n, "the parked message");
      watch.replaying = true;
      await group.replay();
      await watch.count(6);
      assert.equal(watch.events[5].event.data.n, 0);
      await eventually(async () => (await group.info()).stats.parkedMessageCount === 0n, "no parked message");
      await watch.stop();
    });

    it(`${kind}: a replay can stop at a number`, async (given) => {
      const { client, api, stream } = given;
      const group = kinds(given)[kind];
      await client.appendToStream(stream, jsonEvents(api, 5));
      await group.create(group.settings());
      const subscription = group.subscribe();
      const watch = new Watch(subscription);
      watch.onEvent = (resolved) =>
        (watch.replaying ? subscription.ack(resolved) : subscription.nack(api.PARK, "parked", resolved)).catch(() => {});
      await watch.count(5);
      await eventually(async () => (await group.info()).stats.parkedMessageCount === 5n, "five parked messages");
      watch.replaying = true;
      await group.replay({ stopAt: 2 });
      await watch.count(7);
      await sleep(300);
      assert.equal(watch.events.length, 7);
      await group.replay();
      await watch.count(10);
      await watch.stop();
    });

    it(`${kind}: what is not answered in time comes again, then is parked`, async (given) => {
      const { client, api, stream } = given;
      const group = kinds(given)[kind];
      await client.appendToStream(stream, jsonEvents(api, 1));
      await group.create(group.settings({ messageTimeout: 300, maxRetryCount: 2 }));
      const watch = new Watch(group.subscribe());
      await watch.count(3);
      assert.deepEqual(watch.events.map((each) => each.retryCount), [0, 1, 2]);
      await eventually(async () => (await group.info()).stats.parkedMessageCount === 1n, "the parked message");
      await watch.stop();
    });

    it(`${kind}: two consumers, one of which dies`, async (given) => {
      const { client, api, dialect, server, stream } = given;
      const group = kinds(given)[kind];
      await client.appendToStream(stream, jsonEvents(api, 40));
      await group.create(group.settings({ consumerStrategyName: api.ROUND_ROBIN }));
      const doomed = dialect.connect(server);
      const dying = new Watch(kinds({ ...given, client: doomed })[kind].subscribe({ bufferSize: 10 }));
      const living = acking(group.subscribe({ bufferSize: 10 }));
      await dying.count(1);
      await living.count(10);
      dying.subscription.on("error", () => {});
      await dying.stop();
      await doomed.dispose();
      await living.until(() => new Set(numbersOf(living.events)).size === 40, "every event");
      const again = living.events.filter((each) => each.retryCount > 0);
      assert.ok(again.length >= 1 && again.length <= 10);
      await living.stop();
    });

    it(`${kind}: info, list, update, delete`, async (given) => {
      const { client, api, stream } = given;
      const group = kinds(given)[kind];
      await client.appendToStream(stream, jsonEvents(api, 20));
      await group.create(group.settings({ extraStatistics: true, maxSubscriberCount: 3, messageTimeout: 12_345 }));
      const watch = acking(group.subscribe({ bufferSize: 10 }));
      await watch.count(20);
      const info = await eventually(async () => {
        const now = await group.info();
        return now.connections.length === 1 && now.connections[0].totalItems >= 20n && now;
      }, "the statistics");
      assert.equal(info.eventSource, kind === "all" ? "$all" : stream);
      assert.equal(info.groupName, group.group);
      assert.equal(info.status, "Live");
      assert.equal(info.settings.messageTimeout, 12_345);
      assert.equal(info.settings.maxSubscriberCount, 3);
      assert.equal(info.settings.startFrom, api.START);
      assert.equal(info.settings.consumerStrategyName, api.ROUND_ROBIN);
      assert.ok(info.connections[0].extraStatistics.size >= 10);
      const listed = (await group.list()).map((each) => each.groupName);
      assert.ok(listed.includes(group.group));
      const everywhere = await client.listAllPersistentSubscriptions();
      assert.ok(everywhere.some((each) => each.groupName === group.group));

      const dropped = watch.failure();
      await group.update(group.settings({ messageTimeout: 54_321 }));
      assert.equal((await dropped).type, api.ErrorType.PERSISTENT_SUBSCRIPTION_DROPPED);
      assert.equal((await group.info()).settings.messageTimeout, 54_321);

      const second = new Watch(group.subscribe());
      await second.until(() => second.confirmed === 1, "confirmation");
      await group.remove();
      const gone = await second.failure();
      assert.ok(
        [api.ErrorType.PERSISTENT_SUBSCRIPTION_DOES_NOT_EXIST, api.ErrorType.PERSISTENT_SUBSCRIPTION_DROPPED].includes(gone.type),
        gone.type,
      );
      await refusedAs(api, api.ErrorType.PERSISTENT_SUBSCRIPTION_DOES_NOT_EXIST, group.info());
    });

    it(`${kind}: every refusal`, async (given) => {
      const { api } = given;
      const group = kinds(given)[kind];
      const missing = api.ErrorType.PERSISTENT_SUBSCRIPTION_DOES_NOT_EXIST;
      await refusedAs(api, missing, group.info());
      await refusedAs(api, missing, group.update(group.settings()));
      await refusedAs(api, missing, group.remove());
      await refusedAs(api, missing, group.replay());
      assert.equal((await new Watch(group.subscribe()).failure()).type, missing);
      const failed = await refusedAs(api, api.ErrorType.PERSISTENT_SUBSCRIPTION_FAILED, group.create(group.settings({ readBatchSize: 500, historyBufferSize: 20 })));
      assert.ok(failed.reason.length > 0);
      await group.create(group.settings({ maxSubscriberCount: 1 }));
      await refusedAs(api, api.ErrorType.PERSISTENT_SUBSCRIPTION_EXISTS, group.create(group.settings()));
      const first = new Watch(group.subscribe());
      await first.until(() => first.confirmed === 1, "confirmation");
      const second = new Watch(group.subscribe());
      assert.equal((await second.failure()).type, api.ErrorType.MAXIMUM_SUBSCRIBERS_REACHED);
      await first.stop();
    });

    it(`${kind}: the checkpoint survives kill -9`, async (given) => {
      const { client, api, dialect, server, stream } = given;
      const group = kinds(given)[kind];
      await client.appendToStream(stream, jsonEvents(api, 30));
      await group.create(group.settings({ checkPointLowerBound: 1, checkPointUpperBound: 5, checkPointAfter: 100 }));
      const watch = acking(group.subscribe());
      await watch.count(30);
      await eventually(async () => {
        const { stats } = await group.info();
        return (stats.lastCheckpointedEventRevision ?? stats.lastCheckpointedEventPosition) !== undefined;
      }, "a checkpoint");
      await sleep(1500);
      watch.subscription.on("error", () => {});
      await server.kill();
      await server.resume();
      const later = dialect.connect(server);
      await later.appendToStream(stream, jsonEvents(api, 5, "tested", 30));
      const again = acking(kinds({ ...given, client: later })[kind].subscribe());
      await again.until(() => numbersOf(again.events).includes(34), "the last event");
      const seen = numbersOf(again.events);
      assert.ok(seen[0] >= 20, `began again at ${seen[0]}: the checkpoint was lost`);
      assert.deepEqual(upTo(35, seen[0]), seen);
      await again.stop();
      await later.dispose();
    });
  }

  it("each consumer strategy shares as it promises", async (given) => {
    const { client, api, stream } = given;
    const strategies = [api.ROUND_ROBIN, api.DISPATCH_TO_SINGLE, api.PINNED, api.PINNED_BY_CORRELATION];
    for (const [i, consumerStrategyName] of strategies.entries()) {
      const source = `${stream}${i}`;
      const group = `g-${source}`;
      const events = upTo(40).map((n) => api.jsonEvent({ type: "tested", data: { n }, metadata: { $correlationId: `c${n % 4}` } }));
      await client.createPersistentSubscriptionToStream(
        source,
        group,
        api.persistentSubscriptionToStreamSettingsFromDefaults({ startFrom: api.START, consumerStrategyName }),
      );
      const consumers = upTo(2).map(() => acking(client.subscribeToPersistentSubscriptionToStream(source, group, { bufferSize: 100 })));
      await Promise.all(consumers.map((each) => each.until(() => each.confirmed === 1, "confirmation")));
      await client.appendToStream(source, events);
      await eventually(() => consumers[0].events.length + consumers[1].events.length === 40, "every event");
      const shares = consumers.map((each) => each.events.length);
      const correlations = consumers.map((each) => new Set(each.events.map((one) => one.event.metadata.$correlationId)));
      switch (consumerStrategyName) {
        case api.ROUND_ROBIN:
          assert.deepEqual(shares, [20, 20]);
          break;
        case api.PINNED_BY_CORRELATION:
          assert.ok([...correlations[0]].every((id) => !correlations[1].has(id)));
          break;
        default:
          assert.deepEqual([...shares].sort((a, b) => a - b), [0, 40]);
      }
      await Promise.all(consumers.map((each) => each.stop()));
    }
  });

  it("links are followed when the group says so", async (given) => {
    const { client, api, stream } = given;
    const category = `ps${stream.replaceAll("-", "")}`;
    await client.appendToStream(`${category}-1`, jsonEvents(api, 5));
    await client.appendToStream(`${category}-2`, jsonEvents(api, 5, "tested", 5));
    const settings = api.persistentSubscriptionToStreamSettingsFromDefaults({ startFrom: api.START, resolveLinkTos: true });
    await client.createPersistentSubscriptionToStream(`$ce-${category}`, "g", settings);
    const watch = acking(client.subscribeToPersistentSubscriptionToStream(`$ce-${category}`, "g"));
    await watch.count(10);
    assert.deepEqual(numbersOf(watch.events), upTo(10));
    assert.ok(watch.events.every((each) => each.link?.streamId === `$ce-${category}`));
    await sleep(300);
    assert.equal(watch.events.length, 10, "acknowledged by the link's id");
    await watch.stop();
  });

  it("from the end, and from a revision", async (given) => {
    const { client, api, stream } = given;
    await client.appendToStream(stream, jsonEvents(api, 10));
    const make = (group, startFrom) =>
      client.createPersistentSubscriptionToStream(stream, group, api.persistentSubscriptionToStreamSettingsFromDefaults({ startFrom }));
    await make("end", api.END);
    await make("middle", 4n);
    const end = acking(client.subscribeToPersistentSubscriptionToStream(stream, "end"));
    const middle = acking(client.subscribeToPersistentSubscriptionToStream(stream, "middle"));
    await middle.count(6);
    await client.appendToStream(stream, jsonEvents(api, 1, "tested", 10));
    await end.count(1);
    await middle.count(7);
    assert.deepEqual(numbersOf(end.events), [10]);
    assert.deepEqual(numbersOf(middle.events), upTo(11, 4));
    await Promise.all([end.stop(), middle.stop()]);
  });

  it("the subsystem can be restarted", async (given) => {
    const { client, api } = given;
    const group = kinds(given).stream;
    await group.create(group.settings());
    const watch = new Watch(group.subscribe());
    await watch.until(() => watch.confirmed === 1, "confirmation");
    watch.subscription.on("error", () => {});
    await client.restartPersistentSubscriptionSubsystem();
    assert.equal((await watch.failure()).type, api.ErrorType.PERSISTENT_SUBSCRIPTION_DROPPED);
    await eventually(() => group.info().then(() => true, () => false), "the group after the restart");
  });
});
