//! Streams against a model of what a socket does, with a link that only knows what it is told.

use super::*;
use crate::table::Table;
use nsplice_testkit::ramp;
use proptest::prelude::*;

const LIMITS: SessionLimits =
    SessionLimits { streams: 100, stream_queue: 40_000, session_queue: 60_000, outbox: 64 * 1024 };

const NAMES: u32 = 4;

#[derive(Debug, Clone, Copy)]
enum Event {
    Open(u32, Option<u64>),
    Receive(u32, usize),
    End(u32),
    Reset(u32),
    Grant(u32, u64),
    /// The lane takes what is at the front.
    Take(u32, usize),
    /// The lane sends as much as it may, up to this.
    Send(u32, usize),
    /// The outbox is flushed, and has this much room then.
    Flush(usize),
    Close(u32),
}

fn event() -> impl Strategy<Value = Event> {
    let name = 0..NAMES;
    prop_oneof![
        2 => (name.clone(), proptest::option::of(0..60_000u64))
            .prop_map(|(name, credit)| Event::Open(name, credit)),
        6 => (name.clone(), 0..30_000usize).prop_map(|(name, len)| Event::Receive(name, len)),
        1 => name.clone().prop_map(Event::End),
        1 => name.clone().prop_map(Event::Reset),
        2 => (name.clone(), 0..40_000u64).prop_map(|(name, more)| Event::Grant(name, more)),
        6 => (name.clone(), 0..40_000usize).prop_map(|(name, most)| Event::Take(name, most)),
        8 => (name.clone(), 1..70_000usize).prop_map(|(name, most)| Event::Send(name, most)),
        4 => (0..64 * 1024usize).prop_map(Event::Flush),
        1 => name.prop_map(Event::Close),
    ]
}

/// What a link knows of its stream, and what is true of it.
#[derive(Debug, Clone)]
struct Model {
    readable: bool,
    writable: bool,
    received: u64,
    taken: u64,
    credit: Option<u64>,
    /// What is behind the queue: None, the end, or an error.
    behind: Option<Option<Errno>>,
}

impl Model {
    fn front_is_dry(&self) -> bool {
        self.received == self.taken && self.behind.is_none()
    }
}

