// What each caller makes the server hold: calls by kind, and bytes of unfinished requests. A caller
// is a login and an address; both are bounded, and so is the whole.
//
//     arrival      open(address)    one more call of that address
//     known        identify(login)  one more of that login
//     first read   turn(lasting)    a call that turns out to go on is counted with its kind
//     end          the entry's destructor
//
// Invariants: the counts of the whole are the sums over the open entries (asserted when one is
// closed); short calls and appends each keep a reserve that no other kind can use.
#pragma once

#include "esdb/byte_budget.hpp"

#include <array>
#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <string>

namespace immortal::esdb {

enum class call_kind : std::uint8_t {
    short_call, // one request, one answer or a read that ends
    append,     // events of one append come in
    lasting,    // goes on for as long as the client likes: subscriptions, consumers, batch streams
};

// Numbers of calls; bytes of unfinished requests, as many of answers that are not taken, and half
// as many of answers of calls that last.
struct caller_limits {
    std::size_t calls_max = 8'192;
    std::size_t caller_calls_max = 8'192; // of one login, of one address
    std::size_t anonymous_calls_max = 8'192;
    std::size_t bytes_max = 512u << 20;
    std::size_t caller_bytes_max = 512u << 20;
    std::size_t anonymous_bytes_max = 512u << 20;

    // Where callers are strangers to each other: one may have half, all without login a sixteenth.
    [[nodiscard]] static caller_limits divided(std::size_t calls, std::size_t bytes);
    // Where everybody is on this machine and trusted: no more than the whole is bounded.
    [[nodiscard]] static caller_limits undivided(std::size_t calls, std::size_t bytes);
    // How many of `total` calls may be of that kind.
    [[nodiscard]] static std::size_t of_kind(call_kind kind, std::size_t total);
};

// Thread-safe. Outlives its entries, but not their charges.
class caller_ledger {
public:
    explicit caller_ledger(const caller_limits& limits);
    ~caller_ledger(); // every entry is closed
    caller_ledger(const caller_ledger&) = delete;
    caller_ledger& operator=(const caller_ledger&) = delete;

    // One call. Used by one thread at a time.
    class entry {
    public:
        entry(const entry&) = delete;
        entry& operator=(const entry&) = delete;
        ~entry();

        // Once. False: that login has too many calls of the kind; the entry stays as it was.
        [[nodiscard]] bool identify(const std::string& login);
        // False: too many of that kind; the entry stays as it was.
        [[nodiscard]] bool turn(call_kind kind);
        // A new one on the accounts of this caller.
        [[nodiscard]] shared_charge make_charge() const;
        // The same for its answer, on accounts of their own: other ones for a call that lasts.
        [[nodiscard]] shared_charge make_answer_charge() const;

    private:
        friend class caller_ledger;
        entry(caller_ledger& ledger, std::string address, call_kind kind)
            : ledger_(ledger), address_(std::move(address)), kind_(kind) {}

        caller_ledger& ledger_;
        std::string address_;
        std::optional<std::string> login_;
        call_kind kind_;
        byte_accounts accounts_;
        byte_accounts answer_accounts_;
        byte_accounts lasting_accounts_; // of answers
    };
    // Null: too many calls, of all or of that address.
    [[nodiscard]] std::unique_ptr<entry> open(const std::string& address, call_kind kind);

    [[nodiscard]] std::size_t calls() const;
    [[nodiscard]] std::size_t bytes_left() const { return whole_->left(); }

private:
    static constexpr std::size_t kinds = 3;
    struct usage {
        std::array<std::size_t, kinds> calls{};
        std::weak_ptr<byte_account> bytes;   // of requests, while somebody is charged
        std::weak_ptr<byte_account> answers; // the same of answers,
        std::weak_ptr<byte_account> lasting; // and of those of calls that last
        [[nodiscard]] std::size_t sum() const { return calls[0] + calls[1] + calls[2]; }
        [[nodiscard]] bool is_over() const {
            return sum() == 0 && bytes.expired() && answers.expired() && lasting.expired();
        }
    };
    using usage_map = std::map<std::string, usage>;

    static bool has_room(const usage& used, call_kind kind, std::size_t total);
    [[nodiscard]] std::size_t calls_max_of(const std::string& login) const;
    static std::shared_ptr<byte_account> account_of(std::weak_ptr<byte_account>& known,
                                                    std::size_t bytes_max);
    static void add_accounts(entry& one, usage& used, std::size_t bytes_max);
    void close(entry& ending);
    void sweep();
    static void leave(usage_map& map, const std::string& key, call_kind kind);

    const caller_limits limits_;
    const std::shared_ptr<byte_account> whole_;
    const std::shared_ptr<byte_account> whole_answers_;
    const std::shared_ptr<byte_account> whole_lasting_;

    mutable std::mutex mutex_; // guards what follows
    usage all_;
    usage_map addresses_;
    usage_map logins_;
    std::uint64_t closed_ = 0; // entries
};

// The part of a peer ("ipv4:127.0.0.1:40000", "ipv6:%5B::1%5D:40000") that stands for one caller:
// an IPv4 address, or the first 64 bits of an IPv6 address.
[[nodiscard]] std::string address_of_peer(const std::string& peer);

} // namespace immortal::esdb
