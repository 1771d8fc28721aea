//! How long work under way will take, by its past.

use std::time::Duration;

/// `12.5/s, 3 min 20 s left`; nothing before the first unit is timed.
pub fn rate_and_time_left(done: u64, left: u64, elapsed: Duration) -> String {
    let per_sec = done as f64 / elapsed.as_secs_f64().max(1e-9);
    if done == 0 {
        return String::new();
    }
    let secs = (left as f64 / per_sec).round() as u64;
    let time = match (secs / 3600, secs / 60 % 60, secs % 60) {
        (0, 0, secs) => format!("{secs} s"),
        (0, minutes, secs) => format!("{minutes} min {secs} s"),
        (hours, minutes, _) => format!("{hours} h {minutes} min"),
    };
    format!("{per_sec:.1}/s, {time} left")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_left_is_by_the_units_of_this_run() {
        assert_eq!(rate_and_time_left(0, 100, Duration::from_secs(5)), "");
        assert_eq!(rate_and_time_left(50, 100, Duration::from_secs(5)), "10.0/s, 10 s left");
        assert_eq!(rate_and_time_left(50, 4000, Duration::from_secs(5)), "10.0/s, 6 min 40 s left");
        assert_eq!(rate_and_time_left(5, 4000, Duration::from_secs(5)), "1.0/s, 1 h 6 min left");
    }
}
