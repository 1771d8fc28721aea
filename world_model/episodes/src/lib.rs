//! Recorded episodes on disk: LeRobot data sets written and read, windows for training.
