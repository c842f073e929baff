#include "magpie/router.hpp"

#include <doctest/doctest.h>

#include <chrono>
#include <string_view>

using magpie::tools::decide_route;
using magpie::tools::route_kind;
using magpie::tools::route_status;
using namespace std::chrono_literals;

TEST_CASE("router: the pages") {
    CHECK(decide_route("GET", "/", "").kind == route_kind::fixed_body);
    CHECK(decide_route("GET", "/", "any=thing").kind == route_kind::fixed_body);
    CHECK(decide_route("GET", "/metrics", "").kind == route_kind::metrics);
    auto const sleep = decide_route("GET", "/sleep", "ms=250");
    CHECK(sleep.kind == route_kind::sleep);
    CHECK(sleep.time == 250ms);
    auto const burn = decide_route("GET", "/cpu", "ms=3");
    CHECK(burn.kind == route_kind::burn_cpu);
    CHECK(burn.time == 3ms);
}

TEST_CASE("router: HEAD is GET without the body") {
    for (std::string_view const path : {"/", "/metrics"}) {
        CHECK(decide_route("HEAD", path, "").kind == decide_route("GET", path, "").kind);
        CHECK(decide_route("HEAD", path, "").head);
        CHECK_FALSE(decide_route("GET", path, "").head);
    }
    CHECK(decide_route("HEAD", "/sleep", "ms=1").head);
    CHECK(decide_route("HEAD", "/no", "").head);
}

TEST_CASE("router: times must be given once, be whole and be in range") {
    CHECK(decide_route("GET", "/sleep", "ms=0").time == 0ms);
    CHECK(decide_route("GET", "/sleep", "ms=60000").time == 60s);
    CHECK(decide_route("GET", "/cpu", "ms=10000").time == 10s);
    CHECK(decide_route("GET", "/sleep", "a=1&ms=5&msx=7&").time == 5ms);
    for (std::string_view const bad :
         {"", "ms", "ms=", "ms=-1", "ms=+1", "ms=1.5", "ms=1x", "ms= 1", "ms=60001", "ms=99999999999999999999",
          "ms=1&ms=1", "ms=1&ms", "ms&ms=1", "MS=1", "x=1", "ms=%31"}) {
        CAPTURE(bad);
        auto const answer = decide_route("GET", "/sleep", bad);
        CHECK(answer.kind == route_kind::bad_request);
        CHECK(answer.why.find("60000") != std::string_view::npos);
        CHECK(decide_route("HEAD", "/cpu", bad).kind == route_kind::bad_request);
    }
    CHECK(decide_route("GET", "/cpu", "ms=10001").kind == route_kind::bad_request);
}

TEST_CASE("router: a wrong method on a page that is there") {
    for (std::string_view const method : {"POST", "PUT", "DELETE", "OPTIONS", "get", "FOO"}) {
        CAPTURE(method);
        auto const answer = decide_route(method, "/sleep", "ms=nonsense");
        CHECK(answer.kind == route_kind::method_not_allowed);
        CHECK(answer.allow == "GET, HEAD");
    }
    CHECK(decide_route("OPTIONS", "*", "").kind == route_kind::method_not_allowed);
    CHECK(decide_route("CONNECT", "h:443", "").kind == route_kind::method_not_allowed);
}

TEST_CASE("router: pages that are not there") {
    for (std::string_view const path : {"/no", "//", "/sleep/", "/Sleep", "/sleepy", "", "/metrics/x"}) {
        CAPTURE(path);
        CHECK(decide_route("GET", path, "ms=1").kind == route_kind::not_found);
        CHECK(decide_route("POST", path, "").kind == route_kind::not_found);
    }
}

TEST_CASE("router: statuses") {
    CHECK(route_status(route_kind::fixed_body) == 200);
    CHECK(route_status(route_kind::sleep) == 200);
    CHECK(route_status(route_kind::burn_cpu) == 200);
    CHECK(route_status(route_kind::metrics) == 200);
    CHECK(route_status(route_kind::bad_request) == 400);
    CHECK(route_status(route_kind::not_found) == 404);
    CHECK(route_status(route_kind::method_not_allowed) == 405);
}
