// What is removed from a target, in this order: manifests of old backups; then, of the pieces that
// no manifest names, those that an earlier prune had found so a grace period ago. The others are
// written down with the time:
//
//   unneeded/pieces.json = "immortal-unneeded 1 " sha256_hex "\n" json    name of the blob -> time
//
// A list that cannot be read is begun anew: then every grace period begins again.
#include "base/assert.hpp"
#include "base/json.hpp"
#include "base/log.hpp"
#include "eventlog/backup.hpp"
#include "eventlog/backup_pieces.hpp"

#include <algorithm>
#include <map>
#include <set>

namespace immortal::eventlog {
namespace {

namespace json = base::json;
using base::errc;
using base::fail;

constexpr const char* list_name = "unneeded/pieces.json";
constexpr std::string_view title = "immortal-unneeded 1 ";

using times = std::map<std::string, base::utc_time>; // since when a blob is not needed

std::string hash_of(std::string_view text) {
    return sha256_hex(std::as_bytes(std::span(text)));
}

base::result<times> read_unneeded(backup_target& target) {
    const auto bytes = target.get(list_name);
    if (!bytes && bytes.error().code == errc::not_found) {
        return times();
    }
    if (!bytes && bytes.error().code != errc::corrupt) {
        return fail(bytes.error());
    }
    const std::string_view text =
        bytes ? std::string_view(reinterpret_cast<const char*>(bytes->data()), bytes->size()) : "";
    const std::size_t line_end = text.find('\n');
    const bool whole =
        text.starts_with(title) && line_end != std::string_view::npos &&
        text.substr(title.size(), line_end - title.size()) == hash_of(text.substr(line_end + 1));
    const auto parsed = whole ? base::parse_json(text.substr(line_end + 1), 4)
                              : base::result<json::value>(json::value());
    times out;
    if (!parsed || !parsed->is_object()) {
        base::log_warning("eventlog", "the list of pieces to remove cannot be read: it is begun "
                                      "anew");
        return out;
    }
    for (const auto& each : parsed->get_object()) {
        const auto time = each.value().is_string()
                              ? base::parse_iso(std::string(each.value().get_string()))
                              : std::nullopt;
        if (time) {
            out.emplace(each.key(), *time);
        }
    }
    return out;
}

base::status write_unneeded(backup_target& target, const times& unneeded) {
    json::object object;
    for (const auto& [name, since] : unneeded) {
        object[name] = base::iso_text(since);
    }
    const std::string body = base::json_text(object);
    const std::string text = std::string(title) + hash_of(body) + "\n" + body;
    return target.put(list_name, std::as_bytes(std::span(text)));
}

class pruning {
public:
    pruning(backup_target& target, base::clock& clock, const prune_options& options,
            backup_lease& lease)
        : target_(target), clock_(clock), options_(options), lease_(lease) {}

    base::result<prune_report> run();

private:
    base::status choose();
    [[nodiscard]] base::status check_dropped(const std::vector<backup_entry>& entries) const;
    base::status remove_backups();
    base::status remove_pieces();
    base::result<bool> take_away(const std::string& name);
    [[nodiscard]] bool is_due(base::utc_time since) const {
        return since + options_.grace <= clock_.now();
    }

