//! The six modules of an autonomous agent and the tick that joins them.
