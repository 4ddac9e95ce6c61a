// With TLS there are users: who is let in, and to what.
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { after, before, describe, test } from "node:test";
import { dialect } from "./harness/dialects.mjs";
import { Server } from "./harness/server.mjs";
import { assert, collect, jsonEvents, randomUUID, refusedAs } from "./harness/suite.mjs";

// An authority, and a certificate of it for localhost.
function makeCertificates(folder) {
  const openssl = (...values) => execFileSync("openssl", values, { cwd: folder, stdio: "ignore" });
  const key = (name) => ["-newkey", "rsa:2048", "-nodes", "-keyout", `${name}.key`];
  openssl("req", "-x509", ...key("ca"), "-out", "ca.pem", "-days", "2", "-subj", "/CN=Test authority");
  openssl("req", ...key("server"), "-out", "server.csr", "-subj", "/CN=localhost");
  writeFileSync(path.join(folder, "names"), "subjectAltName=DNS:localhost,IP:127.0.0.1\n");
  const signing = ["-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2", "-extfile", "names"];
  openssl("x509", "-req", "-in", "server.csr", ...signing, "-out", "server.pem");
}

describe(`security: ${dialect.name}`, () => {
  const { api } = dialect;
  const folder = mkdtempSync(path.join(os.tmpdir(), "immortal-compat-tls-"));
  let server;
  let password;
  const connect = (login = "") =>
    dialect.wrap(
      dialect.Client.connectionString(
        `${dialect.scheme}://${login}localhost:${server.port}?tls=true&tlsCAFile=${path.join(folder, "ca.pem")}&defaultDeadline=120000`,
      ),
    );
  const check = (name, body) => test(name, { timeout: 120_000 }, body);

  before(async () => {
    makeCertificates(folder);
    server = await Server.start({
      IMMORTAL_ESDB_TLS_CERTIFICATE: path.join(folder, "server.pem"),
      IMMORTAL_ESDB_TLS_KEY: path.join(folder, "server.key"),
    });
    password = await server.outputMatching(/with the password (\S+)/);
  });
  after(async () => {
    await server?.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  check("the administrator may everything", async () => {
    const client = connect(`admin:${password}@`);
    const stream = `s-${randomUUID()}`;
    await client.appendToStream(stream, jsonEvents(api, 2));
    assert.equal((await collect(client.readStream(stream))).length, 2);
    assert.ok((await collect(client.readAll({ maxCount: 5 }))).length === 5);
    assert.equal((await client.listProjections()).length, 5);
    await client.dispose();
  });

  check("nobody else may anything", async () => {
    for (const login of ["", "admin:nonsense@", "nobody:nonsense@"]) {
      const client = connect(login);
      await refusedAs(api, api.ErrorType.ACCESS_DENIED, client.appendToStream("s-1", jsonEvents(api, 1)));
      await client.dispose();
    }
    const client = connect();
    await refusedAs(api, api.ErrorType.ACCESS_DENIED, collect(client.readAll({ maxCount: 1 })));
    await refusedAs(api, api.ErrorType.ACCESS_DENIED, client.listProjections());
    await client.dispose();
  });

  check("the password is shown once and holds after a restart", async () => {
    await server.kill();
    await server.resume();
    const client = connect(`admin:${password}@`);
    await client.appendToStream(`s-${randomUUID()}`, jsonEvents(api, 1));
    assert.doesNotMatch(server.output, /password/);
    await client.dispose();
  });
});
