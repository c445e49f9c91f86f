// server/kept_routes.hpp
//
// The admin routes for rooms on disk, also while they are in memory: /admin/kept-rooms.

#pragma once

#include <vector>

#include "server/admin_routes.hpp"

namespace jamsocket::server {

void add_kept_routes(AdminTarget& target, AdminListener& listener, const RoomFileLimits& limits,
                     std::vector<AdminRoute>& routes);

}  // namespace jamsocket::server
