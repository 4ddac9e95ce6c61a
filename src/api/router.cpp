#include "api/router.hpp"

#include "base/assert.hpp"

#include <algorithm>

namespace immortal::api {
namespace {

bool is_name(std::string_view text) {
    return !text.empty() && text.size() <= 64 && std::ranges::all_of(text, [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
    });
}

} // namespace

router::router(std::vector<route> routes) : routes_(std::move(routes)), nodes_(1) {
    for (std::size_t i = 0; i < routes_.size(); ++i) {
        insert(i);
    }
    for (node& n : nodes_) {
        for (std::size_t m = 0; m < method_count; ++m) {
            if (n.routes[m] != 0) {
                n.allowed.append(name_of(static_cast<method>(m))).append(", ");
                if (static_cast<method>(m) == method::get) {
                    n.allowed.append("HEAD, ");
                }
            }
        }
        if (!n.allowed.empty()) {
            n.allowed.append("OPTIONS");
        }
    }
}

void router::insert(std::size_t index) {
    const auto segments = split_path(routes_[index].pattern);
    IMMORTAL_ASSERT(segments.has_value());
    std::size_t at = 0;
    for (std::size_t i = 0; i < segments->count; ++i) {
        at = child(at, segments->at[i]);
    }
    std::size_t& slot = nodes_[at].routes[static_cast<std::size_t>(routes_[index].verb)];
    IMMORTAL_ASSERT(slot == 0);
    slot = index + 1;
}

std::size_t router::child(std::size_t at, std::string_view segment) {
    const std::size_t next = nodes_.size();
    if (segment.front() != '{') {
        for (const auto& [text, below] : nodes_[at].literals) {
            if (text == segment) {
                return below;
            }
        }
        nodes_[at].literals.emplace_back(std::string(segment), next);
    } else {
        const bool is_uuid = segment.ends_with(":uuid}");
        IMMORTAL_ASSERT(is_uuid || segment.ends_with(":name}"));
        if (nodes_[at].parameter != 0) {
            IMMORTAL_ASSERT((nodes_[at].parameter_kind == kind::uuid) == is_uuid);
            return nodes_[at].parameter;
        }
        nodes_[at].parameter = next;
        nodes_[at].parameter_kind = is_uuid ? kind::uuid : kind::name;
    }
    nodes_.emplace_back();
    return next;
}

match router::find(method verb, std::string_view path) const {
    match out;
    const bool escaped = path.find('%') != std::string_view::npos;
    out.malformed = escaped && !percent_decode(path);
    if (out.malformed) {
        return out;
    }
    const auto segments = split_path(path);
    if (!segments) {
        return out;
    }
    std::size_t at = 0;
    for (std::size_t i = 0; i < segments->count; ++i) {
        const std::string segment =
            escaped ? *percent_decode(segments->at[i]) : std::string(segments->at[i]);
        const node& here = nodes_[at];
        const auto literal =
            std::ranges::find(here.literals, segment, &std::pair<std::string, std::size_t>::first);
        if (literal != here.literals.end()) {
            at = literal->second;
            continue;
        }
        if (here.parameter == 0) {
            return out;
        }
        if (here.parameter_kind == kind::uuid) {
            const auto id = base::uuid::parse(segment);
            if (!id) {
                return out;
            }
            out.ids.push_back(*id);
        } else if (is_name(segment)) {
            out.names.push_back(segment);
        } else {
            return out;
        }
        at = here.parameter;
    }
    const node& here = nodes_[at];
    out.allowed = here.allowed;
    const method effective = verb == method::head ? method::get : verb;
    if (const std::size_t slot = here.routes[static_cast<std::size_t>(effective)]; slot != 0) {
        out.index = slot - 1;
        out.found = &routes_[out.index];
    }
    return out;
}

} // namespace immortal::api
