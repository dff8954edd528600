//! Waiting for things to happen, with an end to it.

use std::thread;
use std::time::{Duration, Instant};

/// Time between two looks at a condition.
const GLANCE: Duration = Duration::from_millis(2);

/// Looks for something until it is found or `limit` is over.
pub fn poll_for<T>(limit: Duration, mut find: impl FnMut() -> Option<T>) -> Option<T> {
    let deadline = Instant::now() + limit;
    loop {
        // The time is read before the look: a look that began in time counts.
        let late = Instant::now() >= deadline;
        if let Some(found) = find() {
            return Some(found);
        }
        if late {
            return None;
        }
        thread::sleep(GLANCE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_look_is_after_the_limit() {
        let mut looks = 0;
        let third = || {
            looks += 1;
            (looks == 3).then_some(looks)
        };
        assert_eq!(poll_for(Duration::from_secs(60), third), Some(3));
        assert_eq!(poll_for(Duration::from_millis(5), || None::<()>), None);
        assert_eq!(poll_for(Duration::ZERO, || Some(1)), Some(1));
    }
}
