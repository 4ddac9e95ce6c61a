// SIGINT and SIGTERM for a command that has something to give back before it ends.
#pragma once

namespace immortal::app {

// While it lives, the first SIGINT or SIGTERM only asks for an end; the next one ends the process
// at once. Signals that whoever started the process had ignored stay ignored. One at a time, in a
// command with one thread.
class stop_request {
public:
    stop_request();
    ~stop_request(); // signals do again what they did before
    stop_request(const stop_request&) = delete;
    stop_request& operator=(const stop_request&) = delete;

    [[nodiscard]] static bool made();
    // Ends the process by the signal that asked for it, as it would have ended without this; if
    // none did, returns.
    static void obey();
};

} // namespace immortal::app
