// A small language for tests of backups.
#pragma once

#include "base/random.hpp"
#include "eventlog/backup.hpp"
#include "eventlog/scavenge_fixture.hpp"

#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace immortal::eventlog {

// A target that does something before each of its calls, or is cut off from one of them on: what a
// killed process would have done from there never happens.
class stepping_target final : public backup_target {
public:
    explicit stepping_target(backup_target& inner) : inner_(inner) {}

    std::uint64_t steps = 0;
    std::uint64_t acts_at = 0; // 0: never
    std::function<void()> act;
    std::uint64_t dies_at = 0;

    base::status put(const std::string& name, std::span<const std::byte> bytes) override {
        return step() ? inner_.put(name, bytes) : dead();
    }
    base::status create(const std::string& name, std::span<const std::byte> bytes) override {
        return step() ? inner_.create(name, bytes) : dead();
    }
    base::result<std::vector<std::byte>> get(const std::string& name) override {
        return step() ? inner_.get(name) : dead();
    }
    base::result<std::vector<blob>> list(const std::string& folder) override {
        return step() ? inner_.list(folder) : dead();
    }
    base::status remove(const std::string& name) override {
        return step() ? inner_.remove(name) : dead();
    }
    base::status remove_unfinished(const std::string& folder) override {
        return step() ? inner_.remove_unfinished(folder) : dead();
    }

private:
    bool step() {
        if (++steps == acts_at) {
            act();
        }
        return dies_at == 0 || steps < dies_at;
    }
    static std::unexpected<base::error> dead() {
        return base::fail(base::errc::unavailable, "the process was killed");
    }
    backup_target& inner_;
};

// A target that counts the pieces that are read, or reads none.
class piece_reads final : public backup_target {
public:
    explicit piece_reads(backup_target& inner) : inner_(inner) {}

    std::uint64_t pieces = 0;
    std::uint64_t bytes = 0;
    std::optional<base::error> failure; // of each read
    std::function<void()> act;          // before the first one

    base::status put(const std::string& name, std::span<const std::byte> contents) override {
        return inner_.put(name, contents);
    }
    base::status create(const std::string& name, std::span<const std::byte> contents) override {
        return inner_.create(name, contents);
    }
    base::result<std::vector<std::byte>> get(const std::string& name) override {
        if (!name.starts_with("blobs/")) {
            return inner_.get(name);
        }
        if (pieces++ == 0 && act) {
            act();
        }
        auto out = failure ? base::fail(*failure) : inner_.get(name);
        bytes += out ? out->size() : 0;
        return out;
    }
    base::result<std::vector<blob>> list(const std::string& kind) override {
        return inner_.list(kind);
    }
    base::status remove(const std::string& name) override { return inner_.remove(name); }
    base::status remove_unfinished(const std::string& kind) override {
        return inner_.remove_unfinished(kind);
    }

private:
    backup_target& inner_;
};

class backups : public scavenge_fixture {
protected:
    static constexpr const char* copy = "/copy";

    base::result<backup_report> back_up(const backup_options& options = {}) {
        return make_backup(folder, disk, clock, *target_, options);
    }
    // Waits for a lease that somebody left behind.
    lease_options patient() {
        return {.holder = "a patient one",
                .wait = [this](std::chrono::milliseconds time, std::string_view) {
                    clock.advance(time);
                    return true;
                }};
    }
    void remove_target() {
        for (const char* kind : {"blobs", "manifests", "leases", "unneeded"}) {
            for (const std::string& path : blob_paths(disk, kind)) {
                ASSERT_TRUE(disk.remove(path));
            }
        }
    }
    base::result<restore_report> restore(const restore_options& options = {}) {
        return restore_backup(*target_, copy, disk, clock, options);
    }
    void remove_copy() {
        const auto names = disk.list(copy);
        for (const std::string& name : names ? *names : std::vector<std::string>{}) {
            ASSERT_TRUE(disk.remove(std::string(copy) + "/" + name));
        }
    }
    base::status open_copy() {
        open_.reset();
        settings.folder = copy;
        const auto opened = try_open();
        settings.folder = folder;
        return opened;
    }
    // The copy is sound, and its readers see what `expected` says; then the original is open again.
    void expect_copy_holds(const std::map<std::uint64_t, recorded_event>& expected) {
        const auto found = verify(copy, disk);
        ASSERT_TRUE(found) << found.error().message;
        for (const verify_finding& finding : found->findings) {
            ADD_FAILURE() << finding.file << " at " << finding.offset << ": " << finding.what;
        }
        const auto opened = open_copy();
        ASSERT_TRUE(opened) << opened.error().message;
        const auto now = all_events();
        ASSERT_EQ(now.size(), expected.size());
        for (const auto& [at, event] : expected) {
            const auto same = now.find(at);
            ASSERT_NE(same, now.end()) << at;
            EXPECT_EQ(same->second.id, event.id);
            EXPECT_EQ(same->second.data, event.data);
            EXPECT_EQ(same->second.metadata, event.metadata);
            EXPECT_EQ(same->second.revision, event.revision);
            EXPECT_EQ(same->second.created, event.created);
            EXPECT_EQ(open_->stream_head(event.stream).has_value(), true);
        }
        const auto next = append("new", expected_revision::no_stream(), events_of(90'000, 1));
        EXPECT_TRUE(next) << next.error().message;
        reopen();
    }
    // The backup restores to these events.
    void expect_backup_holds(const std::string& name,
                             const std::map<std::uint64_t, recorded_event>& events) {
        restore_options options;
        options.backup = name;
        const auto restored = restore(options);
        ASSERT_TRUE(restored) << restored.error().message;
        expect_copy_holds(events);
        remove_copy();
    }
    static std::vector<std::string> blob_paths(base::memory_file_system& on, const char* kind) {
        std::vector<std::string> out;
        const auto names = on.list(std::string("/backup/") + kind);
        for (const std::string& name : names ? *names : std::vector<std::string>{}) {
            out.push_back(std::string("/backup/") + kind + "/" + name);
        }
        return out;
    }

    // The files of the log as they are now, and again later: a copied folder, a rolled back
    // machine.
    std::map<std::string, std::string> copy_of(const std::string& of_folder) {
        std::map<std::string, std::string> out;
        for (const std::string& name : disk.list(of_folder).value()) {
            out[name] = disk.contents(of_folder + "/" + name);
        }
        return out;
    }
    void roll_back(const std::map<std::string, std::string>& files) {
        open_.reset();
        for (const std::string& name : disk.list(folder).value()) {
            ASSERT_TRUE(disk.remove(std::string(folder) + "/" + name));
        }
        for (const auto& [name, bytes] : files) {
            disk.set_contents(std::string(folder) + "/" + name, bytes);
        }
        reopen();
    }
    // Every backup that is listed as good can be restored.
    void expect_good_ones_restore() {
        const auto entries = list_backups(*target_);
        ASSERT_TRUE(entries) << entries.error().message;
        for (const backup_entry& entry : *entries) {
            if (entry.good()) {
                restore_options options;
                options.backup = entry.name;
                const auto restored = restore(options);
                ASSERT_TRUE(restored) << entry.name << ": " << restored.error().message;
                remove_copy();
            }
        }
    }

    std::unique_ptr<backup_target> target_ = make_folder_target(disk, "/backup");
};

} // namespace immortal::eventlog
