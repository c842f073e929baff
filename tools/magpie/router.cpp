#include "router.hpp"

#include "http_syntax.hpp"

#include <optional>

namespace magpie::tools {

namespace {

constexpr std::string_view allowed_methods = "GET, HEAD";

struct page {
    std::string_view path;
    route_kind kind;
    std::chrono::milliseconds longest;  // 0: takes no time
    std::string_view why;               // the time was refused
};

constexpr page pages[] = {
    {"/", route_kind::fixed_body, {}, {}},
    {"/sleep", route_kind::sleep, longest_sleep, "ms must be given once, a whole number from 0 to 60000"},
    {"/cpu", route_kind::burn_cpu, longest_burn, "ms must be given once, a whole number from 0 to 10000"},
    {"/metrics", route_kind::metrics, {}, {}},
};

static_assert(longest_sleep.count() == 60000 && longest_burn.count() == 10000, "the sentences above name them");

page const* find_page(std::string_view path) noexcept {
    for (page const& candidate : pages) {
        if (candidate.path == path) {
            return &candidate;
        }
    }
    return nullptr;
}

// The value of the one parameter `ms`.
std::optional<std::chrono::milliseconds> parse_time(std::string_view query,
                                                    std::chrono::milliseconds longest) noexcept {
    std::optional<std::uint64_t> value;
    int given = 0;
    while (!query.empty()) {
        std::size_t const end = query.find('&');
        std::string_view const parameter = query.substr(0, end);
        if (parameter == "ms" || parameter.starts_with("ms=")) {
            ++given;
            value = parse_digits(parameter.substr(parameter.size() < 3 ? 2 : 3));
        }
        query = end == std::string_view::npos ? std::string_view{} : query.substr(end + 1);
    }
    if (given != 1 || !value || *value > static_cast<std::uint64_t>(longest.count())) {
        return std::nullopt;
    }
    return std::chrono::milliseconds(*value);
}

}  // namespace

route decide_route(std::string_view method, std::string_view path, std::string_view query) noexcept {
    route answer;
    answer.head = method == "HEAD";
    page const* const found = find_page(path);
    // `OPTIONS *` asks about the server as a whole, CONNECT for a tunnel: neither names a page.
    if (found == nullptr && path != "*" && method != "CONNECT") {
        return answer;
    }
    if (found == nullptr || (method != "GET" && method != "HEAD")) {
        answer.kind = route_kind::method_not_allowed;
        answer.allow = allowed_methods;
        return answer;
    }
    answer.kind = found->kind;
    if (found->longest.count() > 0) {
        auto const time = parse_time(query, found->longest);
        answer.time = time.value_or(std::chrono::milliseconds{});
        if (!time) {
            answer.kind = route_kind::bad_request;
            answer.why = found->why;
        }
    }
    return answer;
}

int route_status(route_kind kind) noexcept {
    switch (kind) {
    case route_kind::bad_request:
        return 400;
    case route_kind::not_found:
        return 404;
    case route_kind::method_not_allowed:
        return 405;
    default:
        return 200;
    }
}

}  // namespace magpie::tools
