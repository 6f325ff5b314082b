//! The result of a step in the turn of a connection.

/// The result of a step: whether another step may be able to do more now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Progress {
    Made,
    None,
}

impl Progress {
    /// Combines the results of steps. An array has no operator that would skip a step.
    pub(super) fn of<const N: usize>(steps: [Progress; N]) -> Progress {
        Progress::from(steps.contains(&Progress::Made))
    }
}

impl From<bool> for Progress {
    fn from(is_made: bool) -> Progress {
        if is_made {
            Progress::Made
        } else {
            Progress::None
        }
    }
}
