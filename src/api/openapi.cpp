#include "api/openapi.hpp"

#include "api/schema.hpp"

namespace immortal::api {
namespace {

using base::json::array;
using base::json::object;

struct pattern_parts {
    std::string path; // with {name} for {name:kind}
    array parameters;
};

pattern_parts parse_pattern(std::string_view pattern) {
    pattern_parts out;
    std::string_view rest = pattern;
    for (auto open = rest.find('{'); open != std::string_view::npos; open = rest.find('{')) {
        const auto colon = rest.find(':', open);
        const auto close = rest.find('}', open);
        const std::string_view name = rest.substr(open + 1, colon - open - 1);
        const bool is_uuid = rest.substr(colon + 1, close - colon - 1) == "uuid";
        out.path.append(rest.substr(0, open + 1)).append(name).append("}");
        out.parameters.push_back(object{
            {"name", name},
            {"in", "path"},
            {"required", true},
            {"schema", is_uuid ? detail::text_schema("uuid") : detail::typed_schema("string")}});
        rest.remove_prefix(close + 1);
    }
    out.path.append(rest);
    return out;
}

void add_query(array& parameters, const route& r) {
    for (const query_rule& rule : r.query) {
        const bool number =
            rule.what == query_rule::kind::integer || rule.what == query_rule::kind::position;
        parameters.push_back(
            object{{"name", rule.name},
                   {"in", "query"},
                   {"description", rule.meaning},
                   {"schema", detail::typed_schema(number ? "integer" : "string")}});
    }
    if (r.key == keyed::yes) {
        parameters.push_back(object{
            {"name", "Idempotency-Key"},
            {"in", "header"},
            {"description", "1 to 128 visible ASCII characters; repeating a request with its key "
                            "gives the first answer. Made by the server when absent."},
            {"schema", object{{"type", "string"}, {"maxLength", 128}}}});
    }
}

object problem_reference(std::string_view meaning) {
    return {{"description", meaning},
            {"content",
             object{{"application/problem+json",
                     object{{"schema", object{{"$ref", "#/components/schemas/Problem"}}}}}}}};
}

object responses_of(const route& r) {
    object done{{"description", r.summary}};
    if (!r.answer_schema.empty()) {
        done.emplace("content", object{{"application/json", object{{"schema", r.answer_schema}}}});
    }
    object out;
    out.emplace(std::to_string(r.success), std::move(done));
    if (r.body != needs_body::none) {
        out.emplace("400", problem_reference("malformed JSON"));
        out.emplace("415", problem_reference("the body is not JSON"));
    }
    if (r.body != needs_body::none || !r.query.empty()) {
        out.emplace("422", problem_reference("a field or parameter is wrong (`field` names it)"));
    }
    if (r.needs == access::user || r.needs == access::staff) {
        out.emplace("401", problem_reference("not logged in"));
        out.emplace("403", problem_reference("not allowed to this account"));
    }
    if (r.pattern.find('{') != std::string::npos) {
        out.emplace("404", problem_reference("unknown id"));
    }
    if (!r.rejections.empty()) {
        std::string codes = "a rule says no; `code` is one of";
        for (const std::string& code : r.rejections) {
            codes.append(" ").append(code);
        }
        out.emplace("409", problem_reference(codes));
    }
    if (r.limit != rate_class::none) {
        out.emplace("429", problem_reference("too many requests; see Retry-After"));
        out.emplace("503",
                    problem_reference("try again later, with the same key; see Retry-After"));
    }
    return out;
}

object operation_of(const route& r, array parameters) {
    add_query(parameters, r);
    object out{{"summary", r.summary}, {"responses", responses_of(r)}};
    if (!parameters.empty()) {
        out.emplace("parameters", std::move(parameters));
    }
    if (r.body != needs_body::none) {
        out.emplace(
            "requestBody",
            object{{"required", r.body == needs_body::required},
                   {"content", object{{"application/json", object{{"schema", r.body_schema}}}}}});
    }
    if (r.needs == access::user || r.needs == access::staff) {
        out.emplace("security", array{object{{"token", array{}}}});
    }
    return out;
}

object problem_schema() {
    object text = detail::typed_schema("string");
    return {{"type", "object"},
            {"properties", object{{"type", text},
                                  {"title", text},
                                  {"status", detail::typed_schema("integer")},
                                  {"detail", text},
                                  {"code", text},
                                  {"field", text},
                                  {"requestId", text}}},
            {"required", array{"type", "title", "status", "detail", "code", "requestId"}}};
}

std::string lower_name(method verb) {
    std::string out;
    for (const char c : name_of(verb)) {
        out.push_back(static_cast<char>(c + 32));
    }
    return out;
}

} // namespace

namespace detail {

object typed_schema(std::string_view type) {
    return object{{"type", type}};
}

object text_schema(std::string_view format) {
    return object{{"type", "string"}, {"format", format}};
}

} // namespace detail

std::string openapi_document(const std::vector<route>& routes, std::string_view version) {
    object paths;
    for (const route& r : routes) {
        pattern_parts parts = parse_pattern(r.pattern);
        base::json::value& path = paths[parts.path];
        if (!path.is_object()) {
            path = object{};
        }
        path.get_object().emplace(lower_name(r.verb), operation_of(r, std::move(parts.parameters)));
    }
    object document{{"openapi", "3.1.0"},
                    {"info", object{{"title", "Immortality"}, {"version", version}}},
                    {"paths", std::move(paths)},
                    {"components",
                     object{{"schemas", object{{"Problem", problem_schema()}}},
                            {"securitySchemes",
                             object{{"token", object{{"type", "http"}, {"scheme", "bearer"}}}}}}}};
    return base::json_text(document);
}

} // namespace immortal::api
