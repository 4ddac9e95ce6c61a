#include "store/closed_store.hpp"

#include "base/clock.hpp"
#include "base/file.hpp"
#include "base/random.hpp"
#include "eventlog/backup.hpp"
#include "eventlog/log.hpp"
#include "eventlog/scavenger.hpp"
#include "eventlog/stream_metadata.hpp"
#include "eventlog/verify.hpp"
#include "store/promise_book.hpp"

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <future>
#include <sstream>

namespace immortal::faults {
namespace {

namespace fs = std::filesystem;
using eventlog::direction;
using eventlog::expected_revision;

constexpr int streams = 7;

base::result<std::unique_ptr<eventlog::log>> open_log(const fs::path& folder) {
    static base::posix_file_system files;
    static base::system_clock clock;
    static base::system_random random;
    return eventlog::log::open(
        {.folder = folder.string(),
         .segment_size = 8192,
         .free_space_min = 0,
         .group_wait_max = std::chrono::microseconds(0),
         .remembered_ids = 16,
         .index = {.folder = (folder / "index").string(), .part_events_max = 8}},
        files, clock, random, nullptr);
}

std::string stream_name(std::uint64_t i) {
    return "s-" + std::to_string(i % streams);
}

// Appends until the log has about two segments more, some of it hidden.
void fill(const fs::path& folder, promise_book& book, std::uint64_t first) {
    const auto log = open_log(folder);
    for (std::uint64_t i = first; i < first + 16; ++i) {
        std::vector<eventlog::stream_write> writes;
        writes.push_back({stream_name(i), expected_revision::any(), {}, {}});
        std::vector<std::size_t> counts{1 + i % 3};
        if (i % 4 == 0) {
            writes.push_back({"shared", expected_revision::any(), {}, {}});
            counts.push_back(1);
        }
        static_cast<void>(ask(**log, book, book.begin(std::move(writes), counts, i * 37 % 900)));
        static_cast<void>(
            ask(**log, book, book.begin({{"hidden", expected_revision::any(), {}, {}}}, {1}, 200)));
    }
}

// Takes the hidden events out of the segments that are full, as a clean end would find them.
void scavenge(const fs::path& folder) {
    const auto log = open_log(folder);
    std::vector<eventlog::stream_write> writes;
    writes.push_back({eventlog::metadata_stream_of("hidden"), expected_revision::any(), {}, {}});
    eventlog::new_event event;
    event.id.bytes.fill(0xff);
    event.type = eventlog::metadata_type;
    event.data = R"({"$maxCount":2})";
    writes.back().events.push_back(std::move(event));
    std::promise<bool> written;
    (*log)->append(std::move(writes),
                   [&](const auto& said) { written.set_value(said.has_value()); });
    if (!written.get_future().get() || !(*log)->scavenges().start({})) {
        std::abort();
    }
    (*log)->scavenges().wait(eventlog::scavenger::wait_how::to_the_end);
    if ((*log)->scavenges().status().segments_rewritten < 2) {
        std::abort(); // there must be something to damage
    }
}

void back_up(const fs::path& folder, const fs::path& backups) {
    base::posix_file_system files;
    base::system_clock clock;
    const auto target = eventlog::make_folder_target(files, backups.string());
    if (!eventlog::make_backup(folder.string(), files, clock, *target)) {
        std::abort();
    }
}

std::vector<fs::path> files_below(const fs::path& folder) {
    std::vector<fs::path> out;
    for (const auto& entry : fs::recursive_directory_iterator(folder)) {
        const std::string name = entry.path().filename().string();
        if (entry.is_regular_file() && name != "lock" && name != "LOCK") {
            out.push_back(fs::relative(entry.path(), folder));
        }
    }
    return out;
}

void add(std::string& to, const eventlog::recorded_event& event) {
    to += std::to_string(event.position.value) + " " + event.stream + " " +
          std::to_string(event.revision.value) + " " + event.id.text() + " " + event.type + " " +
          event.data + " " + event.metadata + " " +
          std::to_string(event.created.time_since_epoch().count()) +
          (event.last_in_batch ? " last\n" : "\n");
}

} // namespace

std::string_view name_of(damage_finding::kind what) {
    switch (what) {
    case damage_finding::kind::refused:
        return "refused";
    case damage_finding::kind::seen:
        return "noticed by a check or the reads that meet it";
    case damage_finding::kind::harmless:
        return "harmless";
    case damage_finding::kind::restart:
        return "answered by a later start, as was said";
    case damage_finding::kind::gone:
        return "a backup gone with its manifest";
    case damage_finding::kind::silent:
        return "silently different";
    case damage_finding::kind::unexplained:
        return "not explained";
    }
    return "";
}

std::string read_file(const fs::path& path) {
    std::ifstream in(path, std::ios::binary);
    std::ostringstream out;
    out << in.rdbuf();
    return out.str();
}

void write_file(const fs::path& path, const std::string& bytes) {
    std::ofstream(path, std::ios::binary | std::ios::trunc) << bytes;
}

closed_store::closed_store() {
    std::string pattern = (fs::temp_directory_path() / "immortal-damage-XXXXXX").string();
    root_ = mkdtemp(pattern.data());
    promise_book book;
    right_backups_ = root_ / "right-backups";
    for (std::uint64_t stage = 0; stage < 3; ++stage) {
        fill(folder(), book, stage * 16);
        if (stage == 2) {
            scavenge(folder());
        }
        back_up(folder(), right_backups_);
        stages_.push_back(root_ / ("stage-" + std::to_string(stage)));
        fs::copy(folder(), stages_.back(), fs::copy_options::recursive);
    }
    right_ = read_all_ways(folder()).text;
}

closed_store::~closed_store() {
    std::error_code ignored;
    fs::remove_all(root_, ignored);
}

std::vector<fs::path> closed_store::files() const {
    std::vector<fs::path> out;
    for (const fs::path& name : files_below(stages_.back())) {
        out.push_back(folder() / name);
    }
    for (const fs::path& name : files_below(right_backups_)) {
        out.push_back(backups() / name);
    }
    std::ranges::sort(out);
    return out;
}

bool closed_store::is_scavenged(const fs::path& file) const {
    const std::string bytes = read_file(stages_.back() / fs::relative(file, folder()));
    constexpr std::size_t flags = 48; // of a segment's header: docs/eventlog-format.md
    return file.extension() == ".log" && bytes.size() > flags && (bytes[flags] & 1) != 0;
}

std::optional<std::string> closed_store::older_copy(const fs::path& file,
                                                    std::uint64_t choice) const {
    const fs::path older = stages_[choice % (stages_.size() - 1)] / fs::relative(file, folder());
    return fs::exists(older) && !is_scavenged(file) ? std::optional(read_file(older))
                                                    : std::nullopt;
}

void closed_store::put_back() {
    fs::remove_all(folder());
    fs::remove_all(backups());
    fs::copy(stages_.back(), folder(), fs::copy_options::recursive);
    fs::copy(right_backups_, backups(), fs::copy_options::recursive);
}

closed_store::answers closed_store::read_all_ways(const fs::path& folder) {
    answers out;
    const auto log = open_log(folder);
    if (!log) {
        out.error = log.error().message;
        return out;
    }
    out.started = true;
    base::position from;
    for (bool end = false; !end;) {
        const auto slice = (*log)->read_all(from, direction::forwards, 50);
        if (!slice) {
            out.error = slice.error().message;
            return out;
        }
        for (const auto& event : slice->events) {
            add(out.text, event);
        }
        from = slice->next;
        end = slice->end;
    }
    for (int i = 0; i <= streams + 1; ++i) {
        const std::string name = i == streams       ? "shared"
                                 : i == streams + 1 ? "hidden"
                                                    : "s-" + std::to_string(i);
        for (const direction way : {direction::forwards, direction::backwards}) {
            const auto slice =
                (*log)->read_stream(name, {way == direction::forwards ? 0u : 1000u}, way, 10'000);
            if (!slice) {
                out.error = slice.error().message;
                return out;
            }
            for (const auto& event : slice->events) {
                add(out.text, event);
            }
        }
    }
    return out;
}

bool closed_store::log_is_changed() const {
    for (const auto& entry : fs::directory_iterator(stages_.back())) {
        if (entry.path().extension() == ".log" &&
            read_file(entry.path()) != read_file(folder() / entry.path().filename())) {
            return true;
        }
    }
    return false;
}

damage_finding closed_store::examine_log() {
    using kind = damage_finding::kind;
    base::posix_file_system files;
    const bool log_changed = log_is_changed();
    const auto report = eventlog::verify(folder().string(), files);
    const bool sound = report && report->sound();
    const answers now = read_all_ways(folder());
    if (now.error.empty() && now.text != right_) {
        return {kind::silent, "it starts and answers differently"};
    }
    if (log_changed && sound) {
        return {kind::unexplained, "verify finds nothing"};
    }
    if (now.error.empty()) {
        return {sound ? kind::harmless : kind::seen, {}};
    }
    if (now.error.find("event log's index") != std::string::npos) { // what it says must be true
        const answers later = read_all_ways(folder());
        return later.text == right_ && later.error.empty()
                   ? damage_finding{kind::restart, {}}
                   : damage_finding{kind::unexplained, "a restart does not help: " + later.error};
    }
    if (now.error.find("segment-") == std::string::npos &&
        now.error.find("anchor") == std::string::npos) {
        return {kind::unexplained, "the reason is not clear: " + now.error};
    }
    return {now.started ? kind::seen : kind::refused, now.error};
}

// What is restored from the newest backup is what stood in the log.
damage_finding closed_store::examine_backups() {
    using kind = damage_finding::kind;
    base::posix_file_system files;
    base::system_clock clock;
    base::system_random random;
    const auto target = eventlog::make_folder_target(files, backups().string());
    const auto checked = eventlog::check_backups(*target, random);
    const bool noticed = !checked || !checked->sound();
    const auto listed = eventlog::list_backups(*target);
    if (!listed || listed->size() < stages_.size()) {
        return {listed ? kind::gone : kind::refused, {}};
    }
    const fs::path restored = root_ / "restored";
    bool all = true;
    for (const eventlog::backup_entry& entry : *listed) {
        fs::remove_all(restored);
        const auto done = eventlog::restore_backup(*target, restored.string(), files, clock,
                                                   {.at = {}, .backup = entry.name});
        all = all && done.has_value();
        if (!done && (entry.good() && !noticed)) {
            return {kind::unexplained, "a backup that no check complains of cannot be restored: " +
                                           done.error().message};
        }
        if (!done || &entry != &listed->back()) { // the last one is the newest
            continue;
        }
        if (const answers now = read_all_ways(restored); now.text != right_) {
            return {kind::silent, "what is restored answers differently " + now.error};
        }
    }
    return {all ? (noticed ? kind::seen : kind::harmless) : kind::refused, {}};
}

damage_finding closed_store::examine() {
    const damage_finding log = examine_log();
    using kind = damage_finding::kind;
    if (log.what != kind::harmless) {
        return log;
    }
    for (const fs::path& name : files_below(right_backups_)) {
        if (!fs::exists(backups() / name) ||
            read_file(backups() / name) != read_file(right_backups_ / name)) {
            return examine_backups();
        }
    }
    return log;
}

} // namespace immortal::faults
