// The two official clients under one face: they differ in a few names only. Every call of a public
// method is noted, so that the run can end with "which methods were never used?".
import { appendFileSync } from "node:fs";
import * as eventstore from "@eventstore/db-client";
import * as kurrent from "@kurrent/kurrentdb-client";

// What a user calls on a client: everything the package adds to its Client class.
export function publicMethods(Client) {
  const internal = new Set(["constructor", "execute", "callArguments", "createDeadline"]);
  return Object.entries(Object.getOwnPropertyDescriptors(Client.prototype))
    .filter(([name, what]) => typeof what.value === "function" && what.enumerable && !internal.has(name))
    .map(([name]) => name)
    .sort();
}

function recorded(name, client) {
  const log = process.env.COMPAT_CALLS;
  return new Proxy(client, {
    get(target, method) {
      const value = Reflect.get(target, method, target);
      if (typeof value !== "function") {
        return value;
      }
      return (...values) => {
        if (log) {
          appendFileSync(log, `${name} ${String(method)}\n`);
        }
        return value.apply(target, values);
      };
    },
  });
}

export const dialects = [
  {
    name: "@eventstore/db-client",
    api: eventstore,
    Client: eventstore.EventStoreDBClient,
    scheme: "esdb",
    // An append's or a delete's expectation, and what a refusal tells.
    expecting: (value) => ({ expectedRevision: value }),
    expectedOf: (error) => error.expectedVersion,
    actualOf: (error) => error.actualVersion,
    notFound: eventstore.ErrorType.STREAM_NOT_FOUND,
  },
  {
    name: "@kurrent/kurrentdb-client",
    api: kurrent,
    Client: kurrent.KurrentDBClient,
    scheme: "kurrentdb",
    expecting: (value) => ({ streamState: value, expectedRevision: value }),
    expectedOf: (error) => error.expectedState,
    actualOf: (error) => error.actualState,
    notFound: kurrent.ErrorType.STREAM_NOT_FOUND,
  },
].map((dialect) => ({
  ...dialect,
  connect(server, query = "", { credentials = "", discover = false, host = server.host } = {}) {
    const scheme = discover ? `${dialect.scheme}+discover` : dialect.scheme;
    const address = host.includes(":") ? `[${host}]` : host;
    const text = `${scheme}://${credentials}${address}:${server.port}?tls=false${query}`;
    return recorded(dialect.name, dialect.Client.connectionString(text));
  },
  wrap: (client) => recorded(dialect.name, client),
}));
