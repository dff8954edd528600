//! The sizes that the queues of a socket are given.

use nsplice_relay::queues::{self, is_near_granted, Queues, Sizes};

/// Sizes of a socket's queues; `None` leaves them to the kernel.
///
/// What a container says of its own namespace (`tcp_rmem`, `tcp_wmem`) never counts. At home the node
/// says it: its tuning is left alone for far peers, and for near ones where the kernel grants us less
/// than they need.
pub(crate) fn sizes(queues: Queues, is_home: bool, is_near: bool) -> Option<Sizes> {
    match queues {
        Queues::Tuned => None,
        _ if is_home && !(is_near && is_near_granted()) => None,
        Queues::Least => Some(queues::LEAST),
        Queues::Ample if is_near => Some(queues::NEAR),
        Queues::Ample => Some(queues::FAR),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_of_a_container_never_count_and_those_of_the_node_do_for_far_peers() {
        let near_at_home = |sizes| is_near_granted().then_some(sizes);
        for (queues, is_home, is_near, expected) in [
            (Queues::Tuned, false, true, None),
            (Queues::Tuned, true, false, None),
            (Queues::Ample, false, true, Some(queues::NEAR)),
            (Queues::Ample, false, false, Some(queues::FAR)),
            (Queues::Ample, true, true, near_at_home(queues::NEAR)),
            (Queues::Ample, true, false, None),
            (Queues::Least, false, true, Some(queues::LEAST)),
            (Queues::Least, false, false, Some(queues::LEAST)),
            (Queues::Least, true, true, near_at_home(queues::LEAST)),
            (Queues::Least, true, false, None),
        ] {
            assert_eq!(sizes(queues, is_home, is_near), expected, "{queues:?} {is_home} {is_near}");
        }
    }
}
