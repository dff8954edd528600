//! Streams that wait for their partner: a connection is an error stream and a data stream, which name
//! the same port and the same request.
//!
//! A client opens the error stream first and the data stream when that has been accepted, but nothing
//! here depends on it. So many may wait and for so long; there is no I/O.

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

use nsplice_spdy::{Headers, StreamId};

/// The number of streams that may wait at once: as many as there are connections that a client opens
/// at the same moment. kubectl itself opens one after the other.
pub(crate) const MOST_ALONE: usize = 1024;

/// The time that a stream may wait (that of Kubernetes' own servers).
pub(crate) const ALONE: Duration = Duration::from_secs(30);

/// The longest name of a request, in bytes; kubectl's are numbers.
const LONGEST_REQUEST: usize = 64;

/// Which of the two a stream is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Says what went wrong.
    Error,
    /// Carries the bytes.
    Data,
}

/// What a stream says that it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Claim {
    pub(crate) kind: Kind,
    pub(crate) port: u16,
    /// The name of the request.
    request: String,
}

impl Claim {
    /// Reads the headers of a stream; `None` if they make no sense.
    pub(crate) fn read(stream: StreamId, headers: &Headers) -> Option<Self> {
        let kind = match headers.get("streamtype")? {
            "error" => Kind::Error,
            "data" => Kind::Data,
            _ => return None,
        };
        let port = headers.get("port")?.parse().ok().filter(|port| *port > 0)?;
        // Clients of old had none, and opened the data stream right behind the error stream.
        let request = headers.get("requestid").map_or_else(
            || match kind {
                Kind::Error => stream.to_string(),
                Kind::Data => stream.0.wrapping_sub(2).to_string(),
            },
            str::to_owned,
        );
        (request.len() <= LONGEST_REQUEST).then_some(Self { kind, port, request })
    }
}

/// A stream that waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Alone {
    pub(crate) kind: Kind,
    port: u16,
    request: String,
    until: Instant,
}

/// What comes of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Meeting {
    /// It waits.
    Waits,
    /// Its partner was there.
    Pair { data: StreamId, error: StreamId },
    /// It does not fit to what waits under the name of its request.
    Wrong,
    /// Too many wait.
    Full,
}

/// All that wait.
#[derive(Debug, Default)]
pub(crate) struct Pairs {
    /// In the order in which they came: the numbers of streams rise.
    alone: BTreeMap<StreamId, Alone>,
    by_request: HashMap<String, StreamId>,
}

impl Pairs {
    /// A stream has come.
    pub(crate) fn meet(&mut self, stream: StreamId, claim: Claim, now: Instant) -> Meeting {
        let Claim { kind, port, request } = claim;
        if let Some(partner) = self.by_request.get(&request).copied() {
            let fits = |alone: &Alone| alone.kind != kind && alone.port == port;
            if !self.alone.get(&partner).is_some_and(fits) {
                return Meeting::Wrong;
            }
            self.forget(partner);
            return match kind {
                Kind::Data => Meeting::Pair { data: stream, error: partner },
                Kind::Error => Meeting::Pair { data: partner, error: stream },
            };
        }
        if self.alone.len() >= MOST_ALONE {
            return Meeting::Full;
        }
        self.by_request.insert(request.clone(), stream);
        self.alone.insert(stream, Alone { kind, port, request, until: now + ALONE });
        Meeting::Waits
    }

    /// Forgets a stream that waits.
    pub(crate) fn forget(&mut self, stream: StreamId) -> Option<Alone> {
        let alone = self.alone.remove(&stream)?;
        self.by_request.remove(&alone.request);
        Some(alone)
    }

    /// Whether a stream waits that is to carry bytes.
    pub(crate) fn is_data(&self, stream: StreamId) -> bool {
        self.alone.get(&stream).is_some_and(|alone| alone.kind == Kind::Data)
    }

    /// When the first of them has waited long enough.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.alone.first_key_value().map(|(_, alone)| alone.until)
    }

    /// Takes one that has waited long enough.
    pub(crate) fn overdue(&mut self, now: Instant) -> Option<(StreamId, Alone)> {
        let (stream, _) = self.alone.first_key_value().filter(|(_, alone)| alone.until <= now)?;
        let stream = *stream;
        self.forget(stream).map(|alone| (stream, alone))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn claim(kind: Kind, port: u16, request: &str) -> Claim {
        Claim { kind, port, request: request.to_owned() }
    }

    #[test]
    fn either_may_come_first() {
        let (mut pairs, now) = (Pairs::default(), Instant::now());
        let (one, two, three, four) = (StreamId(1), StreamId(3), StreamId(5), StreamId(7));
        assert_eq!(pairs.meet(one, claim(Kind::Error, 80, "0"), now), Meeting::Waits);
        assert_eq!(pairs.meet(two, claim(Kind::Data, 80, "1"), now), Meeting::Waits);
        let pair = Meeting::Pair { data: three, error: one };
        assert_eq!(pairs.meet(three, claim(Kind::Data, 80, "0"), now), pair);
        let pair = Meeting::Pair { data: two, error: four };
        assert_eq!(pairs.meet(four, claim(Kind::Error, 80, "1"), now), pair);
        assert_eq!(pairs.deadline(), None);
    }

    #[test]
    fn what_does_not_fit_is_told() {
        let (mut pairs, now) = (Pairs::default(), Instant::now());
        pairs.meet(StreamId(1), claim(Kind::Error, 80, "0"), now);
        let twice = pairs.meet(StreamId(3), claim(Kind::Error, 80, "0"), now);
        let other = pairs.meet(StreamId(5), claim(Kind::Data, 81, "0"), now);
        assert_eq!((twice, other), (Meeting::Wrong, Meeting::Wrong));
    }

    proptest! {
        /// Whatever comes, they are bounded, and the books agree.
        #[test]
        fn so_many_wait_and_no_more(
            steps in proptest::collection::vec((0u16..3, any::<bool>(), 0u16..2000, 0u64..3), 0..3000)
        ) {
            let (mut pairs, mut now) = (Pairs::default(), Instant::now());
            for (number, (port, is_error, request, seconds)) in steps.into_iter().enumerate() {
                now += Duration::from_secs(seconds) / 60;
                while pairs.overdue(now).is_some() {}
                let kind = if is_error { Kind::Error } else { Kind::Data };
                let stream = StreamId(u32::try_from(2 * number + 1).unwrap());
                let met = pairs.meet(stream, claim(kind, port, &request.to_string()), now);
                if let Meeting::Pair { data, error } = met {
                    prop_assert!(data == stream || error == stream);
                }
                prop_assert!(pairs.alone.len() <= MOST_ALONE);
                prop_assert_eq!(pairs.alone.len(), pairs.by_request.len());
                prop_assert!(pairs.deadline().is_none_or(|at| at > now && at <= now + ALONE));
            }
        }
    }
}
