#include "memory/memory_case.hpp"

#include "eventlog/backup.hpp"
#include "eventlog/verify.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <fcntl.h>
#include <fstream>
#include <sstream>
#include <sys/wait.h>
#include <unistd.h>

namespace immortal::faults {
namespace {

namespace fs = std::filesystem;

constexpr unsigned patience_seconds = 60; // an operation that takes longer hangs

struct message { // over the pipe; smaller than PIPE_BUF, so written whole
    enum class kind : std::uint8_t { append, broken, counted };
    kind what = kind::append;
    ledger::fate outcome = ledger::fate::not_begun;
    std::uint64_t number = 0; // append, or allocations
    std::uint64_t position = 0;
    std::array<char, 160> text{};
};

class pipe_teller final : public teller {
public:
    explicit pipe_teller(int pipe) : pipe_(pipe) {}
    void append(std::uint64_t number, ledger::fate what, base::position position) override {
        send({message::kind::append, what, number, position.value, {}});
    }
    void broken(std::string_view problem) override {
        message out{message::kind::broken, {}, 0, 0, {}};
        std::memcpy(out.text.data(), problem.data(), std::min(problem.size(), out.text.size() - 1));
        send(out);
    }
    void counted(std::uint64_t allocations) {
        send({message::kind::counted, {}, allocations, 0, {}});
    }

private:
    void send(const message& what) const {
        if (::write(pipe_, &what, sizeof what) != sizeof what) {
            _exit(4);
        }
    }
    int pipe_;
};

// Says "acknowledged" when an append begins.
class lying_teller final : public teller {
public:
    explicit lying_teller(teller& honest) : honest_(honest) {}
    void append(std::uint64_t number, ledger::fate what, base::position position) override {
        honest_.append(number, what == ledger::fate::begun ? ledger::fate::acknowledged : what,
                       position);
    }
    void broken(std::string_view problem) override { honest_.broken(problem); }

private:
    teller& honest_;
};

// The process whose memory ends.
[[noreturn]] void suffer(const memory_case& which, const fs::path& folder, const fs::path& backups,
                         ledger& book, int pipe) {
    const int errors =
        ::open((folder.parent_path() / "errors").c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    ::dup2(errors, STDERR_FILENO);
    ::alarm(patience_seconds);
    pipe_teller honest(pipe);
    lying_teller liar(honest);
    teller& out = which.what == lie::acknowledges_first ? static_cast<teller&>(liar) : honest;
    const memory_operation& operation = memory_operations()[which.operation];
    {
        scene on(folder, backups, which.index, book, out);
        on.get_ready(operation.name);
        if (which.what == lie::answers_wrong) {
            on.forget_an_answer();
        }
        arm_allocations(which.nth, which.how);
        try {
            operation.run(on);
        } catch (const std::exception&) { // NOLINT(bugprone-empty-catch): nobody was answered
        }
        honest.counted(disarm_allocations());
        on.go_on();
        if (which.nth % 2 == 0) {
            _exit(0); // as a process that is killed
        }
        on.close();
    }
    _exit(0);
}

struct aftermath {
    int status = 0;
    std::optional<std::uint64_t> allocations;
    std::string broken;
};

aftermath run_process(const memory_case& which, const fs::path& folder, const fs::path& backups,
                      ledger& book) {
    std::array<int, 2> ends{};
    if (::pipe(ends.data()) != 0) {
        std::abort();
    }
    const pid_t pid = ::fork();
    if (pid == 0) {
        ::close(ends[0]);
        suffer(which, folder, backups, book, ends[1]);
    }
    ::close(ends[1]);
    aftermath out;
    message got;
    while (::read(ends[0], &got, sizeof got) == sizeof got) {
        switch (got.what) {
        case message::kind::append:
            book.note(got.number, got.outcome, {got.position});
            break;
        case message::kind::broken:
            out.broken = out.broken.empty() ? got.text.data() : out.broken;
            break;
        case message::kind::counted:
            out.allocations = got.number;
            break;
        }
    }
    ::close(ends[0]);
    ::waitpid(pid, &out.status, 0);
    return out;
}

std::string first_line(const fs::path& path) {
    std::ifstream in(path);
    std::string line;
    std::getline(in, line);
    return line;
}

// How the process ended, if that breaks a promise: it may die, it may not hang or run wild.
std::string judge_end(const memory_operation& operation, const aftermath& after,
                      const fs::path& errors) {
    if (WIFSIGNALED(after.status) && WTERMSIG(after.status) == SIGALRM) {
        return "the process hangs";
    }
    if (WIFSIGNALED(after.status) && WTERMSIG(after.status) != SIGABRT &&
        !(operation.asio && WTERMSIG(after.status) == SIGSEGV)) {
        return "the process ended by signal " + std::to_string(WTERMSIG(after.status)) + " " +
               first_line(errors);
    }
    return after.broken;
}

void harm(lie what, const fs::path& folder, const fs::path& backups) {
    std::vector<fs::path> found;
    const bool log = what == lie::cuts_the_log;
    for (const auto& entry : fs::directory_iterator(log ? folder : backups / "blobs")) {
        if (!log || entry.path().extension() == ".log") {
            found.push_back(entry.path());
        }
    }
    std::ranges::sort(found);
    if (log) {
        fs::resize_file(found.back(), fs::file_size(found.back()) - 10);
    } else {
        fs::remove(found.back());
    }
}

// Every backup that is listed can be restored, and holds what was acknowledged before it.
std::string judge_backups(const fs::path& backups, const fs::path& scratch, const ledger& before) {
    base::posix_file_system files;
    base::system_clock clock;
    const auto target = eventlog::make_folder_target(files, backups.string());
    const auto listed = eventlog::list_backups(*target);
    if (!listed || listed->empty()) {
        return "the backups cannot be listed, or there are none";
    }
    for (const auto& entry : *listed) {
        if (!entry.good()) {
            return "a backup is listed that is not whole: " + entry.problem().message;
        }
        const fs::path folder = scratch / "restored";
        fs::remove_all(folder);
        const auto restored = eventlog::restore_backup(*target, folder.string(), files, clock,
                                                       {.at = {}, .backup = entry.name});
        if (!restored) {
            return "a backup that is listed cannot be restored: " + restored.error().message;
        }
        if (&entry != &listed->back() || listed->size() == 1) {
            continue;
        }
        const auto log = open_log(folder, index_place::memory);
        if (!log) {
            return "a restored log does not open: " + log.error().message;
        }
        if (std::string problem = before.violation(**log); !problem.empty()) {
            return "in the restored log " + problem;
        }
    }
    return {};
}

std::string judge_log(const fs::path& folder, index_place index, ledger& book) {
    {
        const auto log = open_log(folder, index);
        if (!log) {
            return "the log does not open: " + log.error().message;
        }
        std::string problem = book.violation(**log);
        problem = problem.empty() ? book.settle(**log) : problem;
        if (!problem.empty()) {
            return problem;
        }
    }
    base::posix_file_system files;
    const auto report = eventlog::verify(folder.string(), files);
    if (!report || !report->sound()) {
        return "verify finds damage";
    }
    return {};
}

} // namespace

std::string memory_case::text() const {
    return std::string(memory_operations()[operation].name) +
           (index == index_place::disk ? ":disk:" : ":memory:") + std::to_string(nth) +
           (how == repetition::sticky ? ":sticky" : ":once");
}

prepared_folders::prepared_folders() {
    const fs::path shared = "/dev/shm";
    std::error_code problem;
    const bool there = fs::is_directory(shared, problem) && ::access(shared.c_str(), W_OK) == 0;
    std::string pattern =
        ((there ? shared : fs::temp_directory_path()) / "immortal-memory-XXXXXX").string();
    root_ = mkdtemp(pattern.data());
}

prepared_folders::~prepared_folders() {
    std::error_code ignored;
    fs::remove_all(root_, ignored);
}

fs::path prepared_folders::log(index_place index) const {
    return root_ / (index == index_place::disk ? "disk" : "memory") / "log";
}

fs::path prepared_folders::backups(index_place index) const {
    return root_ / (index == index_place::disk ? "disk" : "memory") / "backups";
}

fs::path prepared_folders::scratch(std::uint64_t number) const {
    return root_ / ("case-" + std::to_string(number));
}

std::string prepared_folders::fill() {
    std::string problem = fill(index_place::memory, in_memory_);
    return problem.empty() ? fill(index_place::disk, on_disk_) : problem;
}

// Where the appends stand is read from what the other process wrote.
std::string prepared_folders::fill(index_place index, ledger& book) {
    fs::create_directories(log(index).parent_path());
    plan_preparation(book);
    const pid_t pid = ::fork();
    if (pid == 0) {
        prepare_log(log(index), backups(index), index, book);
        _exit(0);
    }
    int status = 0;
    ::waitpid(pid, &status, 0);
    if (status != 0) {
        return "the log could not be prepared";
    }
    const fs::path copy = root_ / "look";
    fs::copy(log(index), copy, fs::copy_options::recursive);
    std::string problem;
    if (const auto look = open_log(copy, index_place::memory)) {
        problem = book.learn(**look);
    } else {
        problem = look.error().message;
    }
    fs::remove_all(copy);
    return problem;
}

memory_verdict run_case(const memory_case& which, const prepared_folders& folders,
                        const fs::path& scratch) {
    const fs::path folder = scratch / "log";
    const fs::path backups = scratch / "backups";
    fs::create_directories(scratch);
    fs::copy(folders.log(which.index), folder, fs::copy_options::recursive);
    fs::copy(folders.backups(which.index), backups, fs::copy_options::recursive);
    const ledger before = folders.book(which.index);
    ledger book = before;
    const memory_operation& operation = memory_operations()[which.operation];
    operation.plan(book);
    static_cast<void>(book.plan({{"after-1", eventlog::expected_revision::any(), {}, {}}}, {2}));
    const aftermath after = run_process(which, folder, backups, book);

    memory_verdict out;
    out.allocations = after.allocations.value_or(0);
    const bool reached = !after.allocations || *after.allocations >= which.nth;
    out.how = !WIFEXITED(after.status)   ? memory_verdict::end::died
              : reached && which.nth > 0 ? memory_verdict::end::went_on
                                         : memory_verdict::end::not_reached;
    out.acknowledged = book.count(ledger::fate::acknowledged) > before.size();
    if (which.what == lie::cuts_the_log || which.what == lie::loses_a_blob) {
        harm(which.what, folder, backups);
    }
    out.problem = judge_end(operation, after, scratch / "errors");
    if (out.problem.empty()) {
        out.problem = judge_log(folder, which.index, book);
    }
    if (out.problem.empty() && operation.name == "backup") {
        out.problem = judge_backups(backups, scratch, before);
    }
    return out;
}

} // namespace immortal::faults
