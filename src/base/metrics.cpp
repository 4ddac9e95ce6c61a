#include "base/metrics.hpp"

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>

namespace immortal::base {

struct metrics::state {
    prometheus::Registry registry;
};

void counter::add(double by) {
    target_->Increment(by);
}
double counter::value() const {
    return target_->Value();
}
void gauge::set(double to) {
    target_->Set(to);
}
void gauge::add(double by) {
    target_->Increment(by);
}
double gauge::value() const {
    return target_->Value();
}
void histogram::observe(double value) {
    target_->Observe(value);
}

metrics::metrics() : state_(std::make_unique<state>()) {}
metrics::~metrics() = default;

counter metrics::make_counter(const std::string& name, const std::string& help,
                              const metric_labels& labels) {
    return counter(
        prometheus::BuildCounter().Name(name).Help(help).Register(state_->registry).Add(labels));
}

gauge metrics::make_gauge(const std::string& name, const std::string& help,
                          const metric_labels& labels) {
    return gauge(
        prometheus::BuildGauge().Name(name).Help(help).Register(state_->registry).Add(labels));
}

histogram metrics::make_histogram(const std::string& name, const std::string& help,
                                  const std::vector<double>& bounds, const metric_labels& labels) {
    return histogram(
        prometheus::BuildHistogram()
            .Name(name)
            .Help(help)
            .Register(state_->registry)
            .Add(labels, prometheus::Histogram::BucketBoundaries(bounds.begin(), bounds.end())));
}

std::string metrics::text() const {
    return prometheus::TextSerializer().Serialize(state_->registry.Collect());
}

const std::vector<double>& metrics::latency_bounds() {
    static const std::vector<double> bounds = {0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005,
                                               0.01,   0.025,   0.05,   0.1,   0.25,   0.5,
                                               1,      2.5,     5,      10};
    return bounds;
}

} // namespace immortal::base
