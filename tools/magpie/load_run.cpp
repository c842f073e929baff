#include "load_run.hpp"

#include "http_writer.hpp"

#include <magpie/combinators/batch.hpp>
#include <magpie/combinators/limits.hpp>
#include <magpie/combinators/progress.hpp>
#include <magpie/combinators/timeout.hpp>
#include <magpie/runtime/errors.hpp>
#include <magpie/runtime/this_task.hpp>

#include <fmt/format.h>

#include <cstdio>
#include <utility>

namespace magpie::tools {

namespace {

std::string request_bytes(url const& target) {
    std::string bytes;
    append_request(bytes, "GET", target.target(), target.host_field());
    return bytes;
}

}  // namespace

load_run::load_run(load_plan plan, unsigned workers)
    : plan_(std::move(plan)),
      request_(request_bytes(plan_.target)),
      pool_(plan_.addresses, plan_.connections),
      tallies_(workers),
      expected_length_(plan_.expected_length.value_or(unknown_length)) {}

task<> load_run::run(progress_bar& bar) {
    begun_ = now();
    auto show = [&bar](progress const& so_far) { bar.update(so_far.done, so_far.failed, now()); };
    auto begin = [this](std::uint64_t) { return request(); };
    limit_ref const limit = plan_.named_limit.empty() ? limit_ref(plan_.limit) : limit_ref(limits[plan_.named_limit]);
    co_await batch_each(source(*this), std::move(begin), {.limit = limit}).on_progress(std::move(show));
    ended_ = now();
}

task<> load_run::stop_after(interruption& wish) {
    co_await wish.wait();
    stopped_.store(true, std::memory_order_relaxed);
    fmt::print(stderr, "\nmagpie: ending the requests on their way; the same signal again ends at once\n");
}

bool load_run::is_over(std::uint64_t index) const noexcept {
    return (plan_.requests && index >= *plan_.requests) || stopped_.load(std::memory_order_relaxed) ||
           (plan_.duration && now() - begun_ >= *plan_.duration);
}

task<load_run::outcome> load_run::request() {
    client_pool::lease const lease = co_await pool_.acquire();
    http_client& client = lease.client();
    std::uint64_t const bytes_before = client.bytes_received();
    time_point const begun = now();
    outcome const how = co_await attempt(client);
    record(how, now() - begun, client.bytes_received() - bytes_before);
    co_return how;
}

task<load_run::outcome> load_run::attempt(http_client& client) {
    try {
        auto const response = co_await timeout(plan_.timeout, client.exchange(request_, false));
        if (!response) {
            co_return std::unexpected(response.error());
        }
        co_return verify(*response);
    } catch (timeout_error const&) {
        co_return std::unexpected(load_error::timeout);
    }
}

load_run::outcome load_run::verify(http_response const& response) {
    if (response.status != plan_.expected_status) {
        return std::unexpected(load_error::bad_status);
    }
    if (plan_.any_length) {
        return {};
    }
    std::uint64_t expected = expected_length_.load(std::memory_order_relaxed);
    if (expected == unknown_length &&
        expected_length_.compare_exchange_strong(expected, response.body_length, std::memory_order_relaxed)) {
        return {};
    }
    return response.body_length == expected ? outcome() : std::unexpected(load_error::wrong_length);
}

void load_run::record(outcome const& how, std::chrono::nanoseconds took, std::uint64_t bytes) {
    tally& here = tallies_[this_task::worker()];
    here.bytes += bytes;
    if (how) {
        ++here.requests;
        here.latencies.record(took);
    } else {
        ++here.errors[static_cast<std::size_t>(how.error())];
    }
}

load_report load_run::report(metrics const& before, metrics const& after) const {
    load_report result;
    histogram latencies;
    result.duration = ended_ - begun_;
    result.workers = work_between(before, after);
    for (std::size_t i = 0; i < tallies_.size(); ++i) {
        tally const& each = tallies_[i];
        latencies.merge(each.latencies);
        result.requests += each.requests;
        result.bytes_received += each.bytes;
        for (std::size_t kind = 0; kind < each.errors.size(); ++kind) {
            if (std::uint64_t const count = each.errors[kind]; count > 0) {
                result.requests += count;
                result.failures += count;
                result.errors[std::string(name_of(static_cast<load_error>(kind)))] += count;
            }
        }
        result.workers.at(i).requests = each.requests;
    }
    result.latency = summarize(latencies);
    // More than was asked for is never done: less means that somebody ended it.
    result.interrupted =
        stopped_.load(std::memory_order_relaxed) && !(plan_.requests && result.requests >= *plan_.requests);
    return result;
}

}  // namespace magpie::tools
