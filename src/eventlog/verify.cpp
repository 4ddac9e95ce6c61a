#include "eventlog/verify.hpp"

#include "base/log.hpp"
#include "eventlog/anchor.hpp"
#include "eventlog/backup.hpp"
#include "eventlog/scavenged_file.hpp"
#include "eventlog/segment_scan.hpp"

#include <algorithm>
#include <unordered_map>

namespace immortal::eventlog {
namespace {

using base::errc;
using base::fail;

std::unexpected<base::error> environment(const base::file_error& problem) {
    base::log_error("eventlog", "the log could not be verified", {{"cause", problem.text}});
    return fail(base::to_error(problem));
}

class verification {
public:
    verification(const std::string& folder, base::file_system& files)
        : folder_(folder), files_(files) {}

    base::result<verify_report> run();

private:
    base::status read_anchor();
    base::status check_segment(std::uint32_t number);
    base::status check_content(const segment& one);
    base::status check_frames(segment& one, std::uint64_t size);
    void check_record(const segment& one, const record_view& record);
    void find(std::string file, std::uint64_t offset, base::position at, std::string what) {
        const bool known = anchor_ && at >= anchor_->end;
        report_.findings.push_back(
            {known ? verify_finding::severity::torn : verify_finding::severity::damage,
             std::move(file), offset, std::move(what)});
    }
    void meet(base::position at, const base::digest256& chain) {
        met_ = met_ || (anchor_ && at == anchor_->end && chain == anchor_->chain);
    }

