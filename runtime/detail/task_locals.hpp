#pragma once

// The values of task_local variables that a task sees, and how they travel.
//
// A task points at one set of values (task_context::locals; null: every variable has its default). Sets are shared
// between tasks, and one that is shared never changes: who sets a variable then makes a set of its own.
//
//   spawned           counts a reference to the spawner's set: what the spawner sees at that moment
//   child of a join   borrows its parent's (fork_join): the parent waits, and cannot set anything, until the child has
//                     ended. A fork costs a test, and no count that all workers would fight for.
//   other children    count a reference: their parent runs beside them (child_set, batch, the parts of a long gather)
//   set()             alone with an own set: replaces the value in it. Else: a copy of the set, with the new value.
//
// A task that goes on on another worker takes its pointer with it; no thread holds anything.

#include <magpie/runtime/detail/atomic.hpp>
#include <magpie/runtime/detail/task_context.hpp>

#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

namespace magpie::detail {

// One value of one variable. Never changes.
class local_value {
public:
    local_value() noexcept = default;
    local_value(local_value const&) = delete;
    local_value& operator=(local_value const&) = delete;
    virtual ~local_value() = default;
};

template <class T>
class local_value_of final : public local_value {
public:
    explicit local_value_of(T&& v) : value(std::move(v)) {}
    T const value;
};

// The values a task sees, by the keys of their variables.
class local_values {
public:
    local_values() = default;
    local_values(local_values const&) = delete;
    local_values& operator=(local_values const&) = delete;

    void retain() noexcept { references_.fetch_add(1, mo_relaxed); }
    void release() noexcept {
        // acq_rel: pairs with the other releases; the last one sees everything that was done with the values.
        if (references_.fetch_sub(1, mo_acq_rel) == 1) {
            delete this;
        }
    }
    // Asked by who has a reference: true if nobody else has one.
    bool unshared() const noexcept { return references_.load(mo_acquire) == 1; }  // pairs with release()

    // Null: the variable has its default.
    local_value const* find(std::uint64_t key) const noexcept {
        for (auto const& each : entries_) {
            if (each.key == key) {
                return each.value.get();
            }
        }
        return nullptr;
    }
    // Only before it is shared. Returns what was there: its destructor may use the task's variables, so it dies later.
    std::shared_ptr<local_value const> put(std::uint64_t key, std::shared_ptr<local_value const> value) {
        for (auto& each : entries_) {
            if (each.key == key) {
                return std::exchange(each.value, std::move(value));
            }
        }
        entries_.push_back({key, std::move(value)});
        return nullptr;
    }
    // The same values; has one reference.
    static local_values* copy_of(local_values const& other) {
        auto copy = std::make_unique<local_values>();
        copy->entries_ = other.entries_;
        return copy.release();
    }

private:
    struct entry {
        std::uint64_t key;
        std::shared_ptr<local_value const> value;
    };

    atomic<std::uint32_t> references_{1};
    std::vector<entry> entries_;
};

// Counted reference to a set, or none: what a callback that runs later takes along.
class local_values_ptr {
public:
    local_values_ptr() noexcept = default;
    explicit local_values_ptr(local_values* values) noexcept : values_(values) {
        if (values_ != nullptr) {
            values_->retain();
        }
    }
    local_values_ptr(local_values_ptr&& other) noexcept : values_(std::exchange(other.values_, nullptr)) {}
    local_values_ptr& operator=(local_values_ptr other) noexcept {
        std::swap(values_, other.values_);
        return *this;
    }
    ~local_values_ptr() {
        if (values_ != nullptr) {
            values_->release();
        }
    }
    local_values* get() const noexcept { return values_; }

private:
    local_values* values_ = nullptr;
};

// The child, which has not started, sees what `from` sees from now on. Only the task itself may be `from`: another could
// be changing its set meanwhile.
inline void share_locals(task_context const& from, task_context& child) noexcept {
    if (from.locals != nullptr) [[unlikely]] {
        from.locals->retain();
        child.locals = from.locals;
        child.owns_locals = true;
        child.has_more = true;
    }
}
// The same, where `from` neither sets anything nor ends as long as the child lives.
inline void lend_locals(task_context const& from, task_context& child) noexcept {
    child.locals = from.locals;
}

// What the running task sees; on a thread of the blocking pool, what the task sees that it works for. Null: nothing.
local_values* current_locals() noexcept;
// For the current thread, which is no worker. Returns what it was.
local_values* set_foreign_locals(local_values* values) noexcept;

std::uint64_t next_local_key() noexcept;
local_value const* find_local(std::uint64_t key) noexcept;
// Throws usage_error outside a task.
void set_local(std::uint64_t key, std::shared_ptr<local_value const> value);

// As long as it lives, the running task sees `values`, which stay; what is set meanwhile is gone afterwards.
class locals_scope {
public:
    explicit locals_scope(local_values* values) noexcept;
    locals_scope(locals_scope const&) = delete;
    locals_scope& operator=(locals_scope const&) = delete;
    ~locals_scope();

private:
    task_context* task_;  // null: there is none, and nothing happens
    local_values* before_ = nullptr;
    bool owned_ = false;
};

// The same for a thread that is no worker.
class foreign_locals_scope {
public:
    explicit foreign_locals_scope(local_values* values) noexcept : before_(set_foreign_locals(values)) {}
    foreign_locals_scope(foreign_locals_scope const&) = delete;
    foreign_locals_scope& operator=(foreign_locals_scope const&) = delete;
    ~foreign_locals_scope() { set_foreign_locals(before_); }

private:
    local_values* before_;
};

} // namespace magpie::detail
