// service/native.hpp
//
// C++ classes compiled into the server, as a Service.

#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "jamsocket/detail/native_service.hpp"
#include "service/service.hpp"

namespace jamsocket::service {

/// The version of every native service: there is only the one that is compiled in.
inline constexpr std::string_view kNativeVersion = "native";

/// An exception that leaves a callback is a trap of that room.
[[nodiscard]] std::unique_ptr<Service> make_native_service(std::string name, detail::NativeServiceFactory factory);

}  // namespace jamsocket::service
