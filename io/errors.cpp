#include <magpie/io/errors.hpp>

#include <string>

namespace magpie::io {

namespace {

class category final : public std::error_category {
public:
    char const* name() const noexcept override { return "magpie.io"; }
    std::string message(int error) const override {
        switch (static_cast<errc>(error)) {
        case errc::end_of_stream:
            return "the stream ended too early";
        case errc::too_long:
            return "the limit was reached before the delimiter";
        }
        return "unknown error";
    }
};

}  // namespace

std::error_category const& io_category() noexcept {
    static category const only;
    return only;
}

}  // namespace magpie::io
