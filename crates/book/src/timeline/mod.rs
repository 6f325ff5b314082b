//! Timelines of poll and wake: recordings of real runs, as drawings.
