//! Runnable stories in reading order.
