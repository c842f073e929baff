#pragma once

#include <cstddef>
#include <exception>
#include <memory>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

namespace magpie {

// Thrown into a task, at a suspension, when a request to cancel that task is delivered. It does not derive from
// std::exception, so that `catch (std::exception const&)` does not swallow it. Catch it to clean up, then rethrow.
// Only ever one's own cancellation: an awaited task that others cancelled throws child_cancelled.
class task_cancelled final {
public:
    char const* what() const noexcept { return "the task was cancelled"; }
};

// The body of timeout() or with_timeout() was cut off by its deadline.
class timeout_error : public std::runtime_error {
public:
    timeout_error() : std::runtime_error("timed out") {}
    using std::runtime_error::runtime_error;
};

// What was awaited has been cancelled, by somebody else; the awaiting task itself was not.
class child_cancelled : public std::runtime_error {
public:
    child_cancelled() : std::runtime_error("the awaited task was cancelled") {}
    using std::runtime_error::runtime_error;
};

// A task was spawned into a task group that is already cancelling its children.
class group_aborting : public std::runtime_error {
public:
    group_aborting() : std::runtime_error("the task group is being cancelled and takes no new task") {}
    using std::runtime_error::runtime_error;
};

// put on a closed queue, or get from a closed queue that is empty.
class queue_closed : public std::runtime_error {
public:
    queue_closed() : std::runtime_error("the queue is closed") {}
    using std::runtime_error::runtime_error;
};

// The barrier was aborted or reset while tasks waited at it.
class broken_barrier : public std::runtime_error {
public:
    broken_barrier() : std::runtime_error("the barrier is broken") {}
    using std::runtime_error::runtime_error;
};

// A promise was destroyed before it was set.
class broken_promise : public std::runtime_error {
public:
    broken_promise() : std::runtime_error("the promise was destroyed before it was set") {}
    using std::runtime_error::runtime_error;
};

// A bound was reached where waiting is not an answer; the message names it.
class limit_exceeded : public std::runtime_error {
public:
    limit_exceeded() : std::runtime_error("a limit was exceeded") {}
    using std::runtime_error::runtime_error;
};

// Under the simulated clock: nothing is runnable, no timer is set, and tasks still wait. The message names them and
// what they wait for.
class deadlock_error : public std::runtime_error {
public:
    deadlock_error() : std::runtime_error("no task can ever run again") {}
    using std::runtime_error::runtime_error;
};

// run() was ended by SIGINT.
class interrupted : public std::runtime_error {
public:
    interrupted() : std::runtime_error("interrupted") {}
    using std::runtime_error::runtime_error;
};

// The program uses the library in a way that cannot work: a programming error, found at run time.
class usage_error : public std::logic_error {
public:
    using std::logic_error::logic_error;
};

// One line for an error message or a log: "std::runtime_error: connection refused", or "exception of type T" for what
// does not derive from std::exception. Null gives "no error". Any thread; throws only std::bad_alloc.
std::string describe(std::exception_ptr const& error);

// Several errors at once: what a task group throws. Never holds task_cancelled or null pointers. Copies share their
// contents, which never change; any thread may read them.
class exception_group : public std::runtime_error {
public:
    // In the order in which the errors happened.
    explicit exception_group(std::vector<std::exception_ptr> exceptions);

    std::vector<std::exception_ptr> const& exceptions() const noexcept { return *exceptions_; }
    std::size_t size() const noexcept { return exceptions_->size(); }
    bool empty() const noexcept { return exceptions_->empty(); }

    // Throws the error itself if there is exactly one; otherwise does nothing. (In a catch block: follow it with
    // `throw;`.)
    void rethrow_if_single() const;

    // Does nothing if the group is empty, else throws: the last call in a chain of handle().
    void rethrow_if_any() const;

    // Calls f(E const&) for each error that is an E, in order, looking into nested groups, and returns the group of
    // those left over (empty if none):
    //     group.handle<io_failure>(log).handle<parse_failure>(count).rethrow_if_any();
    // A nested group keeps its place, without what was handled. What f throws leaves handle() at once.
    template <class E, class F>
    exception_group handle(F&& f) const;

private:
    std::shared_ptr<std::vector<std::exception_ptr> const> exceptions_;
};

// A configuration that cannot be used. what() is one sentence that names the place, the cause and the remedy; the
// members say the same for programs.
class config_error : public std::runtime_error {
public:
    // Where a bad value was found. All empty: it was set in code.
    struct place {
        std::string file{};      // as given to load(); "<string>" for from_toml()
        int line = 0;            // from 1; 0 if not known
        int column = 0;          // from 1; 0 if not known
        std::string variable{};  // the environment variable that held it
    };

    // `why` is a clause that follows the key and the value: "is not allowed: use a whole number from 1 to 1024".
    config_error(place where, std::string key, std::string value, std::string why);

    std::string file;      // the file; empty if the value came from the environment or from code
    int line;              // in that file, from 1; 0 if not known
    int column;            // in that line, from 1; 0 if not known
    std::string variable;  // the environment variable; empty if the value came from elsewhere
    std::string key;       // "runtime.workers"; empty if the error is not about one key
    std::string value;     // as it was written; empty if there is none
    std::string why;       // what is wrong, and what is allowed
};

template <class E, class F>
exception_group exception_group::handle(F&& f) const {
    static_assert(!std::is_base_of_v<exception_group, E>,
                  "handle<E>() looks into nested groups; E is a plain error type");
    std::vector<std::exception_ptr> rest;
    for (auto const& error : *exceptions_) {
        try {
            std::rethrow_exception(error);
        } catch (exception_group const& nested) {
            auto left = nested.handle<E>(f);
            if (left.size() == nested.size()) {
                rest.push_back(error);
            } else if (!left.empty()) {
                rest.push_back(std::make_exception_ptr(std::move(left)));
            }
        } catch (E const& e) {
            f(e);
        } catch (...) {
            rest.push_back(error);
        }
    }
    return exception_group(std::move(rest));
}

namespace detail {

// Out of line, so that the paths that do not throw stay small.
[[noreturn]] void throw_child_cancelled();
[[noreturn]] void throw_empty_outcome();
std::exception_ptr child_cancelled_ptr();

}  // namespace detail
}  // namespace magpie
