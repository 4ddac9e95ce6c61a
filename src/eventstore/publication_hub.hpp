// The hub of one store: takes what the log publishes, and wakes on its own thread those whom it
// concerns (publication_board), so that the log's writer does not wait for it.
#pragma once

#include "eventstore/publication_board.hpp"

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <thread>

namespace immortal::eventstore {

class publication_hub {
public:
    explicit publication_hub(base::metrics* metrics); // may be null
    ~publication_hub();                               // ends the thread; watches may outlive it
    publication_hub(const publication_hub&) = delete;
    publication_hub& operator=(const publication_hub&) = delete;

    // As publication_board::begin and hand_over.
    void begin(base::position end) { board_->begin(end); }
    void publish(base::position end, std::span<const eventlog::index_entry> entries);

    [[nodiscard]] publication_board& board() { return *board_; }

private:
    using steady_time = std::chrono::steady_clock::time_point;
    void run();
    // False: it was not finished. `report_at`: when those who count are told, if anybody does.
    bool work(std::optional<steady_time>& report_at);

    const std::shared_ptr<publication_board> board_;
    std::mutex mutex_;
    std::condition_variable changed_;
    bool waiting_work_ = false;
    bool stopping_ = false;
    std::thread thread_;
};

} // namespace immortal::eventstore
