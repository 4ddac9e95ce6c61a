// The streams on which the server relies: no client ends or changes them, and a restart works afterwards.
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { after, before, describe, test } from "node:test";
import { dialect } from "./harness/dialects.mjs";
import { Server } from "./harness/server.mjs";
import { assert, jsonEvents, randomUUID, refusal, withClient } from "./harness/suite.mjs";

const reliedOn = [
  "$settings",
  "$users",
  "$user-admin",
  "$persistentSubscriptionConfig",
  "$persistentsubscription-s-1::g-checkpoint",
  "$persistentsubscription-s-1::g-parked",
  "$scavenges",
  `$scavenges-${randomUUID()}`,
];

// Every way of a client to write to a stream.
function attempts(client, api, stream) {
  const link = api.binaryEvent({ type: "$>", data: Buffer.from("0@s-1") });
  const ways = [
    ["deleteStream", () => client.deleteStream(stream)],
    ["tombstoneStream", () => client.tombstoneStream(stream)],
    ["appendToStream", () => client.appendToStream(stream, jsonEvents(api, 1))],
    ["appendToStream, not batched", () => client.appendToStream(stream, jsonEvents(api, 1), { credentials: undefined, throwOnAppendFailure: true })],
    ["a link", () => client.appendToStream(stream, [link])],
    ["setStreamMetadata", () => client.setStreamMetadata(stream, { truncateBefore: 7 })],
  ];
  if (typeof client.multiStreamAppend === "function") {
    const requests = () => [
      { streamName: `innocent-${randomUUID()}`, expectedState: api.ANY, events: jsonEvents(api, 1) },
      { streamName: stream, expectedState: api.ANY, events: jsonEvents(api, 1) },
    ];
    ways.push(["multiStreamAppend", () => client.multiStreamAppend(requests())]);
  }
  return ways;
}

withClient("reserved streams without TLS", ({ it }) => {
  it("nothing changes them, and the server starts again", async ({ client, api, server }) => {
    for (const name of reliedOn) {
      for (const stream of [name, `$$${name}`]) {
        for (const [way, attempt] of attempts(client, api, stream)) {
          const error = await refusal(attempt());
          assert.match(String(error.message), /./, `${way} of ${stream}`);
        }
      }
    }
    await server.kill();
    await server.resume();
    const again = dialect.connect(server);
    const stream = `s-${randomUUID()}`;
    await again.appendToStream(stream, jsonEvents(api, 1));
    await again.createPersistentSubscriptionToStream(stream, "g", api.persistentSubscriptionToStreamSettingsFromDefaults({ startFrom: api.START }));
    await again.dispose();
  });
});

describe(`reserved streams with TLS: ${dialect.name}`, () => {
  const { api } = dialect;
  const folder = mkdtempSync(path.join(os.tmpdir(), "immortal-compat-reserved-"));
  let server;
  let client;
  before(async () => {
    const openssl = (...values) => execFileSync("openssl", values, { cwd: folder, stdio: "ignore" });
    writeFileSync(path.join(folder, "names"), "subjectAltName=DNS:localhost,IP:127.0.0.1\n");
    openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "ca.key", "-out", "ca.pem", "-days", "2", "-subj", "/CN=Test authority");
    openssl("req", "-newkey", "rsa:2048", "-nodes", "-keyout", "server.key", "-out", "server.csr", "-subj", "/CN=localhost");
    openssl("x509", "-req", "-in", "server.csr", "-out", "server.pem", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2", "-extfile", "names");
    server = await Server.start({
      IMMORTAL_ESDB_TLS_CERTIFICATE: path.join(folder, "server.pem"),
      IMMORTAL_ESDB_TLS_KEY: path.join(folder, "server.key"),
    });
    const password = await server.outputMatching(/with the password (\S+)/);
    client = dialect.wrap(
      dialect.Client.connectionString(
        `${dialect.scheme}://admin:${password}@localhost:${server.port}?tls=true&tlsCAFile=${path.join(folder, "ca.pem")}&defaultDeadline=120000`,
      ),
    );
  });
  after(async () => {
    await client?.dispose();
    await server?.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  test("the administrator writes settings and access lists that are understood", { timeout: 120_000 }, async () => {
    const settings = (data) => client.appendToStream("$settings", [api.jsonEvent({ type: "$settings", data })]);
    await settings({ $userStreamAcl: { $r: "$all", $w: ["$admins"] }, $systemStreamAcl: { $r: "$admins" } });
    await refusal(settings({ $userStreamAcl: 7 }));
    await client.setStreamMetadata("$settings", { acl: { readRoles: ["$ops"] } });
    await refusal(client.setStreamMetadata("$settings", { maxAge: 1 }));
    await refusal(client.appendToStream("$user-eve", jsonEvents(api, 1)));
    for (const stream of reliedOn) {
      await refusal(client.deleteStream(stream));
      await refusal(client.tombstoneStream(stream));
    }
    await server.kill();
    await server.resume();
    await client.appendToStream(`s-${randomUUID()}`, jsonEvents(api, 1));
  });
});
