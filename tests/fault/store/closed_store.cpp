#include "store/closed_store.hpp"

#include "base/clock.hpp"
#include "base/file.hpp"
#include "base/random.hpp"
#include "eventlog/log.hpp"
#include "eventlog/verify.hpp"
#include "store/promise_book.hpp"

#include <algorithm>
#include <cstdlib>
#include <fstream>
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

// Appends until the log has about two segments more.
void fill(const fs::path& folder, promise_book& book, std::uint64_t from) {
    const auto log = open_log(folder);
    for (std::uint64_t i = from; i < from + 16; ++i) {
        std::vector<eventlog::stream_write> writes;
        writes.push_back({stream_name(i), expected_revision::any(), {}, {}});
        std::vector<std::size_t> counts{1 + i % 3};
        if (i % 4 == 0) {
            writes.push_back({"shared", expected_revision::any(), {}, {}});
            counts.push_back(1);
        }
        static_cast<void>(ask(**log, book, book.begin(std::move(writes), counts, i * 37 % 900)));
    }
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
        return "refused at the start";
    case damage_finding::kind::seen:
        return "noticed by verify and the reads";
    case damage_finding::kind::harmless:
        return "harmless";
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
    for (std::uint64_t stage = 0; stage < 3; ++stage) {
        fill(folder(), book, stage * 16);
        stages_.push_back(root_ / ("stage-" + std::to_string(stage)));
        fs::copy(folder(), stages_.back(), fs::copy_options::recursive);
    }
    right_ = read_all_ways().text;
}

closed_store::~closed_store() {
    std::error_code ignored;
    fs::remove_all(root_, ignored);
}

std::vector<fs::path> closed_store::files() const {
    std::vector<fs::path> out;
    for (const auto& entry : fs::recursive_directory_iterator(stages_.back())) {
        const std::string name = entry.path().filename().string();
        if (entry.is_regular_file() && name != "lock" && name != "LOCK") {
            out.push_back(folder() / fs::relative(entry.path(), stages_.back()));
        }
    }
    std::ranges::sort(out);
    return out;
}

std::optional<std::string> closed_store::older_copy(const fs::path& file,
                                                    std::uint64_t choice) const {
    const fs::path older = stages_[choice % (stages_.size() - 1)] / fs::relative(file, folder());
    return fs::exists(older) ? std::optional(read_file(older)) : std::nullopt;
}

void closed_store::put_back() {
    fs::remove_all(folder());
    fs::copy(stages_.back(), folder(), fs::copy_options::recursive);
}

closed_store::answers closed_store::read_all_ways() const {
    answers out;
    const auto log = open_log(folder());
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
    for (int i = 0; i <= streams; ++i) {
        const std::string name = i == streams ? "shared" : "s-" + std::to_string(i);
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

damage_finding closed_store::examine() {
    using kind = damage_finding::kind;
    base::posix_file_system files;
    const bool log_changed = log_is_changed();
    const auto report = eventlog::verify(folder().string(), files);
    const bool sound = report && report->sound();
    const answers now = read_all_ways();
    if (now.error.empty() && now.text != right_) {
        return {kind::silent, "it starts and answers differently"};
    }
    if (log_changed && sound) {
        return {kind::unexplained, "verify finds nothing"};
    }
    if (now.error.empty()) {
        return {sound ? kind::harmless : kind::seen, {}};
    }
    if (now.error.find("segment-") == std::string::npos &&
        now.error.find("anchor") == std::string::npos) {
        return {kind::unexplained, "the reason is not clear: " + now.error};
    }
    return {now.started ? kind::seen : kind::refused, now.error};
}

} // namespace immortal::faults
