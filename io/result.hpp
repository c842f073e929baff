#pragma once

#include <expected>
#include <functional>
#include <system_error>
#include <type_traits>
#include <utility>

namespace magpie::io {
template <class T = void>
class result;
}  // namespace magpie::io

namespace magpie::detail {

// What value() of a result without one throws: as std::expected does, but what() says which error it was.
class bad_result final : public std::bad_expected_access<std::error_code> {
public:
    explicit bad_result(std::error_code error) : bad_expected_access(error), text_(error) {}
    char const* what() const noexcept override { return text_.what(); }

private:
    std::system_error text_;  // copies share the text, so that copying does not throw
};

[[noreturn]] void throw_bad_result(std::error_code error);

template <class T>
inline constexpr bool is_io_result = false;
template <class T>
inline constexpr bool is_io_result<io::result<T>> = true;

}  // namespace magpie::detail

namespace magpie::io {

// What an I/O operation gives: a value, or the error that the system reported. It is a
// std::expected<T, std::error_code>, [[nodiscard]], with the monadic functions of C++23 whatever the standard library
// has of them. value() without a value throws a std::bad_expected_access<std::error_code> whose what() names the error.
template <class T>
class [[nodiscard("look at the error, or say (void)")]] result : public std::expected<T, std::error_code> {
    using base = std::expected<T, std::error_code>;

public:
    using base::base;

    decltype(auto) value() & { return checked(*this); }
    decltype(auto) value() const& { return checked(*this); }
    decltype(auto) value() && { return checked(std::move(*this)); }
    decltype(auto) value() const&& { return checked(std::move(*this)); }

    // f(value) -> some result<U>, called if there is a value; an error is passed on.
    template <class F>
    auto and_then(F&& f) & {
        return and_then_of(*this, std::forward<F>(f));
    }
    template <class F>
    auto and_then(F&& f) const& {
        return and_then_of(*this, std::forward<F>(f));
    }
    template <class F>
    auto and_then(F&& f) && {
        return and_then_of(std::move(*this), std::forward<F>(f));
    }

    // f(value) -> U, called if there is a value; an error is passed on.
    template <class F>
    auto transform(F&& f) & {
        return transform_of(*this, std::forward<F>(f));
    }
    template <class F>
    auto transform(F&& f) const& {
        return transform_of(*this, std::forward<F>(f));
    }
    template <class F>
    auto transform(F&& f) && {
        return transform_of(std::move(*this), std::forward<F>(f));
    }

    // f(error) -> result<T>, called if there is an error; a value is passed on.
    template <class F>
    result or_else(F&& f) const& {
        return this->has_value() ? *this : result(std::invoke(std::forward<F>(f), this->error()));
    }
    template <class F>
    result or_else(F&& f) && {
        return this->has_value() ? std::move(*this) : result(std::invoke(std::forward<F>(f), this->error()));
    }

    // f(error) -> E2, called if there is an error; a value is passed on.
    template <class F>
    auto transform_error(F&& f) const& {
        return transform_error_of(*this, std::forward<F>(f));
    }
    template <class F>
    auto transform_error(F&& f) && {
        return transform_error_of(std::move(*this), std::forward<F>(f));
    }

    // The error, or `other` if there is a value.
    std::error_code error_or(std::error_code other) const { return this->has_value() ? other : this->error(); }

private:
    template <class Self>
    static decltype(auto) checked(Self&& self) {
        if (!self.has_value()) [[unlikely]] {
            detail::throw_bad_result(self.error());
        }
        return *std::forward<Self>(self);
    }

    template <class Self, class F>
    static auto call(Self&& self, F&& f) -> decltype(auto) {
        if constexpr (std::is_void_v<T>) {
            return std::invoke(std::forward<F>(f));
        } else {
            return std::invoke(std::forward<F>(f), *std::forward<Self>(self));
        }
    }
    template <class Self, class F>
    using called = decltype(call(std::declval<Self>(), std::declval<F>()));

    template <class Self, class F>
    static auto and_then_of(Self&& self, F&& f) {
        using U = std::remove_cvref_t<called<Self, F>>;
        static_assert(detail::is_io_result<U>, "and_then() needs a function that returns an io::result");
        return self.has_value() ? U(call(std::forward<Self>(self), std::forward<F>(f)))
                                : U(std::unexpected(self.error()));
    }
    template <class Self, class F>
    static auto transform_of(Self&& self, F&& f) {
        using U = std::remove_cv_t<called<Self, F>>;
        if (!self.has_value()) {
            return result<U>(std::unexpected(self.error()));
        }
        if constexpr (std::is_void_v<U>) {
            call(std::forward<Self>(self), std::forward<F>(f));
            return result<U>();
        } else {
            return result<U>(call(std::forward<Self>(self), std::forward<F>(f)));
        }
    }
    template <class Self, class F>
    static auto transform_error_of(Self&& self, F&& f) {
        using E = std::remove_cv_t<std::invoke_result_t<F, std::error_code>>;
        using R = std::expected<T, E>;
        if (!self.has_value()) {
            return R(std::unexpect, std::invoke(std::forward<F>(f), self.error()));
        }
        if constexpr (std::is_void_v<T>) {
            return R();
        } else {
            return R(*std::forward<Self>(self));
        }
    }
};

// A result<T> without a value, for `return io::failure(EINVAL);`.
inline std::unexpected<std::error_code> failure(int error) {
    return std::unexpected(std::error_code(error, std::system_category()));
}
inline std::unexpected<std::error_code> failure(std::errc error) {
    return std::unexpected(std::make_error_code(error));
}
inline std::unexpected<std::error_code> failure(std::error_code error) {
    return std::unexpected(error);
}

}  // namespace magpie::io
