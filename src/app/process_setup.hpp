// What the process is given by whoever starts it, and what it makes of that: standard descriptors,
// signals, umask, environment.
#pragma once

namespace immortal::app {

// First thing in main(), before any thread:
// - A standard descriptor that is closed is taken, so that no file of ours gets its number; writing
//   to it fails.
// - SIGPIPE, SIGXFSZ and SIGHUP are ignored: a broken pipe and a file that may not grow are errors
//   of the call, and a terminal that goes away ends nothing. (A server takes SIGHUP as an order to
//   read its configuration again.)
// - SIGCHLD has its default: where it is inherited as ignored, the system gives the number of a
//   child that has ended to another process before anybody knows of the end.
// - What is made is private (umask 077); what others must reach gets its mode explicitly.
// - Variables by which gRPC would go through a proxy or behave otherwise than here is tested are
//   removed (*_proxy, GRPC_* but the file of root certificates).
void prepare_process();

// For a server, until `stop_signals` takes them as values: SIGINT and SIGTERM end the process at
// once with exit code 0, as nothing runs yet that would have to be ended.
void end_at_stop_signals();

// Removes the variables that libpq reads (PG*): for connections to a PostgreSQL of our own. Before
// any thread.
void forget_postgres_environment();

} // namespace immortal::app
