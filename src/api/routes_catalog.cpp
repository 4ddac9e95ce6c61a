#include "api/route_building.hpp"
#include "api/routes.hpp"
#include "game/catalog.hpp"

#include <memory>
#include <span>

namespace immortal::api {
namespace {

using base::result;

awaitable<result<answer>> unchanging(std::shared_ptr<const answer> always) {
    co_return *always;
}

template <typename T>
void add_list(std::vector<route>& table, const services& uses, std::string name,
              std::string summary, std::span<const T> items) {
    base::json::array list;
    for (const T& item : items) {
        list.push_back(base::encode(item));
    }
    auto always = std::make_shared<answer>();
    always->body =
        base::json_text(base::json::object{{"items", std::move(list)}, {"next", nullptr}});
    always->tag = uses.catalog.version().substr(0, 16);
    always->kept = freshness::minutes;

    route& r = table.emplace_back();
    r.pattern = "/v1/catalog/" + name;
    r.summary = std::move(summary);
    r.needs = access::anyone;
    r.answer_schema = list_schema(schema_of<T>());
    r.handle = [always](call&) { return unchanging(always); };
}

} // namespace

void add_catalog_routes(std::vector<route>& table, const services& uses) {
    const game::catalog& data = uses.catalog;
    add_list(table, uses, "items", "All items", data.items());
    add_list(table, uses, "techniques", "All techniques", data.techniques());
    add_list(table, uses, "realms", "All realms, lowest first", data.realms());
    add_list(table, uses, "monsters", "All monsters", data.monsters());
    add_list(table, uses, "locations", "All locations", data.locations());
}

} // namespace immortal::api
