//! A robot that looks before it leaps: record, train, plan and act from one binary.
