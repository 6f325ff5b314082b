//! The time that processors spend on a process (Linux only).

use std::fs;
use std::io;

/// The number of units in which Linux counts a second of a processor's time.
const TICKS: f64 = 100.0;

/// Returns the seconds of the processors that a process used, and those that its children used that
/// have ended.
pub fn by(process: u32) -> io::Result<[f64; 2]> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat"))?;
    // The name in parentheses may have spaces. The times are the fields 14 to 17.
    let (_, fields) = stat.rsplit_once(") ").expect("a name");
    let times = fields.split(' ').skip(11).take(4);
    let times: Vec<f64> = times.map(|time| time.parse().expect("a number")).collect();
    Ok([times[0] + times[1], times[2] + times[3]].map(|ticks| ticks / TICKS))
}
