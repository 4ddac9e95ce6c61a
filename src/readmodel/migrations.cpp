#include "readmodel/migrations.hpp"

#include "base/assert.hpp"
#include "base/embedded_file.hpp"

#include <charconv>
#include <vector>

namespace immortal::readmodel {

std::span<const base::embedded_file> migration_files(); // generated from /sql

namespace {

std::vector<postgres::migration> parse_names() {
    std::vector<postgres::migration> out;
    for (const base::embedded_file& file : migration_files()) {
        std::uint32_t number = 0;
        const auto parsed =
            std::from_chars(file.name.data(), file.name.data() + file.name.size(), number);
        IMMORTAL_ASSERT(parsed.ec == std::errc{} && number > 0); // NNNN_name.sql
        IMMORTAL_ASSERT(out.empty() || out.back().number < number);
        const auto begin = file.name.find('_') + 1;
        const auto end = file.name.rfind(".sql");
        IMMORTAL_ASSERT(begin > 0 && end != std::string_view::npos && begin < end);
        out.push_back({number, file.name.substr(begin, end - begin), file.text});
    }
    return out;
}

} // namespace

std::span<const postgres::migration> migrations() {
    static const std::vector<postgres::migration> all = parse_names();
    return all;
}

} // namespace immortal::readmodel
