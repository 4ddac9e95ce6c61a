#include "memory/operations.hpp"

#include "eventlog/backup.hpp"
#include "eventlog/scavenger.hpp"
#include "eventlog/stream_metadata.hpp"
#include "eventstore/embedded_store.hpp"

#include <array>

namespace immortal::faults {
namespace {

namespace fs = std::filesystem;
using action = eventlog::stream_write::action;
using eventlog::direction;
using expected = eventlog::expected_revision;

constexpr std::uint64_t rounds = 24; // of the preparation
constexpr std::uint64_t prepared = 2 * rounds + 3;
constexpr std::size_t page = 16;

base::posix_file_system& files() {
    static base::posix_file_system one;
    return one;
}

base::system_clock& machine_clock() {
    static base::system_clock one;
    return one;
}

eventlog::stream_write metadata_write(const std::string& stream, const char* json) {
    eventlog::stream_write out{eventlog::metadata_stream_of(stream), expected::any(), {}, {}};
    out.events.push_back({{}, eventlog::metadata_type, json, "", eventlog::content::json});
    return out;
}

void plan_one(ledger& book, const char* stream, std::size_t events = 1, std::size_t padding = 20) {
    static_cast<void>(book.plan({{stream, expected::any(), {}, {}}}, {events}, padding));
}

} // namespace

base::result<std::unique_ptr<eventlog::log>> open_log(const fs::path& folder, index_place index) {
    static base::system_random random;
    eventlog::log_settings settings{.folder = folder.string(),
                                    .segment_size = 4096,
                                    .free_space_min = 0,
                                    .group_wait_max = std::chrono::microseconds(0),
                                    .remembered_ids = 16};
    if (index == index_place::disk) {
        settings.index = {.folder = (folder / "index").string(), .part_events_max = 8};
    }
    return eventlog::log::open(settings, files(), machine_clock(), random, nullptr);
}

void plan_preparation(ledger& book) {
    for (std::uint64_t i = 0; i < rounds; ++i) {
        const std::string stream = "s-" + std::to_string(i % 4);
        static_cast<void>(
            book.plan({{"hidden-1", expected::any(), {}, {}}}, {1}, 150, ledger::future::may_go));
        if (i % 4 == 0) {
            static_cast<void>(
                book.plan({{stream, expected::any(), {}, {}}, {"shared", expected::any(), {}, {}}},
                          {1 + i % 3, 1}, i * 37 % 400));
        } else {
            static_cast<void>(book.plan({{stream, expected::any(), {}, {}}}, {1 + i % 3}, 60));
        }
    }
    plan_one(book, "soft-1", 2);
    plan_one(book, "ended-1", 2);
    static_cast<void>(book.plan(metadata_write("hidden-1", R"({"$maxCount":2})")));
}

void prepare_log(const fs::path& folder, const fs::path& backups, index_place index, ledger& book) {
    const auto log = open_log(folder, index);
    if (!log) {
        std::abort();
    }
    const auto target = eventlog::make_folder_target(files(), backups.string());
    for (std::uint64_t number = 0; number < book.size(); ++number) {
        if (!append_and_wait(**log, book.writes(number)) ||
            (number == rounds &&
             !eventlog::make_backup(folder.string(), files(), machine_clock(), *target))) {
            std::abort();
        }
    }
}

struct scene::answer {
    std::mutex mutex;
    std::condition_variable changed;
    std::optional<base::result<eventlog::append_outcome>> said;
};

scene::scene(fs::path folder, fs::path backups, index_place index, ledger& book, teller& out)
    : folder_(std::move(folder)), backups_(std::move(backups)), index_(index), book_(book),
      out_(out) {}

scene::~scene() {
    close();
    if (engine_) {
        engine_->stop();
    }
}

void scene::prepare(std::uint64_t number) {
    planned one{number, book_.writes(number), {}, std::make_shared<answer>()};
    one.done = [said = one.said](base::result<eventlog::append_outcome> outcome) {
        const std::lock_guard lock(said->mutex);
        said->said = std::move(outcome);
        said->changed.notify_all();
    };
    planned_.push_back(std::move(one));
}

void scene::get_ready(std::string_view operation) {
    for (std::uint64_t number = prepared; number < book_.size(); ++number) {
        prepare(number);
    }
    comparable_ = operation != "scavenge";
    if (operation == "open") {
        return;
    }
    open();
    if (log_ == nullptr) {
        out_.broken("the log does not open before the operation");
        return;
    }
    base::position next;
    for (bool end = false; !end;) {
        auto slice = log_->read_all(next, direction::forwards, 100);
        if (!slice) {
            out_.broken("a read failed before the operation: " + slice.error().message);
            return;
        }
        right_.insert(right_.end(), slice->events.begin(), slice->events.end());
        next = slice->next;
        end = slice->end;
    }
    if (operation == "subscribe") {
        engine_ = std::make_unique<runtime::engine>(runtime::engine::settings{.threads = 2});
        engine_->start();
        store_ = eventstore::make_embedded_store(*log_);
    }
}

void scene::open() {
    auto opened = open_log(folder_, index_);
    if (opened) {
        log_ = std::move(*opened);
    } else if (opened.error().code == base::errc::corrupt) {
        out_.broken("without memory a start says that the log is damaged");
    }
}

void scene::close() {
    subscription_.reset();
    store_.reset();
    log_.reset();
}

void scene::append() {
    run(planned_.at(next_planned_++));
}

void scene::run(planned& what) {
    out_.append(what.number, ledger::fate::begun, {});
    log_->append(std::move(what.writes), std::move(what.done));
    std::unique_lock lock(what.said->mutex);
    what.said->changed.wait(lock, [&] { return what.said->said.has_value(); });
    const auto& outcome = *what.said->said;
    if (outcome) {
        out_.append(what.number, ledger::fate::acknowledged, outcome->position);
    } else if (outcome.error().code != base::errc::unknown_outcome) {
        out_.append(what.number, ledger::fate::refused, {});
    }
}

// `found` are the events of the log from number `next` on.
void scene::compare(std::span<const eventlog::recorded_event> found, std::size_t& next) {
    for (const auto& event : found) {
        if (next < right_.size() &&
            (right_[next].id != event.id || right_[next].position != event.position ||
             right_[next].data != event.data)) {
            out_.broken("without memory a read shows something else");
        }
        ++next;
    }
}

void scene::read_all() {
    std::size_t count = 0;
    base::position next;
    for (bool end = false; !end;) {
        const auto slice = log_->read_all(next, direction::forwards, page);
        if (!slice) {
            return;
        }
        compare(slice->events, count);
        next = slice->next;
        end = slice->end;
    }
    if (count < right_.size()) {
        out_.broken("without memory a read of the whole log leaves events out");
    }
}

void scene::read_streams() {
    for (const char* stream : {"s-1", "shared", "hidden-1"}) {
        for (const direction way : {direction::forwards, direction::backwards}) {
            const auto slice =
                log_->read_stream(stream, {way == direction::forwards ? 0u : 1000u}, way, 100);
            if (slice && slice->events.empty()) {
                out_.broken("without memory a stream is empty");
            }
        }
    }
    const auto view =
        log_->read_view(eventlog::index_view::category, "s", 0, direction::forwards, 100);
    if (view && view->entries.empty()) {
        out_.broken("without memory a view is empty");
    }
}

void scene::subscribe() {
    subscription_ = store_->subscribe_all(std::nullopt);
    std::size_t count = 0;
    for (bool caught_up = false; !caught_up;) {
        const auto batch = engine_->run(subscription_->next(page));
        if (!batch) {
            return;
        }
        compare(batch->events, count);
        caught_up = batch->caught_up;
    }
    append();
    const auto live = engine_->run(subscription_->next(page));
    if (live && live->events.empty()) {
        out_.broken("without memory a live subscription gives nothing");
    }
}

void scene::scavenge() {
    if (log_->scavenges().start({})) {
        log_->scavenges().wait(eventlog::scavenger::wait_how::to_the_end);
    }
}

void scene::back_up() {
    const auto target = eventlog::make_folder_target(files(), backups_.string());
    static_cast<void>(eventlog::make_backup(folder_.string(), files(), machine_clock(), *target));
}

void scene::go_on() {
    if (log_ == nullptr) {
        open();
    }
    if (log_ == nullptr) {
        out_.broken("with memory again the log does not open in the same process");
        return;
    }
    if (log_->state() == eventlog::log_state::writable) {
        planned& last = planned_.back();
        run(last);
        if (!*last.said->said) {
            out_.broken("with memory again an append is refused: " +
                        last.said->said->error().message);
        }
    }
    if (comparable_) {
        read_all();
    }
}

namespace {

void one_append(ledger& book) {
    plan_one(book, "s-1", 2);
}
void nothing(ledger& /*book*/) {}

void plan_several(ledger& book) {
    static_cast<void>(book.plan({{"own-1", expected::no_stream(), {}, {}},
                                 {"s-2", expected::any(), {}, {}},
                                 {"own-2", expected::no_stream(), {}, {}}},
                                {3, 1, 2}, 900));
}
void plan_deletes(ledger& book) {
    static_cast<void>(book.plan(metadata_write("s-3", R"({"$maxCount":1000})")));
    static_cast<void>(
        book.plan(eventlog::stream_write{"soft-1", expected::any(), {}, action::soft_delete}));
    static_cast<void>(
        book.plan(eventlog::stream_write{"ended-1", expected::any(), {}, action::tombstone}));
}

void do_open(scene& on) {
    on.open();
}
void do_append(scene& on) {
    on.append();
}
void do_deletes(scene& on) {
    on.append();
    on.append();
    on.append();
}
void do_read_streams(scene& on) {
    on.read_streams();
}
void do_read_all(scene& on) {
    on.read_all();
}
void do_subscribe(scene& on) {
    on.subscribe();
}
void do_scavenge(scene& on) {
    on.scavenge();
}
void do_back_up(scene& on) {
    on.back_up();
}
void do_reopen(scene& on) {
    on.close();
    on.open();
}

constexpr std::array<memory_operation, 10> all{{
    {"open", false, do_open, nothing},
    {"append", false, do_append, one_append},
    {"append_to_streams", false, do_append, plan_several},
    {"read_stream", false, do_read_streams, nothing},
    {"read_all", false, do_read_all, nothing},
    {"subscribe", true, do_subscribe, one_append},
    {"scavenge", false, do_scavenge, nothing},
    {"backup", false, do_back_up, nothing},
    {"metadata_and_deletes", false, do_deletes, plan_deletes},
    {"close_and_open", false, do_reopen, nothing},
}};

} // namespace

std::span<const memory_operation> memory_operations() {
    return all;
}

} // namespace immortal::faults
