//! Worlds of other programs behind `Environment` and `Benchmark`: a process, or a server.
