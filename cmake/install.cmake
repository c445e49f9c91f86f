# What `cmake --install` puts in place; filled in by the server library.