    const std::string& folder_;
    base::file_system& files_;
    verify_report report_;
    std::optional<anchor_state> anchor_;
    scan_state state_;
    chain_hasher hasher_;
    bool met_ = false;
    bool whole_ = true; // no gap so far: revisions can be checked
    std::unordered_map<std::string, std::uint64_t> next_revision_;
};

base::status verification::read_anchor() {
    auto anchor = head_anchor::open(files_, folder_, base::open_mode::read);
    if (!anchor && anchor.error().what != base::file_error::kind::not_found) {
        return environment(anchor.error());
    }
    if (!anchor || !*anchor) {
        report_.findings.push_back({verify_finding::severity::damage, "anchor", 0,
                                    anchor ? "both slots are damaged" : "it is missing"});
        return {};
    }
    anchor_ = (*anchor)->state();
    report_.log = anchor_->log;
    state_.log_id = anchor_->log.id;
    return {};
}

base::result<verify_report> verification::run() {
    const auto names = files_.list(folder_);
    if (!names) {
        return environment(names.error());
    }
    std::vector<std::uint32_t> numbers;
    for (const std::string& name : *names) {
        report_.torn_files += name.ends_with(".torn") ? 1 : 0;
        if (const auto number = format::segment_number(name)) {
            numbers.push_back(*number);
        }
    }
    if (numbers.empty() && std::ranges::find(*names, "anchor") == names->end()) {
        return fail(errc::not_found, "there is no event log in this folder");
    }
    if (auto read = read_anchor(); !read) {
        return fail(std::move(read.error()));
    }
    if (std::ranges::find(*names, restore_marker) != names->end()) {
        report_.findings.push_back({verify_finding::severity::damage, restore_marker, 0,
                                    "a restore into this folder was not finished"});
    }
    state_.chain = hasher_.genesis(state_.log_id);
    const std::uint32_t last =
        std::max(anchor_ ? anchor_->segment : 0, numbers.empty() ? 0 : numbers.back());
    for (std::uint32_t number = 0; number <= last; ++number) {
        if (!std::ranges::binary_search(numbers, number)) {
            find(format::segment_name(number), 0, state_.end, "the segment is missing");
            whole_ = false;
            continue;
        }
        if (auto checked = check_segment(number); !checked) {
            return fail(std::move(checked.error()));
        }
    }
    if (anchor_ && whole_ && state_.end < anchor_->end) {
        find(format::segment_name(last), 0, state_.end, "the log's tail is missing");
    } else if (anchor_ && whole_ && !met_) {
        report_.findings.push_back({verify_finding::severity::damage, "anchor", 0,
                                    "the hash chain does not agree with the head anchor"});
    }
    return std::move(report_);
}

base::status verification::check_segment(std::uint32_t number) {
    const std::string name = format::segment_name(number);
    auto file = open_segment_file(files_, folder_ + "/" + name, base::open_mode::read);
    const auto size = file ? (*file)->size() : base::file_result<std::uint64_t>(0);
    if (!file || !size) {
        return environment(file ? size.error() : file.error());
    }
    ++report_.segments;
    report_.bytes += *size;
    std::array<std::byte, sizeof(format::segment_header)> bytes{};
    const auto got = (*file)->read_at(0, bytes);
    if (!got) {
        return environment(got.error());
    }
    const auto header = format::load<format::segment_header>(bytes);
    const bool readable =
        *got == bytes.size() && header.crc == format::checksum(header) && header.number == number;
    if (readable && (!anchor_ || !whole_)) { // begin anew with what the segment says of itself
        state_.log_id = anchor_ ? state_.log_id : base::uuid{header.log_id};
        state_.chain = header.previous_chain;
        state_.end = {header.first_position};
    }
    state_.next_segment = number;
    std::optional<scan_fault> fault;
    auto opened = open_segment(std::move(*file), state_, fault);
    if (!opened) {
        return environment(opened.error());
    }
    if (fault) {
        find(name, fault->offset, state_.end, fault->what);
        whole_ = false;
        return {};
    }
    if ((*opened)->scavenged()) {
        if (auto checked = check_content(**opened); !checked) {
            return checked;
        }
    }
    return check_frames(**opened, *size);
}

// What a scavenge left is under a hash of its own: the chain cannot be computed over it.
base::status verification::check_content(const segment& one) {
    const auto stored = files_.open(folder_ + "/" + one.name(), base::open_mode::read);
    const auto holds = stored ? content_hash_holds(**stored, one.header())
                              : base::file_result<bool>(std::unexpected(stored.error()));
    if (!holds) {
        return environment(holds.error());
    }
    if (!*holds) {
        find(one.name(), 0, one.first(), "the scavenged segment fails its content hash");
    }
    return {};
}

base::status verification::check_frames(segment& one, std::uint64_t size) {
    scan_visitor visit;
    visit.frame = [&](const frame_view& frame) {
        meet(frame.begin(), frame.header.previous_chain);
    };
    visit.record = [&](const record_view& record) { check_record(one, record); };
    const std::uint64_t frames = state_.frames;
    auto fault = scan_frames(one, size, state_, hasher_, visit);
    if (!fault) {
        return environment(fault.error());
    }
    meet(state_.end, state_.chain);
    while (*fault) {
        find(one.name(), (*fault)->offset, (*fault)->at, (*fault)->what);
        whole_ = false;
        // Go on after the frame if its header is good; else nothing more can be found here.
        frame_reader reader(one.contents(), one.first(), (*fault)->at, {one.first().value + size},
                            64u << 10u);
        frame_view frame;
        const auto outcome = reader.next(frame);
        if (!outcome) {
            return environment(outcome.error());
        }
        if (*outcome != frame_reader::outcome::frame ||
            frame.end() >= base::position{one.first().value + size}) {
            state_.end = {one.first().value + size};
            break;
        }
        fault->reset();
        frame_view next;
        if (const auto after = reader.next(next); !after) {
            return environment(after.error());
        } else if (*after != frame_reader::outcome::frame) {
            *fault =
                scan_fault{frame.end(), one.offset_of(frame.end()), "a frame's header is damaged"};
            continue;
        }
        state_.end = frame.end();
        state_.chain = next.header.previous_chain;
        fault = resume_scan(one, size, state_, hasher_, visit);
        if (!fault) {
            return environment(fault.error());
        }
    }
    meet(state_.end, state_.chain);
    report_.frames += state_.frames - frames;
    return {};
}

void verification::check_record(const segment& one, const record_view& record) {
    ++report_.events;
    std::uint64_t& next = next_revision_[std::string(record.stream)];
    const bool ends = record.revision == tombstone_revision && next < record.revision.value;
    if (whole_ && record.revision.value != next && !ends) {
        find(one.name(), one.offset_of(record.position), record.position,
             "an event's revision does not follow its stream's last one");
    }
    next = record.revision.value + 1;
}

} // namespace

bool verify_report::sound() const {
    return std::ranges::none_of(findings, [](const verify_finding& each) {
        return each.how == verify_finding::severity::damage;
    });
}

base::result<verify_report> verify(const std::string& folder, base::file_system& files) {
    auto lock = files.lock(folder + "/lock");
    if (!lock) {
        if (lock.error().what == base::file_error::kind::in_use) {
            return fail(errc::already_exists, "the event log is open in another process", "in_use");
        }
        return fail(base::to_error(lock.error()));
    }
    return verification(folder, files).run();
}

} // namespace immortal::eventlog
