#pragma once

// What the server does with a request. Decides and does nothing: the server sleeps, burns and writes.

#include <chrono>
#include <cstdint>
#include <string_view>

namespace magpie::tools {

enum class route_kind : std::uint8_t {
    fixed_body,          // 200 with home_body
    sleep,               // after `time`, 200
    burn_cpu,            // after `time` of CPU, 200
    metrics,             // 200 with the counters as Prometheus text
    bad_request,         // 400 with `why`
    not_found,           // 404
    method_not_allowed,  // 405 with `allow`
};

struct route {
    route_kind kind = route_kind::not_found;
    std::chrono::milliseconds time{};  // of sleep and burn_cpu
    bool head = false;                 // leave out the body
    std::string_view allow = {};       // of method_not_allowed
    std::string_view why = {};         // of bad_request
};

inline constexpr std::string_view home_body = "hello from magpie\n";

inline constexpr std::chrono::milliseconds longest_sleep = std::chrono::minutes(1);
inline constexpr std::chrono::milliseconds longest_burn = std::chrono::seconds(10);

// GET and HEAD of /, /sleep?ms=N, /cpu?ms=N and /metrics. `query` as in http_request. Other parameters than ms are
// ignored. The texts in the answer are constants.
route decide_route(std::string_view method, std::string_view path, std::string_view query) noexcept;

// The status of the answer.
int route_status(route_kind kind) noexcept;

}  // namespace magpie::tools
