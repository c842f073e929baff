// Results in the order in which they come: a majority of replicas decides, and the slow ones are not waited for.

#include <magpie/magpie.hpp>

#include <chrono>
#include <cstddef>
#include <cstdio>
#include <stdexcept>
#include <string>
#include <vector>

using namespace magpie;
using namespace std::chrono_literals;

int cancelled = 0;

// Stands for a request to replica number `id`. The third one is down, the last ones are slow.
task<std::string> ask(int id) {
    try {
        co_await sleep(id < 4 ? (5 - id) * 10ms : 1h);
    } catch (task_cancelled const&) {
        ++cancelled;
        throw;
    }
    if (id == 2) {
        throw std::runtime_error("replica 2 is down");
    }
    co_return "yes";
}

task<std::string> majority(int replicas) {
    std::vector<task<std::string>> requests;
    for (int id = 0; id < replicas; ++id) {
        requests.push_back(ask(id));
    }
    // The body gives the value. When it returns, whoever still runs is cancelled, and has ended before co_await does.
    co_return co_await as_completed(std::move(requests), [&](auto& stream) -> task<std::string> {
        int votes = 0;
        std::string story;
        while (auto item = co_await stream.next()) {
            try {
                votes += item->get() == "yes" ? 1 : 0;  // a replica's error is thrown here, and only here
                story += std::to_string(item->index) + ' ';
            } catch (std::runtime_error const& error) {
                std::printf("%s\n", error.what());
            }
            if (2 * votes > replicas) {
                co_return story + "decided";
            }
        }
        co_return story + "undecided";
    });
}

// The same over tasks that run already: they stay the caller's, and leaving the loop leaves them alone.
task<std::size_t> first_of(std::vector<join_handle<std::string>>& handles) {
    auto stream = as_completed(handles);
    auto item = co_await stream.next();
    co_return item->index;
}

task<int> amain() {
    time_point const begun = now();
    auto const story = co_await majority(5);
    std::printf("%s; %d cancelled, after %lld ms\n", story.c_str(), cancelled,
                static_cast<long long>((now() - begun) / 1ms));

    std::vector<join_handle<std::string>> handles;
    for (int id : {0, 1, 3}) {
        handles.push_back(spawn(ask(id)));
    }
    std::size_t const fastest = co_await first_of(handles);
    auto const others = co_await gather(std::move(handles));
    std::printf("number %zu was first, and all %zu have answered\n", fastest, others.size());
    co_return story == "3 1 0 decided" && cancelled == 1 && fastest == 2 && others.size() == 3 ? 0 : 1;
}

int main() {
    config c;
    c.clock = clock_kind::simulated;
    return run(amain(), c);
}
