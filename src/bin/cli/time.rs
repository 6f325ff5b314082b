//! Times with units, as in `500ms` and `2m`.

use std::time::Duration;

/// The longest time. A timer of tokio 0.1 cannot wait much longer than two years.
const LONGEST: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// Reads a time. A number without a unit counts seconds.
pub(crate) fn parse_time(text: &str) -> Result<Duration, String> {
    let time = match text.parse() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => humantime::parse_duration(text)
            .map_err(|error| format!("{error}; give a time as in 500ms, 5s or 2m"))?,
    };
    match time {
        Duration::ZERO => Err("the time must not be 0".to_owned()),
        time => Ok(time.min(LONGEST)),
    }
}
