#include "esdb/caller_ledger.hpp"

#include "base/assert.hpp"

#include <boost/algorithm/string/replace.hpp>
#include <boost/asio/ip/address.hpp>

#include <algorithm>

namespace immortal::esdb {
namespace {

constexpr std::size_t reserve_part = 8;    // of all calls: for short ones, and again for appends
constexpr std::size_t anonymous_part = 16; // of everything: for all without a login together
constexpr std::size_t caller_part = 2;
constexpr std::size_t answer_bytes_min = 32u << 20; // room for an event of the largest size
constexpr std::uint64_t sweep_interval = 1'024;     // calls
constexpr std::ptrdiff_t network_bytes = 8;         // of an IPv6 address: what one site is given

std::size_t part_of(std::size_t total, std::size_t divisor) {
    return std::max<std::size_t>(1, total / divisor);
}

std::size_t answer_bytes(std::size_t bytes_max) {
    return std::max(bytes_max, answer_bytes_min);
}

std::size_t lasting_bytes(std::size_t bytes_max) {
    return std::max(bytes_max / 2, answer_bytes_min);
}

std::size_t index_of(call_kind kind) {
    return static_cast<std::size_t>(kind);
}

} // namespace

caller_limits caller_limits::divided(std::size_t calls, std::size_t bytes) {
    return {.calls_max = calls,
            .caller_calls_max = part_of(calls, caller_part),
            .anonymous_calls_max = part_of(calls, anonymous_part),
            .bytes_max = bytes,
            .caller_bytes_max = part_of(bytes, caller_part),
            .anonymous_bytes_max = part_of(bytes, anonymous_part)};
}

caller_limits caller_limits::undivided(std::size_t calls, std::size_t bytes) {
    return {.calls_max = calls,
            .caller_calls_max = calls,
            .anonymous_calls_max = calls,
            .bytes_max = bytes,
            .caller_bytes_max = bytes,
            .anonymous_bytes_max = bytes};
}

std::size_t caller_limits::of_kind(call_kind kind, std::size_t total) {
    const std::size_t reserve = total / reserve_part;
    return kind == call_kind::lasting ? std::max<std::size_t>(1, total - 2 * reserve)
                                      : total - reserve;
}

caller_ledger::caller_ledger(const caller_limits& limits)
    : limits_(limits), whole_(std::make_shared<byte_account>(limits.bytes_max)),
      whole_answers_(std::make_shared<byte_account>(answer_bytes(limits.bytes_max))),
      whole_lasting_(std::make_shared<byte_account>(lasting_bytes(limits.bytes_max))) {}

caller_ledger::~caller_ledger() {
    IMMORTAL_ASSERT(all_.sum() == 0);
}

// Any two kinds together leave the reserve of the third.
bool caller_ledger::has_room(const usage& used, call_kind kind, std::size_t total) {
    const std::size_t same = used.calls[index_of(kind)];
    const std::size_t beside_appends = used.sum() - used.calls[index_of(call_kind::append)];
    const std::size_t beside_short = used.sum() - used.calls[index_of(call_kind::short_call)];
    const std::size_t two_kinds_max = total - total / reserve_part;
    return used.sum() < total && same < caller_limits::of_kind(kind, total) &&
           (kind == call_kind::append || beside_appends < two_kinds_max) &&
           (kind == call_kind::short_call || beside_short < two_kinds_max);
}

std::size_t caller_ledger::calls_max_of(const std::string& login) const {
    return login.empty() ? limits_.anonymous_calls_max : limits_.caller_calls_max;
}

std::shared_ptr<byte_account> caller_ledger::account_of(std::weak_ptr<byte_account>& known,
                                                        std::size_t bytes_max) {
    auto account = known.lock();
    if (account == nullptr) {
        account = std::make_shared<byte_account>(bytes_max);
        known = account;
    }
    return account;
}

std::unique_ptr<caller_ledger::entry> caller_ledger::open(const std::string& address,
                                                          call_kind kind) {
    const std::lock_guard lock(mutex_);
    if (!has_room(all_, kind, limits_.calls_max)) {
        return nullptr;
    }
    const auto found = addresses_.find(address);
    if (found != addresses_.end() && !has_room(found->second, kind, limits_.caller_calls_max)) {
        return nullptr;
    }
    usage& used = addresses_[address];
    ++used.calls[index_of(kind)];
    ++all_.calls[index_of(kind)];
    // NOLINTNEXTLINE(cppcoreguidelines-owning-memory): the constructor is private
    std::unique_ptr<entry> made(new entry(*this, address, kind));
    made->accounts_ = {whole_};
    made->answer_accounts_ = {whole_answers_};
    made->lasting_accounts_ = {whole_lasting_};
    add_accounts(*made, used, limits_.caller_bytes_max);
    return made;
}

void caller_ledger::add_accounts(entry& one, usage& used, std::size_t bytes_max) {
    one.accounts_.push_back(account_of(used.bytes, bytes_max));
    one.answer_accounts_.push_back(account_of(used.answers, answer_bytes(bytes_max)));
    one.lasting_accounts_.push_back(account_of(used.lasting, lasting_bytes(bytes_max)));
}

std::size_t caller_ledger::calls() const {
    const std::lock_guard lock(mutex_);
    return all_.sum();
}

void caller_ledger::leave(usage_map& map, const std::string& key, call_kind kind) {
    const auto found = map.find(key);
    IMMORTAL_ASSERT(found != map.end());
    IMMORTAL_ASSERT(found->second.calls[index_of(kind)] > 0);
    --found->second.calls[index_of(kind)];
    if (found->second.is_over()) {
        map.erase(found);
    }
}

// Callers whose last call has ended while the log still kept bytes of theirs: they are known until
// those bytes are dropped, so that coming back gives nobody a new account.
void caller_ledger::sweep() {
    const auto over = [](const auto& one) { return one.second.is_over(); };
    std::erase_if(addresses_, over);
    std::erase_if(logins_, over);
}

void caller_ledger::close(entry& ending) {
    const std::lock_guard lock(mutex_);
    ending.accounts_.clear();
    ending.answer_accounts_.clear();
    ending.lasting_accounts_.clear();
    IMMORTAL_ASSERT(all_.calls[index_of(ending.kind_)] > 0);
    --all_.calls[index_of(ending.kind_)];
    leave(addresses_, ending.address_, ending.kind_);
    if (ending.login_) {
        leave(logins_, *ending.login_, ending.kind_);
    }
    if (++closed_ % sweep_interval == 0) {
        sweep();
    }
}

caller_ledger::entry::~entry() {
    ledger_.close(*this);
}

bool caller_ledger::entry::identify(const std::string& login) {
    IMMORTAL_ASSERT(!login_);
    caller_ledger& all = ledger_;
    const std::lock_guard lock(all.mutex_);
    const auto found = all.logins_.find(login);
    if (found != all.logins_.end() && !has_room(found->second, kind_, all.calls_max_of(login))) {
        return false;
    }
    usage& used = all.logins_[login];
    ++used.calls[index_of(kind_)];
    login_ = login;
    add_accounts(*this, used,
                 login.empty() ? all.limits_.anonymous_bytes_max : all.limits_.caller_bytes_max);
    return true;
}

bool caller_ledger::entry::turn(call_kind kind) {
    IMMORTAL_ASSERT(login_);
    caller_ledger& all = ledger_;
    const std::lock_guard lock(all.mutex_);
    usage& address = all.addresses_.at(address_);
    usage& login = all.logins_.at(*login_);
    const auto move = [](usage& used, call_kind source, call_kind target) {
        IMMORTAL_ASSERT(used.calls[index_of(source)] > 0);
        --used.calls[index_of(source)];
        ++used.calls[index_of(target)];
    };
    const auto fits = [kind, this](usage& used, std::size_t total) {
        --used.calls[index_of(kind_)];
        const bool room = has_room(used, kind, total);
        ++used.calls[index_of(kind_)];
        return room;
    };
    if (!fits(all.all_, all.limits_.calls_max) || !fits(address, all.limits_.caller_calls_max) ||
        !fits(login, all.calls_max_of(*login_))) {
        return false;
    }
    for (usage* one : {&all.all_, &address, &login}) {
        move(*one, kind_, kind);
    }
    kind_ = kind;
    return true;
}

shared_charge caller_ledger::entry::make_charge() const {
    return std::make_shared<byte_charge>(accounts_);
}

shared_charge caller_ledger::entry::make_answer_charge() const {
    return std::make_shared<byte_charge>(kind_ == call_kind::lasting ? lasting_accounts_
                                                                     : answer_accounts_);
}

std::string address_of_peer(const std::string& peer) {
    std::string address = peer.substr(0, peer.rfind(':'));
    if (!address.starts_with("ipv6:")) {
        return address;
    }
    boost::algorithm::replace_all(address, "%5B", "[");
    boost::algorithm::replace_all(address, "%5D", "]");
    const auto open = address.find('[');
    const auto end = address.find_first_of("%]");
    if (open == std::string::npos || end == std::string::npos) {
        return address;
    }
    boost::system::error_code failed;
    const auto parsed =
        boost::asio::ip::make_address_v6(address.substr(open + 1, end - open - 1), failed);
    if (failed) {
        return address;
    }
    auto bytes = parsed.to_bytes();
    std::fill(bytes.begin() + network_bytes, bytes.end(), std::uint8_t{0});
    return "ipv6:" + boost::asio::ip::address_v6(bytes).to_string();
}

} // namespace immortal::esdb
