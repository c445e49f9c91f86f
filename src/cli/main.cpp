#include "cli/app.hpp"

int main(int argument_count, char** arguments) { return jamsocket::cli::run(argument_count, arguments); }
