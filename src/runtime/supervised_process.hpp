// A child process that is wanted all the time: started, probed, restarted when it ends.
#pragma once

#include "base/clock.hpp"
#include "base/result.hpp"
#include "runtime/guardian.hpp"

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace immortal::runtime {

enum class service_state : std::uint8_t {
    stopped,
    starting,   // for the first time
    ready,      // the last probe was answered
    unhealthy,  // it runs and does not answer its probe
    restarting, // it ended; it is started again with growing pauses
    failed,     // it did not come up, or the guardian is lost
};
[[nodiscard]] std::string_view name_of(service_state state);

struct service_status {
    service_state state = service_state::stopped;
    std::string message; // a sentence when it is not ready; empty otherwise
    std::uint64_t restarts = 0;
    pid_t pid = -1; // -1: does not run
    base::utc_time since{};
};

// Owns one thread, on which all functions of the settings run. Thread-safe.
class supervised_process {
public:
    struct settings {
        std::string name;                      // as in sentences: "PostgreSQL"
        std::string log_file;                  // where `reason_marks` are looked for
        std::vector<std::string> reason_marks; // in log lines that say why it ended
        std::function<base::status()> prepare; // before every start
        std::function<process_spec()> make_spec;
        std::function<base::status()> probe; // success: it answers; takes at most seconds
        std::chrono::milliseconds start_limit{60'000};
        std::chrono::milliseconds probe_interval{5'000};
        std::chrono::milliseconds pause_first{100}; // before the first restart; doubled each time
        std::chrono::milliseconds pause_max{5'000};
        std::chrono::milliseconds steady_after{30'000}; // ready this long: pauses begin anew
    };

    // `parent` outlives the object.
    supervised_process(guardian& parent, settings options);
    ~supervised_process(); // stop()
    supervised_process(const supervised_process&) = delete;
    supervised_process& operator=(const supervised_process&) = delete;

    // Begins; does not wait.
    void begin();
    // Waits until it is ready for the first time. Errors: unavailable, with a sentence that holds
    // the reason from its log and says where the log is. Blocks.
    [[nodiscard]] base::status wait_ready();
    // Begins its stop plan; does not wait. Not started again.
    void begin_stop();
    // begin_stop(), then waits for the end. Blocks.
    void stop();

    [[nodiscard]] service_status status() const;

private:
    struct state;
    std::unique_ptr<state> state_;
};

// The last line after byte `from` of `log_file` that has one of `marks`, from the mark on; else its
// last line; empty if there is none.
[[nodiscard]] std::string reason_in_log(const std::string& log_file, std::uint64_t from,
                                        const std::vector<std::string>& marks);

} // namespace immortal::runtime
