#include <magpie/runtime/errors.hpp>

#include <cstdlib>
#include <typeinfo>

#include <cxxabi.h>

namespace magpie {
namespace {

std::string type_name(std::type_info const& type) {
    int status = 0;
    std::unique_ptr<char, decltype(&std::free)> const demangled(
        abi::__cxa_demangle(type.name(), nullptr, nullptr, &status), &std::free);
    return status == 0 ? demangled.get() : type.name();
}

std::string summary(std::vector<std::exception_ptr> const& exceptions) {
    constexpr std::size_t shown = 3;
    if (exceptions.empty()) {
        return "no errors";
    }
    auto text = std::to_string(exceptions.size()) + (exceptions.size() == 1 ? " error: " : " errors: ");
    for (std::size_t i = 0; i < exceptions.size() && i < shown; ++i) {
        text += (i == 0 ? "" : "; ") + describe(exceptions[i]);
    }
    if (exceptions.size() > shown) {
        text += "; and " + std::to_string(exceptions.size() - shown) + " more";
    }
    return text;
}

std::string sentence(config_error::place const& where, std::string const& key, std::string const& value,
                     std::string const& why) {
    std::string text;
    if (!where.variable.empty()) {
        text = "environment variable " + where.variable + (value.empty() ? "" : "=" + value);
    } else if (!where.file.empty()) {
        text = where.file;
        for (int const number : {where.line, where.column}) {
            text += number > 0 ? ":" + std::to_string(number) : "";
        }
        text += ":" + (key.empty() ? "" : " " + key) + (value.empty() ? "" : " = " + value);
    } else {
        // In code the keys of [runtime] are members of config itself.
        std::string const section = "runtime.";
        text = "config." + (key.starts_with(section) ? key.substr(section.size()) : key) +
               (value.empty() ? "" : " = " + value);
    }
    return text + " " + why;
}

}  // namespace

std::string describe(std::exception_ptr const& error) {
    if (!error) {
        return "no error";
    }
    try {
        std::rethrow_exception(error);
    } catch (std::exception const& e) {
        return type_name(typeid(e)) + ": " + e.what();
    } catch (...) {
        auto const* const type = abi::__cxa_current_exception_type();
        return type != nullptr ? "exception of type " + type_name(*type) : "exception of another language";
    }
}

exception_group::exception_group(std::vector<std::exception_ptr> exceptions)
    : std::runtime_error(summary(exceptions)),
      exceptions_(std::make_shared<std::vector<std::exception_ptr> const>(std::move(exceptions))) {}

void exception_group::rethrow_if_single() const {
    if (size() == 1) {
        std::rethrow_exception(exceptions_->front());
    }
}

void exception_group::rethrow_if_any() const {
    if (!empty()) {
        throw *this;
    }
}

config_error::config_error(place where, std::string key_, std::string value_, std::string why_)
    : std::runtime_error(sentence(where, key_, value_, why_)),
      file(std::move(where.file)),
      line(where.line),
      column(where.column),
      variable(std::move(where.variable)),
      key(std::move(key_)),
      value(std::move(value_)),
      why(std::move(why_)) {}

namespace detail {

void throw_child_cancelled() {
    throw child_cancelled();
}

void throw_empty_outcome() {
    throw usage_error("the outcome is empty: nothing has ended yet that could have one");
}

std::exception_ptr child_cancelled_ptr() {
    return std::make_exception_ptr(child_cancelled());
}

}  // namespace detail
}  // namespace magpie
