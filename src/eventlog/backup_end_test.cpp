// Work in a target that ends early gives its lease back: nobody waits for it.
#include "base/memory_file_system.hpp"
#include "eventlog/backup_fixture.hpp"

#include <functional>

namespace immortal::eventlog {
namespace {

using base::errc;

// Fails one of its calls.
class failing_target final : public backup_target {
public:
    failing_target(backup_target& inner, std::uint64_t failing_step)
        : inner_(inner), left_(failing_step) {}

    [[nodiscard]] const std::string& failed_call() const { return failed_call_; } // empty: none yet

    base::status put(const std::string& name, std::span<const std::byte> bytes) override {
        return step("put " + name) ? inner_.put(name, bytes) : failed();
    }
    base::status create(const std::string& name, std::span<const std::byte> bytes) override {
        return step("create " + name) ? inner_.create(name, bytes) : failed();
    }
    base::result<std::vector<std::byte>> get(const std::string& name) override {
        return step("get " + name) ? inner_.get(name) : failed();
    }
    base::result<std::vector<blob>> list(const std::string& folder) override {
        return step("list " + folder) ? inner_.list(folder) : failed();
    }
    base::status remove(const std::string& name) override {
        return step("remove " + name) ? inner_.remove(name) : failed();
    }
    base::status remove_unfinished(const std::string& folder) override {
        return step("clean " + folder) ? inner_.remove_unfinished(folder) : failed();
    }

private:
    bool step(const std::string& call) {
        if (left_ == 0 || --left_ > 0) {
            return true;
        }
        failed_call_ = call;
        return false;
    }
    static std::unexpected<base::error> failed() {
        return base::fail(base::errc::unavailable, "this call fails");
    }
    backup_target& inner_;
    std::uint64_t left_;
    std::string failed_call_;
};

class ended_backups : public backups {
protected:
    // Two backups, of which the first is due to be pruned.
    void prepare() {
        remove_target();
        ASSERT_TRUE(back_up());
        write("s", 2, 900);
        ASSERT_TRUE(back_up());
        write("s", 2, 900);
    }
    prune_options hasty() { return {.keep = 1, .grace = {}}; }
};

// A target on which one call after the other fails once.
TEST_F(ended_backups, give_their_lease_back_after_any_failure) {
    write("s", 10);
    const auto fail_each_call = [&](const std::function<void(backup_target&)>& work) {
        for (std::uint64_t step = 1;; ++step) {
            prepare();
            failing_target failing(*target_, step);
            work(failing);
            if (failing.failed_call().empty()) {
                EXPECT_GT(step, 12u);
                break;
            }
            const auto next = backup_lease::take(*target_, clock, "a backup", {});
            EXPECT_TRUE(next) << step << ", after " << failing.failed_call() << ": "
                              << next.error().message;
        }
    };
    fail_each_call(
        [&](backup_target& failing) { (void)make_backup(folder, disk, clock, failing); });
    fail_each_call([&](backup_target& failing) { (void)prune_backups(failing, clock, hasty()); });
}

// A disk of any size: what failed for want of room is no reason to wait.
TEST_F(ended_backups, give_their_lease_back_on_a_full_disk) {
    write("s", 10);
    std::uint64_t refused = 0;
    for (std::uint64_t room = 0;; room += room < 1000 ? 50 : 700) {
        base::memory_file_system place;
        const auto target = make_folder_target(place, "/backup");
        place.set_capacity(room);
        const auto made = make_backup(folder, disk, clock, *target);
        if (made) {
            break;
        }
        ++refused;
        EXPECT_EQ(made.error().code, errc::exhausted) << made.error().message;
        const auto pruned = prune_backups(*target, clock, {});
        EXPECT_TRUE(pruned || pruned.error().code == errc::exhausted) << pruned.error().message;
        place.set_capacity(1u << 30u);
        const auto again = make_backup(folder, disk, clock, *target);
        EXPECT_TRUE(again) << room << ": " << again.error().message;
    }
    EXPECT_GT(refused, 20u);
}

TEST_F(ended_backups, give_their_lease_back_when_they_are_stopped) {
    write("s", 10);
    for (std::uint64_t looks = 0;; ++looks) {
        remove_target();
        std::uint64_t left = looks;
        lease_options stopped{.is_stopped = [&left] { return left == 0 || --left == 0; }};
        const auto made = back_up({.lease = stopped});
        const auto next = backup_lease::take(*target_, clock, "a prune", {});
        EXPECT_TRUE(next) << looks << next.error().message;
        if (made) {
            EXPECT_GT(looks, 3u);
            break;
        }
        EXPECT_EQ(made.error().code, errc::cancelled) << made.error().message;
    }
    prepare();
    prune_options options = hasty();
    options.lease.is_stopped = [] { return true; };
    EXPECT_EQ(prune_backups(*target_, clock, options).error().code, errc::cancelled);
    EXPECT_TRUE(prune_backups(*target_, clock, hasty()));
}

} // namespace
} // namespace immortal::eventlog
