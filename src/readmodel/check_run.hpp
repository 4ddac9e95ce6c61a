// Inside the check: what its parts share.
#pragma once

#include "readmodel/check.hpp"
#include "readmodel/fold.hpp"
#include "readmodel/parking.hpp"

#include <string>
#include <utility>

namespace immortal::readmodel {

struct run_state {
    check_parts uses;
    check_settings settings;
    check_report report;
    parking parked;

    void add(difference found) {
        ++report.differences;
        if (report.list.size() < settings.differences_max) {
            report.list.push_back(std::move(found));
        }
    }

    [[nodiscard]] bool sampled(const base::uuid& id, std::uint64_t players) const {
        if (!settings.sample || players == 0 || *settings.sample >= players) {
            return true;
        }
        const std::string key = id.text() + std::to_string(settings.sample_seed);
        return base::stable_hash(key) % players < *settings.sample;
    }

    // Field by field; null: the row should not be, or is not there.
    void compare(const std::string& where, const std::string& id,
                 const base::json::object* expected, const base::json::object* actual) {
        if (expected == nullptr && actual == nullptr) {
            return;
        }
        if (expected == nullptr || actual == nullptr) {
            add({where, id, "", expected != nullptr ? base::json::serialize(*expected) : "",
                 actual != nullptr ? base::json::serialize(*actual) : ""});
            return;
        }
        for (const auto& field : *expected) {
            const auto* other = actual->if_contains(field.key());
            if (other == nullptr || *other != field.value()) {
                add({where, id, std::string(field.key()), base::json::serialize(field.value()),
                     other != nullptr ? base::json::serialize(*other) : ""});
            }
        }
        for (const auto& field : *actual) {
            if (expected->if_contains(field.key()) == nullptr) {
                add({where, id, std::string(field.key()), "",
                     base::json::serialize(field.value())});
            }
        }
    }
};

// What is wrong with a stream that is tombstoned: nothing of it can be compared.
[[nodiscard]] difference tombstoned(const std::string& stream);

// Rows of a player that are there: adds a difference if the log does not know the player any more.
// Errors: those of the store.
awaitable<base::status> check_stream_behind(run_state& run, std::string where, base::uuid player,
                                            std::string absence);

// The player's places on the leaderboards in Redis against the fold. A board that cannot answer
// now, or knows of something newer, passes.
awaitable<void> check_ranks(run_state& run, base::uuid player, const player_fold& fold,
                            const statistics_change& gain);
// Players on the boards that the log does not know.
awaitable<base::status> check_ranked_strangers(run_state& run);

} // namespace immortal::readmodel
