#include "esdb/answer_room.hpp"

#include "esdb/page_sizer.hpp"
#include "runtime/deadline.hpp"

#include <algorithm>

namespace immortal::esdb {
namespace {

constexpr std::chrono::milliseconds look_interval{20};       // for room, of a read that ends
constexpr std::chrono::milliseconds slow_look_interval{100}; // of a call that lasts
constexpr std::size_t small_page = 1u << 20;
// What a call that lasts holds without being charged: most pages are one small event.
constexpr std::size_t free_bytes = 16u << 10;

} // namespace

bool answer_room::take(const events& page) {
    std::size_t largest = 0;
    for (const auto& event : page) {
        largest = std::max(largest, held_bytes(event));
    }
    const std::size_t sum = held_bytes(page);
    const bool taken = covers(sum);
    page_ = sum;
    // The first page may be far larger than those that follow once the sizes are known. A call that
    // lasts waits for no more than that: it may have to read more than once, but not for ever.
    const bool exactly = taken || (again_ && limit_);
    wanted_ = exactly ? sum : std::max(largest, std::min(sum, small_page));
    again_ = !taken;
    if (!taken && !limit_) {
        charge_->give_back(); // nothing is held while others are waited for
    }
    return taken;
}

bool answer_room::take_targets(const std::vector<eventstore::resolved_event>& portion) {
    const std::size_t sum = page_ + held_bytes(portion);
    const bool taken = covers(sum);
    wanted_ = taken || portion.empty() ? sum : page_ + held_bytes(portion.front());
    if (!taken && !limit_) {
        charge_->give_back(); // of the page too: nobody waits for others who wait
    }
    return taken;
}

awaitable<bool> answer_room::wait() {
    const auto start = std::chrono::steady_clock::now();
    while (!covers(wanted_)) {
        if (limit_ && std::chrono::steady_clock::now() - start >= *limit_) {
            co_return false;
        }
        if (!co_await runtime::wait_for(limit_ ? look_interval : slow_look_interval)) {
            co_return false;
        }
    }
    co_return true;
}

awaitable<bool> answer_room::hold(const eventstore::resolved_event& event) {
    wanted_ = held_bytes(event);
    return wait();
}

void answer_room::leave() {
    if (charge_->held() > 0) {
        charge_->give_back();
    }
}

bool answer_room::covers(std::size_t bytes) {
    return bytes <= charge_->held() || (!limit_ && bytes <= free_bytes) ||
           charge_->grow_or_wait(bytes - charge_->held());
}

} // namespace immortal::esdb
