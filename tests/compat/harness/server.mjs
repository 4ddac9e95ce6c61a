// Starts, kills and restarts one `immortal store serve` on a free port and a folder of its own.
import { spawn } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import net from "node:net";
import os from "node:os";
import path from "node:path";

const binary = process.env.COMPAT_PROGRAM;
if (!binary) {
  throw new Error("COMPAT_PROGRAM must name the program to test");
}

export const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

async function freePort() {
  const probe = net.createServer();
  await new Promise((resolve, reject) => {
    probe.once("error", reject);
    probe.listen(0, "127.0.0.1", resolve);
  });
  const { port } = probe.address();
  await new Promise((resolve) => probe.close(resolve));
  return port;
}

function answers(host, port) {
  return new Promise((resolve) => {
    const socket = net.connect({ host, port });
    const done = (value) => {
      socket.destroy();
      resolve(value);
    };
    socket.once("connect", () => done(true));
    socket.once("error", () => done(false));
  });
}

export class Server {
  static async start(environment = {}) {
    const server = new Server();
    server.host = "127.0.0.1";
    server.environment = environment;
    server.folder = await mkdtemp(path.join(os.tmpdir(), "immortal-compat-"));
    server.port = await freePort();
    await server.resume();
    return server;
  }

  // Starts the program (again) on the same folder and port.
  async resume() {
    this.output = "";
    this.child = spawn(
      binary,
      ["store", "serve", "--data", this.folder, "--esdb-port", String(this.port)],
      { stdio: ["ignore", "pipe", "pipe"], env: { ...process.env, ...this.environment } },
    );
    this.ended = new Promise((resolve) => this.child.once("exit", resolve));
    for (const stream of [this.child.stdout, this.child.stderr]) {
      stream.on("data", (bytes) => {
        this.output = (this.output + bytes).slice(-65536);
      });
    }
    const deadline = Date.now() + 60_000;
    while (!(await answers(this.host, this.port))) {
      if (this.child.exitCode !== null || Date.now() > deadline) {
        throw new Error(`the store did not start:\n${this.output}`);
      }
      await sleep(20);
    }
  }

  // The first group of the expression, as soon as the program has written it.
  async outputMatching(expression) {
    const deadline = Date.now() + 60_000;
    for (;;) {
      const found = expression.exec(this.output);
      if (found) {
        return found[1];
      }
      if (Date.now() > deadline) {
        throw new Error(`${expression} was not written:\n${this.output}`);
      }
      await sleep(20);
    }
  }

  async kill(signal = "SIGKILL") {
    this.child.kill(signal);
    await this.ended;
  }

  async stop() {
    await this.kill("SIGTERM");
    await rm(this.folder, { recursive: true, force: true });
  }
}
