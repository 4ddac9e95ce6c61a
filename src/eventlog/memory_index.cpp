#include "eventlog/memory_index.hpp"

#include "eventlog/index_reading.hpp"

#include <algorithm>

namespace immortal::eventlog {
namespace {

class memory_index final : public log_index {
public:
    explicit memory_index(bool correlations)
        : part_(std::make_shared<index_part>(correlations)), all_{nullptr, {}, {part_}} {}

    base::status open(const base::log_identity&) override { return {}; }
    std::vector<log_place> kept() const override { return {}; }
    base::status discard() override { return {}; }
    void add(base::position frame, std::span<const index_entry> entries) override {
        part_->add(frame, entries);
    }
    void take_back(base::position frame, std::span<const index_entry> entries) override {
        part_->take_back(frame, entries);
    }
    base::status rest_at(const log_place&) override { return {}; }
    void rest_of_start_at(const log_place&) override {}
    void made_durable(base::position) override {}
    void expect_close() override {}
    void close() override {}
    void set_source(index_source&) override {}
    void distrust(std::string_view) override {}

    base::result<std::optional<base::revision>> last_revision(std::string_view stream,
                                                              base::position end) override {
        return all_.last_revision(stream, end);
    }
    base::result<std::vector<base::position>> stream_positions(std::string_view stream,
                                                               base::revision from, direction way,
                                                               std::size_t count_max,
                                                               base::position end) override {
        return all_.stream_positions(stream, from, way, count_max, end);
    }
    base::result<std::uint64_t> view_size(index_view view, std::string_view name,
                                          base::position end) override {
        return all_.size(make_list_name(kind_of(view), name), end);
    }
    base::result<std::vector<base::position>> view_positions(index_view view, std::string_view name,
                                                             std::uint64_t from, direction way,
                                                             std::size_t count_max,
                                                             base::position end) override {
        return all_.view_positions(make_list_name(kind_of(view), name), from, way, count_max, end);
    }
    base::result<base::position> frame_before(base::position at, base::position) override {
        return part_->frame_before(at).value_or(base::position{});
    }

private:
    std::shared_ptr<index_part> part_;
    index_instant all_;
};

} // namespace

std::unique_ptr<log_index> make_memory_index(bool correlations) {
    return std::make_unique<memory_index>(correlations);
}

} // namespace immortal::eventlog
