"""How a command ends, for those who call it from a script."""

EXIT_OK = 0
EXIT_UNEXPECTED = 1
EXIT_USAGE = 2
EXIT_SOME_REFUSED = 3
EXIT_UNREACHABLE = 4
EXIT_NOT_FINISHED = 5
EXIT_INTERRUPTED = 130  # as shells tell SIGINT
EXIT_READER_GONE = 141  # as shells tell SIGPIPE
