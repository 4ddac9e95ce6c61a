// immortal rebuild
#include "app/backing.hpp"
#include "app/core.hpp"
#include "app/tool.hpp"
#include "game/catalog.hpp"
#include "readmodel/leases.hpp"
#include "readmodel/progress.hpp"
#include "readmodel/rebuild.hpp"

#include <fmt/format.h>

#include <unistd.h>

namespace immortal::app {

namespace json = base::json;

namespace {

void show_progress(const readmodel::rebuild_progress& at) {
    const double part = at.head.value == 0 ? 1.0
                                           : static_cast<double>(at.position.value) /
                                                 static_cast<double>(at.head.value);
    fmt::print(stderr, "\r{} events, {:.0f} %  ", at.events, 100.0 * part);
}

// The tables of another game are not replaced because a wrong store was named.
base::status check_source(core& c) {
    const auto foreign =
        c.engine.run(readmodel::is_made_from_another(*c.database, c.store->identity()));
    if (!foreign || !*foreign) {
        return foreign ? base::status() : base::fail(foreign.error());
    }
    return base::fail(base::errc::mismatch,
                      "The derived tables were made from another event log. If its events are in "
                      "another event store, name that store. If the tables are to be made anew "
                      "from this log, say so with --other-log.");
}

base::result<readmodel::rebuild_progress>
rebuild_in(const data_folder& folder, const settings& options, bool other_log, bool show) {
    auto guardian = runtime::guardian::start({folder.lock_descriptor()});
    if (!guardian) {
        return base::fail(guardian.error());
    }
    auto opened = core::open(folder, **guardian, options, backing::redis_use::unwanted,
                             data_folder::when_absent::refuse);
    if (!opened) {
        return base::fail(opened.error());
    }
    core& c = **opened;
    if (auto right = other_log ? base::status() : check_source(c); !right) {
        return base::fail(right.error());
    }
    readmodel::progress applied;
    readmodel::projector_settings projector;
    projector.name = "rebuild-" + std::to_string(getpid());
    projector.policy = readmodel::lease_policy::take_over;
    projector.batch_events_max = options.projector.batch_events_max;
    auto done = c.engine.run(readmodel::rebuild(
        c.engine.executor(),
        {*c.database, *c.store, game::catalog::builtin(), applied, nullptr, c.clock, c.metrics},
        projector,
        show ? show_progress : std::function<void(const readmodel::rebuild_progress&)>{}));
    if (show) {
        fmt::print(stderr, "\n");
    }
    return done;
}

} // namespace

int run_rebuild(const rebuild_options& options) {
    auto loaded = load_settings(options.config, log_use::quiet);
    if (!loaded) {
        return report(loaded.error(), exit_usage);
    }
    const auto needs = needs_of(*loaded, backing::redis_use::unwanted);
    if (auto enough = runtime::check_resources(needs); !enough) {
        return report(enough.error());
    }
    auto folder = data_folder::open(loaded->server.data, "immortal rebuild",
                                    data_folder::when_absent::refuse);
    if (!folder) {
        return report(folder.error());
    }
    const auto done =
        rebuild_in(**folder, *loaded, options.other_log, !options.json && isatty(2) != 0);
    if (!done) {
        return report(done.error());
    }
    if (options.json) {
        fmt::print("{}\n", base::json_text(json::object{{"events", done->events},
                                                        {"position", done->position.value}}));
    } else {
        fmt::print("The read model was made anew from {} events, up to position {}.\n",
                   done->events, done->position.value);
    }
    return exit_success;
}

} // namespace immortal::app
