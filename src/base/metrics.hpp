// Counters, gauges and histograms in Prometheus' text format. Thread-safe. Names:
// immortal_<module>_<what>_<unit>.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

namespace prometheus {
class Counter;
class Gauge;
class Histogram;
} // namespace prometheus

namespace immortal::base {

using metric_labels = std::map<std::string, std::string>;

// Handles are cheap to copy and live as long as their `metrics`.
class counter {
public:
    explicit counter(prometheus::Counter& target) : target_(&target) {}
    void add(double by = 1);
    [[nodiscard]] double value() const;

private:
    prometheus::Counter* target_;
};

class gauge {
public:
    explicit gauge(prometheus::Gauge& target) : target_(&target) {}
    void set(double to);
    void add(double by);
    [[nodiscard]] double value() const;

private:
    prometheus::Gauge* target_;
};

class histogram {
public:
    explicit histogram(prometheus::Histogram& target) : target_(&target) {}
    void observe(double value);

private:
    prometheus::Histogram* target_;
};

class metrics {
public:
    metrics();
    ~metrics();
    metrics(const metrics&) = delete;
    metrics& operator=(const metrics&) = delete;

    // Asking again for the same name and labels gives the same metric.
    counter make_counter(const std::string& name, const std::string& help,
                         const metric_labels& labels = {});
    gauge make_gauge(const std::string& name, const std::string& help,
                     const metric_labels& labels = {});
    // `bounds`: upper bounds of the buckets, ascending.
    histogram make_histogram(const std::string& name, const std::string& help,
                             const std::vector<double>& bounds, const metric_labels& labels = {});

    [[nodiscard]] std::string text() const; // exposition format 0.0.4

    // Seconds: 0.1 ms to 10 s.
    static const std::vector<double>& latency_bounds();

private:
    struct state;
    std::unique_ptr<state> state_;
};

} // namespace immortal::base
