// Connecting: discovery, both loopback addresses, names, many clients; kill -9 between calls.
import { assert, collect, jsonEvents, numbersOf, refusal, sleep, upTo, Watch, withClient } from "./harness/suite.mjs";

withClient("connections", ({ it }) => {
  it("discovery by gossip", async ({ api, dialect, server, stream }) => {
    const client = dialect.connect(server, "&nodePreference=leader", { discover: true });
    await client.appendToStream(stream, jsonEvents(api, 2));
    assert.equal((await collect(client.readStream(stream))).length, 2);
    await client.dispose();
  });

  it("127.0.0.1, ::1 and localhost", async ({ client: reader, api, dialect, server, stream }) => {
    // Connection strings of these clients take no address in brackets.
    const clients = [dialect.connect(server), dialect.connect(server, "", { host: "localhost" })];
    if (dialect.takesSettings) {
      clients.push(dialect.wrap(new dialect.Client({ endpoint: `[::1]:${server.port}` }, { insecure: true })));
    }
    for (const [n, client] of clients.entries()) {
      await client.appendToStream(stream, jsonEvents(api, 1, "tested", n));
      assert.deepEqual(numbersOf(await collect(reader.readStream(stream))), upTo(n + 1));
      await client.dispose();
    }
  });

  it("settings in an object, a name and credentials nobody asks for", async ({ client: reader, api, dialect, server, stream, t }) => {
    if (!dialect.takesSettings) {
      t.skip("this client is made from connection strings");
      return;
    }
    const client = dialect.wrap(
      new dialect.Client({ endpoint: { address: "127.0.0.1", port: server.port }, connectionName: "the tester" }, { insecure: true }, { username: "admin", password: "x" }),
    );
    assert.equal(typeof client.connectionName, "string");
    await client.appendToStream(stream, jsonEvents(api, 1));
    assert.equal((await collect(reader.readStream(stream))).length, 1);
    await client.dispose();
  });

  it("forty clients at once", async ({ api, dialect, server, stream }) => {
    const clients = upTo(40).map(() => dialect.connect(server));
    const watches = clients.map((client) => new Watch(client.subscribeToStream(stream)));
    await Promise.all(watches.map((watch) => watch.until(() => watch.confirmed === 1, "confirmation")));
    await Promise.all(clients.map((client, n) => client.appendToStream(stream, jsonEvents(api, 5, "tested", n * 5))));
    await Promise.all(watches.map((watch) => watch.count(200)));
    const order = numbersOf(watches[0].events);
    for (const watch of watches) {
      assert.deepEqual(numbersOf(watch.events), order);
    }
    await Promise.all(watches.map((watch) => watch.stop()));
    await Promise.all(clients.map((client) => client.dispose()));
  });
});

// grpc-js shares what it knows of an address among all clients of a process: for a second after one was refused, others are
// told so without an attempt.
async function whenConnected(call) {
  for (const _ of upTo(100)) {
    try {
      return await call();
    } catch (error) {
      if (!/No connection established|ECONNREFUSED/.test(error.message)) {
        throw error;
      }
      await sleep(100);
    }
  }
  return call();
}

withClient("kill -9 and restart between calls", ({ it }) => {
  it("nothing acknowledged is lost; repeats are known; subscriptions resume", async ({ api, dialect, server, stream }) => {
    const acknowledged = [];
    let position;
    for (const round of upTo(4)) {
      const client = dialect.connect(server);
      const batches = upTo(20).map((n) => jsonEvents(api, 5, "tested", (round * 20 + n) * 5));
      for (const [n, batch] of batches.entries()) {
        const expected = dialect.expecting(acknowledged.length === 0 ? api.NO_STREAM : BigInt(acknowledged.length - 1));
        const outcome = await client.appendToStream(stream, batch, expected);
        acknowledged.push(...batch.map((event) => event.id));
        assert.equal(outcome.nextExpectedRevision, BigInt(acknowledged.length - 1));
        position = outcome.position;
        if (n === 19) {
          await server.kill();
          const lost = await refusal(client.appendToStream(stream, jsonEvents(api, 1), dialect.expecting(BigInt(acknowledged.length - 1))));
          assert.ok(lost instanceof Error);
          await server.resume();
          const later = dialect.connect(server);
          const again = await whenConnected(() => later.appendToStream(stream, batch, expected));
          assert.deepEqual(again.position, outcome.position, "the repeat after the restart is known");
          await later.dispose();
        }
      }
      await client.dispose().catch(() => {});
    }
    const client = dialect.connect(server);
    const stored = await collect(client.readStream(stream));
    assert.deepEqual(stored.map((each) => each.event.id), acknowledged);
    const watch = new Watch(client.subscribeToAll({ fromPosition: position }));
    await client.appendToStream(stream, jsonEvents(api, 1, "tested", 400));
    await watch.count(1);
    assert.deepEqual(numbersOf(watch.events), [400]);
    await watch.stop();
    await client.dispose();
  });
});
