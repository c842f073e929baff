#pragma once

// How an await ended, as text.

#include <magpie/runtime/errors.hpp>
#include <magpie/runtime/task.hpp>

#include <exception>
#include <string>
#include <utility>
#include <vector>

namespace magpie::tests {

// What an awaitable ended with: "value", "timeout", "cancelled", or the text of its error.
template <class A>
task<std::string> how(A a) {
    try {
        (void)co_await std::move(a);
    } catch (timeout_error const&) {
        co_return "timeout";
    } catch (task_cancelled const&) {
        co_return "cancelled";
    } catch (std::exception const& e) {
        co_return e.what();
    }
    co_return "value";
}

// What a group threw: the messages in order, or nothing.
inline task<std::vector<std::string>> errors_of(task<> group) {
    std::vector<std::string> messages;
    try {
        co_await std::move(group);
    } catch (exception_group const& errors) {
        for (auto const& each : errors.exceptions()) {
            messages.push_back(describe(each));
        }
    }
    co_return messages;
}

inline bool ends_with(std::string const& text, std::string const& end) {
    return text.size() >= end.size() && text.compare(text.size() - end.size(), end.size(), end) == 0;
}

}  // namespace magpie::tests