    backup_target& target_;
    base::clock& clock_;
    const prune_options& options_;
    backup_lease& lease_;
    std::vector<std::string> old_; // manifests to remove, oldest first
    std::set<std::string> needed_; // blobs
    prune_report report_;
};

base::status pruning::check_dropped(const std::vector<backup_entry>& entries) const {
    const auto is_of_line = [this](const backup_entry& entry) {
        return entry.place().line == options_.dropped_line;
    };
    const auto is_restorable_elsewhere = [&](const backup_entry& entry) {
        return !is_of_line(entry) && entry.good();
    };
    const char* problem = nullptr;
    if (std::ranges::none_of(entries, is_of_line)) {
        problem = "there is no such line of backups";
    } else if (std::ranges::all_of(entries, is_of_line)) {
        problem = "the only line of backups is not dropped";
    } else if (std::ranges::none_of(entries, is_restorable_elsewhere)) {
        problem = "no backup of another line can be restored: the line is not dropped";
    }
    return problem == nullptr ? base::status{} : fail(errc::invalid_argument, problem, {}, "line");
}

base::status pruning::choose() {
    const auto entries = list_backups(target_);
    if (!entries) {
        return fail(entries.error());
    }
    if (options_.dropped_line != 0) {
        if (auto droppable = check_dropped(*entries); !droppable) {
            return droppable;
        }
    }
    std::map<std::uint32_t, std::size_t> kept; // restorable ones of each line, from the newest on
    for (auto entry = entries->rbegin(); entry != entries->rend(); ++entry) {
        const std::uint32_t line = entry->place().line;
        if (line == options_.dropped_line || kept[line] >= options_.keep) {
            old_.insert(old_.begin(), "manifests/" + entry->name);
            continue;
        }
        if (!entry->manifest) {
            return fail(entry->manifest.error());
        }
        kept[line] += entry->good() ? 1 : 0; // another one stays, and stands for none
        for (const backup_segment& segment : entry->manifest->segments) {
            for (const backup_piece& piece : segment.pieces) {
                needed_.insert(piece.blob());
            }
        }
    }
    return {};
}

// False: a folder has that name, and stays. Each time the lease is looked at: who was stopped for
// longer than it lasts must not go on by an old plan.
base::result<bool> pruning::take_away(const std::string& name) {
    auto done = lease_.keep();
    done = done ? lease_.check() : done;
    done = done ? target_.remove(name) : done;
    if (!done && done.error().reason == "not_a_file") {
        base::log_warning("eventlog", "a folder in the place of a file of the backups stays",
                          {{"name", name}});
        return false;
    }
    return done ? base::result<bool>(true) : fail(std::move(done.error()));
}

// Before any piece: a manifest that is there names pieces that are.
base::status pruning::remove_backups() {
    for (const std::string& name : old_) {
        const auto removed = take_away(name);
        if (!removed) {
            return fail(removed.error());
        }
        report_.backups_removed += *removed ? 1 : 0;
    }
    return {};
}

base::status pruning::remove_pieces() {
    IMMORTAL_ASSERT(report_.backups_removed <= old_.size()); // manifests go first
    const auto before = read_unneeded(target_);
    const auto blobs =
        before ? target_.list("blobs") : base::result<std::vector<backup_target::blob>>();
    if (!before || !blobs) {
        return fail(before ? blobs.error() : before.error());
    }
    times waiting;
    std::vector<backup_target::blob> due;
    for (const auto& blob : *blobs) {
        if (needed_.contains(blob.name)) {
            continue;
        }
        const auto known = before->find(blob.name);
        // A time that lies ahead was written under another clock.
        const auto since =
            known == before->end() ? clock_.now() : std::min(known->second, clock_.now());
        if (is_due(since)) {
            due.push_back(blob);
            continue;
        }
        waiting.emplace(blob.name, since);
        ++report_.blobs_waiting;
        report_.bytes_waiting += blob.size;
    }
    if (waiting != *before) {
        if (auto done = write_unneeded(target_, waiting); !done) {
            return done;
        }
    }
    for (const auto& blob : due) {
        IMMORTAL_ASSERT(!needed_.contains(blob.name));
        const auto removed = take_away(blob.name);
        if (!removed) {
            return fail(removed.error());
        }
        report_.blobs_removed += *removed ? 1 : 0;
        report_.bytes_removed += *removed ? blob.size : 0;
    }
    return {};
}

base::result<prune_report> pruning::run() {
    base::status done = choose();
    done = done ? remove_backups() : done;
    done = done ? remove_pieces() : done;
    return done ? base::result<prune_report>(report_) : fail(std::move(done.error()));
}

} // namespace

base::result<prune_report> prune_backups(backup_target& target, base::clock& clock,
                                         const prune_options& options) {
    IMMORTAL_ASSERT(options.keep > 0 && options.grace.count() >= 0);
    auto lease = backup_lease::take(target, clock, "a prune of backups", options.lease);
    if (!lease) {
        return fail(std::move(lease.error()));
    }
    auto report = pruning(target, clock, options, *lease).run();
    lease->release();
    return report;
}

} // namespace immortal::eventlog
