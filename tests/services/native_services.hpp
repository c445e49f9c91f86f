// tests/services/native_services.hpp
//
// The examples and the tests' services, compiled into a test program.

#pragma once

#include <string_view>

#include <jamsocket/detail/native_service.hpp>

namespace jamsocket::test {

/// Empty if there is no such service, or only as a module.
[[nodiscard]] detail::NativeServiceFactory native_service(std::string_view name);

}  // namespace jamsocket::test
