// The official client named by COMPAT_CLIENT, under one face for both: they differ in a few names
// only. Every call of a public method is noted, so that the run can end with "which methods were
// never used?".
import { appendFileSync } from "node:fs";

const name = process.env.COMPAT_CLIENT;
const api = await import(name);

// What a user calls on a client: everything the package adds to its Client class.
export function publicMethods(Client) {
  const internal = new Set(["constructor", "execute", "callArguments", "createDeadline"]);
  return Object.entries(Object.getOwnPropertyDescriptors(Client.prototype))
    .filter(([name, what]) => typeof what.value === "function" && what.enumerable && !internal.has(name))
    .map(([name]) => name)
    .sort();
}

function recorded(client) {
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

const faces = {
  "@eventstore/db-client": {
    Client: api.EventStoreDBClient,
    scheme: "esdb",
    // An append's or a delete's expectation, and what a refusal tells.
    expecting: (value) => ({ expectedRevision: value }),
    expectedOf: (error) => error.expectedVersion,
    actualOf: (error) => error.actualVersion,
    filtersReads: false, // readAll() has no filter
    takesSettings: true,
  },
  "@kurrent/kurrentdb-client": {
    Client: api.KurrentDBClient,
    scheme: "kurrentdb",
    expecting: (value) => ({ streamState: value, expectedRevision: value }),
    expectedOf: (error) => error.expectedState,
    actualOf: (error) => error.actualState,
    filtersReads: true,
    takesSettings: false, // its native half reads connection strings only
  },
};

export const dialect = {
  name,
  api,
  notFound: api.ErrorType.STREAM_NOT_FOUND,
  ...faces[name],
  // The deadline is that of a loaded machine: a flood of appends waits in the client.
  connect(server, query = "", { discover = false, host = server.host } = {}) {
    const scheme = discover ? `${dialect.scheme}+discover` : dialect.scheme;
    const text = `${scheme}://${host}:${server.port}?tls=false&defaultDeadline=120000${query}`;
    return recorded(dialect.Client.connectionString(text));
  },
  wrap: (client) => recorded(client),
};