fn play(events: Vec<Event>) -> Result<(), TestCaseError> {
    let mut table = Table::new();
    let keys: Vec<_> = (0..NAMES).map(|name| table.insert(|_| name)).collect();
    let mut models: Vec<Option<Model>> = vec![None; NAMES as usize];
    let (mut streams, mut spares) = (Streams::new(LIMITS), Spares::default());
    let mut room = LIMITS.outbox;
    let mut goes_on = false;
    for event in events {
        match event {
            Event::Open(name, credit) => {
                let is_new = models[name as usize].is_none();
                prop_assert_eq!(streams.open(StreamId(name), credit), is_new);
                if is_new {
                    streams.attach(StreamId(name), keys[name as usize]);
                    models[name as usize] = Some(Model {
                        readable: true,
                        writable: true,
                        received: 0,
                        taken: 0,
                        credit,
                        behind: None,
                    });
                }
            }
            Event::Receive(name, len) => {
                let Some(model) = &mut models[name as usize] else {
                    let unknown = streams.receive(StreamId(name), &vec![0; len], &mut spares);
                    prop_assert_eq!(unknown, Received::Unknown);
                    continue;
                };
                let mut bytes = vec![0; len];
                ramp::fill(model.received, &mut bytes);
                let queued = model.received - model.taken;
                let expected = match model.behind {
                    Some(_) => Received::Late,
                    None if queued + len as u64 > LIMITS.stream_queue as u64 => Received::Overflow,
                    None => Received::Queued,
                };
                prop_assert_eq!(streams.receive(StreamId(name), &bytes, &mut spares), expected);
                match expected {
                    Received::Queued => model.received += len as u64,
                    Received::Overflow => {
                        model.behind = Some(Some(Errno::ENOBUFS));
                        model.taken = model.received;
                    }
                    Received::Late | Received::Unknown => {}
                }
            }
            Event::End(name) => {
                streams.end(StreamId(name));
                if let Some(model) = &mut models[name as usize] {
                    model.behind = model.behind.or(Some(None));
                }
            }
            Event::Reset(name) => {
                streams.reset(StreamId(name), "as scripted".to_owned());
                if let Some(model) = &mut models[name as usize] {
                    if !matches!(model.behind, Some(Some(_))) {
                        model.behind = Some(Some(Errno::ECONNRESET));
                    }
                }
            }
            Event::Grant(name, more) => {
                streams.grant(StreamId(name), more);
                if let Some(credit) =
                    models[name as usize].as_mut().and_then(|it| it.credit.as_mut())
                {
                    *credit += more;
                }
            }
            Event::Take(name, most) => {
                let Some(model) = models[name as usize].as_mut().filter(|model| model.readable)
                else {
                    continue;
                };
                let taken = match (streams.front(StreamId(name)), model.behind) {
                    (Front::Bytes(bytes), _) => {
                        prop_assert_eq!(bytes.len() as u64, model.received - model.taken);
                        prop_assert!(ramp::verify(model.taken, bytes).is_ok());
                        bytes.len().min(most)
                    }
                    (Front::Dry, None) => 0,
                    (Front::End, Some(None)) => 0,
                    (Front::Failed(errno), Some(Some(expected))) => {
                        prop_assert_eq!(errno, expected);
                        0
                    }
                    (front, behind) => {
                        prop_assert!(false, "{front:?} with {behind:?} behind");
                        0
                    }
                };
                streams.take(StreamId(name), taken, &mut spares);
                model.taken += taken as u64;
                model.readable = !model.front_is_dry();
            }
            Event::Send(name, most) => {
                let Some(model) = models[name as usize].as_mut().filter(|model| model.writable)
                else {
                    continue;
                };
                match (streams.allowance(StreamId(name), room), model.behind) {
                    (Err(errno), Some(Some(expected))) => prop_assert_eq!(errno, expected),
                    (Ok(0), None | Some(None)) => model.writable = false,
                    (Ok(allowed), None | Some(None)) => {
                        prop_assert!(allowed <= room);
                        let sent = allowed.min(most);
                        if let Some(credit) = &mut model.credit {
                            prop_assert!(allowed as u64 <= *credit);
                            *credit -= sent as u64;
                        }
                        streams.sent(StreamId(name), sent);
                        room -= sent;
                    }
                    (allowance, behind) => {
                        prop_assert!(false, "{allowance:?} with {behind:?} behind");
                    }
                }
            }
            Event::Flush(left) => {
                room = room.max(left);
                goes_on = streams.wake(room);
            }
            Event::Close(name) => {
                streams.remove(StreamId(name), &mut spares);
                models[name as usize] = None;
            }
        }
        for (key, ready) in streams.take_news() {
            let name = keys.iter().position(|each| *each == key).unwrap();
            if let Some(model) = &mut models[name] {
                model.readable |= ready.readable;
                model.writable |= ready.writable || ready.error;
            }
        }
        let alive = || models.iter().flatten();
        prop_assert_eq!(streams.len(), alive().count());
        let queued: u64 = alive().map(|model| model.received - model.taken).sum();
        prop_assert_eq!(streams.queued as u64, queued);
        for model in alive() {
            prop_assert!(model.readable || model.front_is_dry(), "bytes that nobody is told of");
            prop_assert!(
                model.writable || !matches!(model.behind, Some(Some(_))),
                "an abort that nobody is told of"
            );
        }
    }
    // However it went: flushes with room end the waiting of all that have credit.
    for round in 0..=NAMES {
        prop_assert!(round < NAMES || !goes_on, "the line does not get shorter");
        goes_on = streams.wake(LIMITS.outbox);
    }
    for (key, ready) in streams.take_news() {
        let name = keys.iter().position(|each| *each == key).unwrap();
        models[name].iter_mut().for_each(|model| model.writable |= ready.writable || ready.error);
    }
    for model in models.iter().flatten() {
        prop_assert!(model.writable || model.credit == Some(0), "room that nobody is told of");
    }
    Ok(())
}

proptest! {
    #[test]
    fn a_stream_is_a_socket(events in proptest::collection::vec(event(), 0..200)) {
        play(events)?;
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    /// Many that always have something to send: the one that got least is never far behind.
    #[test]
    fn streams_that_send_get_the_same(count in 2..40u32, flushes in 20..60usize) {
        let mut table = Table::new();
        let mut streams = Streams::new(LIMITS);
        let keys: Vec<_> = (0..count).map(|name| {
            streams.open(StreamId(name), None);
            let key = table.insert(|_| name);
            streams.attach(StreamId(name), key);
            key
        }).collect();
        let mut ready: VecDeque<u32> = (0..count).collect();
        let mut sent = vec![0usize; count as usize];
        for _ in 0..flushes * count as usize {
            let mut room = LIMITS.outbox;
            for _ in 0..ready.len() {
                let name = ready.pop_front().unwrap();
                // As a lane does it: until there is no room, within its budget.
                let mut budget = 4;
                loop {
                    if budget == 0 {
                        ready.push_back(name);
                        break;
                    }
                    budget -= 1;
                    let allowed = streams.allowance(StreamId(name), room).unwrap().min(64 * 1024);
                    if allowed == 0 {
                        break;
                    }
                    streams.sent(StreamId(name), allowed);
                    (room, sent[name as usize]) = (room - allowed, sent[name as usize] + allowed);
                }
            }
            streams.wake(LIMITS.outbox);
            for (key, _) in streams.take_news() {
                ready.extend((0..).zip(&keys).find(|(_, each)| **each == key).map(|(name, _)| name));
            }
        }
        let (least, most) = (sent.iter().min().unwrap(), sent.iter().max().unwrap());
        prop_assert!(most - least <= 3 * LIMITS.outbox, "{least} and {most}");
    }
}
