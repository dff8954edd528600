//! The downstream that an opened endpoint becomes.

use nsplice_relay::{Downstream, Hold, Upstream};

/// Makes a downstream of what has been opened first, and what must live as long as its link.
pub(super) fn split(upstream: Upstream) -> (Downstream, Vec<Box<dyn Hold>>) {
    match upstream {
        Upstream::Stream(socket) => (Downstream::Socket(socket), Vec::new()),
        // The relay's own kind of child is not what endpoints make.
        Upstream::Pair { source, sink }
        | Upstream::Piped { output: source, input: sink, child: _ } => {
            (Downstream::Pair { source, sink }, Vec::new())
        }
        Upstream::Held { upstream, hold } => {
            let (downstream, mut holds) = split(*upstream);
            holds.push(hold);
            (downstream, holds)
        }
    }
}
