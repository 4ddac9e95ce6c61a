#!/usr/bin/env node
// Runs the compatibility tests against the program named by --binary, then checks that every public
// method of both clients was called at least once. Arguments after `--` go to `node --test`.
import { spawn, spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, readdirSync, rmSync, statSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";

const here = path.dirname(fileURLToPath(import.meta.url));
const at = process.argv.indexOf("--binary");
const only = process.argv.indexOf("--only");
if (at < 0 || process.argv.includes("--help")) {
  console.log("usage: run.mjs --binary PROGRAM [--only REGEX]   (REGEX: on the names of the test files)");
  process.exit(process.argv.includes("--help") ? 0 : 2);
}
const installedAt = statSync(path.join(here, "node_modules/.package-lock.json"), { throwIfNoEntry: false })?.mtimeMs ?? 0;
if (installedAt < statSync(path.join(here, "package-lock.json")).mtimeMs) {
  const installed = spawnSync("npm", ["ci"], { cwd: here, stdio: ["ignore", "inherit", "inherit"] });
  if (installed.status !== 0) {
    console.error("the official clients could not be installed from npm (npm ci)");
    process.exit(1);
  }
}

const scratch = mkdtempSync(path.join(os.tmpdir(), "immortal-compat-calls-"));
const calls = path.join(scratch, "calls");
const wanted = only < 0 ? /./ : new RegExp(process.argv[only + 1]);
const files = readdirSync(here).filter((name) => name.endsWith(".test.mjs") && wanted.test(name)).sort();
const program = path.resolve(process.argv[at + 1]);
// One client in a process: the code that both generate from the protocol shares one global table. The two run beside each
// other, because they wait most of the time; each output is shown whole when its client is through.
function runClient(client) {
  const environment = { ...process.env, COMPAT_PROGRAM: program, COMPAT_CLIENT: client, COMPAT_CALLS: calls };
  const run = spawn(process.execPath, ["--test", ...files], { cwd: here, stdio: ["ignore", "pipe", "pipe"], env: environment });
  const output = [];
  run.stdout.on("data", (text) => output.push(text));
  run.stderr.on("data", (text) => output.push(text));
  return new Promise((resolve) => {
    run.on("close", (status) => {
      process.stdout.write(`== ${client}\n`);
      process.stdout.write(Buffer.concat(output));
      resolve(status === 0);
    });
  });
}
const passed = await Promise.all(["@eventstore/db-client", "@kurrent/kurrentdb-client"].map(runClient));
let failed = passed.includes(false);

if (!failed && only < 0) {
  const called = new Set(readFileSync(calls, "utf8").split("\n"));
  for (const name of ["@eventstore/db-client", "@kurrent/kurrentdb-client"]) {
    const listing = spawnSync(process.execPath, ["harness/methods.mjs"], {
      cwd: here,
      env: { ...process.env, COMPAT_CLIENT: name },
      encoding: "utf8",
    });
    const methods = listing.stdout.trim().split("\n");
    const never = methods.filter((method) => !called.has(`${name} ${method}`));
    console.log(`${name}: ${methods.length - never.length} of ${methods.length} public methods called`);
    if (never.length > 0 || methods.length < 30) {
      console.error(`never called: ${never.join(", ")}`);
      failed = true;
    }
  }
}
rmSync(scratch, { recursive: true, force: true });
process.exit(failed ? 1 : 0);
