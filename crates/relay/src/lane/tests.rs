//! Property tests of a lane with a scripted mover.
//!
//! The script is a list of things that a source, a sink and the kernel may do in any order. After
//! each of them the promises must hold: what came out is a prefix of what went in, nothing is read
//! while something is pending, a lane that waits waits for an event that can still come, and a
//! turn ends within its budget. A failing script is printed and replayed from proptest's seed file,
//! or with `PROPTEST_CASES` raised to search further.

use proptest::prelude::*;

use super::*;
use crate::lane::low_water::{LongBurst, RAISED_MARK};
use crate::lane::mode::COPY_BUFFER;
use crate::lane::step::Means;

/// What the world around a lane may do.
#[derive(Debug, Clone)]
enum Deed {
    /// The source gets this many bytes, and the kernel says so.
    Arrive(usize),
    /// The sink gets room for this many bytes, and the kernel says so if it was full.
    Drain(usize),
    /// The source ends.
    End,
    /// The source is reset.
    ResetSource,
    /// The sink is reset.
    ResetSink,
    /// The kernel reports readiness that was known already.
    Rumour,
    /// The loop gives the lane another turn for no reason.
    Turn,
    /// So much time passes that patience with the source ends.
    Wait,
}

fn deeds() -> impl Strategy<Value = Vec<Deed>> {
    let size = prop_oneof![1..2000usize, 10_000..400_000usize];
    let deed = prop_oneof![
        6 => size.clone().prop_map(Deed::Arrive),
        6 => size.prop_map(Deed::Drain),
        1 => Just(Deed::End),
        1 => Just(Deed::ResetSource),
        1 => Just(Deed::ResetSink),
        2 => Just(Deed::Rumour),
        2 => Just(Deed::Turn),
        2 => Just(Deed::Wait),
    ];
    prop::collection::vec(deed, 1..60)
}

/// A source and a sink that count bytes: since bytes have no names here, their order is that of the
/// counts, and the invariant is that `delivered + pending == taken` at every moment.
#[derive(Debug, Default)]
struct World {
    arrived: u64,
    taken: u64,
    delivered: u64,
    room: usize,
    ended: bool,
    source_reset: bool,
    sink_reset: bool,
    /// The low-water mark of the source is up.
    heaps_only: bool,
    /// Sink that refuses splice(2) after having been given bytes by it.
    refuses: bool,
    carries: u32,
}

impl World {
    fn pending(&self) -> usize {
        usize::try_from(self.taken - self.delivered).expect("a small test")
    }

    /// Returns whether the kernel tells of what the source has queued.
    fn is_told(&self) -> bool {
        !self.heaps_only || self.arrived - self.taken >= RAISED_MARK as u64
    }

    /// Gives pending bytes to the sink.
    fn offer(&mut self) -> (usize, Sink) {
        if self.sink_reset {
            return (0, Sink::Failed(Errno::EPIPE));
        }
        let written = self.pending().min(self.room);
        self.room -= written;
        self.delivered += written as u64;
        let sink = if self.pending() > 0 { Sink::Full } else { Sink::Taking };
        (written, sink)
    }
}

impl Mover for World {
    fn carry(&mut self, means: Means) -> Moved {
        self.carries += 1;
        assert_eq!(self.pending(), 0, "read while bytes were pending");
        let queued = usize::try_from(self.arrived - self.taken).expect("a small test");
        if queued == 0 {
            let source = match (self.source_reset, self.ended) {
                (true, _) => Source::Failed(Errno::ECONNRESET),
                (_, true) => Source::Ended,
                // What splice(2) says of a dry source is not believed.
                _ if means != Means::Copy => Source::More,
                _ => Source::Dry,
            };
            return Moved { source, ..Moved::NOTHING };
        }
        let most = if means == Means::Copy { COPY_BUFFER } else { 200_000 };
        let read = queued.min(most);
        self.taken += read as u64;
        let short = means == Means::Copy && read < most;
        let source = if short { Source::Short } else { Source::More };
        if self.refuses && means != Means::Copy {
            return Moved { read, source, refused: Some(Errno::EINVAL), ..Moved::NOTHING };
        }
        let (written, sink) = self.offer();
        let no_heap = means == Means::Raised && written == read && !(self.is_told() || self.ended);
        let source = if no_heap { Source::Short } else { source };
        Moved { read, written, source, sink, refused: None }
    }

    fn flush(&mut self) -> Moved {
        assert!(self.pending() > 0, "nothing to flush");
        let (written, sink) = self.offer();
        Moved { written, sink, ..Moved::NOTHING }
    }
}

/// A lane in its world, with the readiness that events have told.
struct Scene {
    world: World,
    lane: Lane,
    source: Readiness,
    sink: Readiness,
    now: Instant,
    over: bool,
}

impl Scene {
    fn new(mode: Mode, refuses: bool) -> Self {
        Self {
            world: World { refuses, ..World::default() },
            lane: Lane::new(mode),
            source: Readiness::default(),
            sink: Readiness::default(),
            now: Instant::now(),
            over: false,
        }
    }

    /// One that has come to wait for heaps.
    fn with_heaps() -> Self {
        let mut scene = Self::new(Mode::Splicing { small: 0 }, false);
        while scene.lane.note_read(RAISED_MARK as u64, scene.now, &LongBurst::default())
            != Mark::Raised
        {}
        scene.world.heaps_only = true;
        scene
    }

    fn happen(&mut self, deed: &Deed) {
        let world = &mut self.world;
        match deed {
            Deed::Arrive(_) if world.ended || world.source_reset => {}
            Deed::Arrive(count) => {
                world.arrived += *count as u64;
                if world.is_told() {
                    self.source.set_readable(true);
                }
            }
            Deed::Drain(count) => {
                world.room = world.room.saturating_add(*count);
                self.sink.set_writable(true);
            }
            Deed::End => {
                world.ended = true;
                self.source.set_readable(true);
                self.source.set_something_behind();
            }
            Deed::ResetSource => {
                world.source_reset = true;
                self.source.set_readable(true);
                self.source.set_something_behind();
            }
            Deed::ResetSink => {
                world.sink_reset = true;
                self.sink.set_writable(true);
            }
            Deed::Rumour => {
                self.source.set_readable(true);
                self.sink.set_writable(true);
            }
            Deed::Turn => {}
            Deed::Wait => {
                if let Some(deadline) = self.lane.patience() {
                    self.now = deadline;
                    let mark = self.lane.lose_patience(self.now);
                    assert_eq!(mark, Mark::Lowered);
                    self.apply(mark);
                }
            }
        }
        self.writers();
    }

    /// Gives the lane writers until it waits or is over.
    fn writers(&mut self) {
        for _ in 0..100_000 {
            if self.over {
                return;
            }
            let (carries, taken) = (self.world.carries, self.world.taken);
            let stop =
                self.lane.run(&mut self.world, &mut self.source, &mut self.sink, Budget::TURN);
            let mark =
                self.lane.note_read(self.world.taken - taken, self.now, &LongBurst::default());
            self.apply(mark);
            assert!(self.world.carries - carries <= Budget::TURN.steps, "a turn beyond its budget");
            self.check_books();
            match stop {
                Stop::Again => {}
                Stop::Waiting if mark == Mark::Lowered => {}
                Stop::Waiting => return self.check_wait(),
                Stop::SourceFailed(_) => {
                    assert!(self.world.source_reset, "an error from nowhere");
                    self.over = true;
                }
                Stop::SinkFailed(_) => {
                    assert!(self.world.sink_reset, "an error from nowhere");
                    assert_eq!(self.lane.phase(), Phase::Dead);
                    self.over = true;
                }
            }
        }
        panic!("the lane spins: {:?} {:?}", self.lane, self.world);
    }

    /// What a link does with the mark.
    fn apply(&mut self, mark: Mark) {
        if mark == Mark::Lowered {
            self.world.heaps_only = false;
            self.source.set_readable(true);
        }
    }

    fn check_books(&self) {
        let traffic = self.lane.traffic();
        assert_eq!(traffic.read, self.world.taken);
        assert_eq!(traffic.written, self.world.delivered);
        assert_eq!(self.lane.pending(), self.world.pending() as u64);
        assert!(self.world.taken <= self.world.arrived);
    }

    /// A waiting lane must wait for something that an event will still tell.
    fn check_wait(&self) {
        match self.lane.phase() {
            Phase::Ended => {
                assert!(self.world.ended, "an end from nowhere");
                assert_eq!(self.world.delivered, self.world.arrived, "ended before delivery");
            }
            Phase::Draining => assert!(!self.sink.writable() && self.lane.pending() > 0),
            Phase::Flowing if self.lane.pending() > 0 => {
                assert!(!self.sink.writable(), "pending bytes, a ready sink, and nobody moves");
            }
            Phase::Flowing => {
                assert!(!self.source.readable() || !self.sink.writable(), "ready and waiting");
                let queued = self.world.arrived > self.world.taken || self.world.ended;
                let patient = self.lane.patience().is_some() && !self.world.ended;
                let lost = queued && !self.source.readable() && !patient;
                assert!(!lost, "bytes in the queue and the readable bit is gone");
            }
            Phase::Done => {}
            Phase::Dead => panic!("dead without a cause"),
        }
    }
}

fn paces() -> impl Strategy<Value = Mode> {
    prop_oneof![
        Just(Mode::CopyOnly),
        Just(Mode::Copying { large: 0 }),
        Just(Mode::Splicing { small: 0 }),
    ]
}

proptest! {
    #[test]
    fn bytes_whole_and_in_order(deeds in deeds(), mode in paces(), refuses: bool, heaps: bool) {
        let mut scene = if heaps { Scene::with_heaps() } else { Scene::new(mode, refuses) };
        for deed in &deeds {
            scene.happen(deed);
        }
        // Whatever has happened, with room enough and an end everything is delivered, once.
        if !scene.over {
            scene.happen(&Deed::Drain(usize::MAX / 2));
            scene.happen(&Deed::End);
        }
        if !scene.over {
            prop_assert_eq!(scene.lane.phase(), Phase::Ended);
            prop_assert_eq!(scene.world.delivered, scene.world.arrived);
            scene.lane.fin_passed();
            scene.happen(&Deed::Rumour);
            prop_assert_eq!(scene.lane.phase(), Phase::Done, "the FIN is passed on once");
        }
    }

    #[test]
    fn all_means_deliver_the_same(deeds in deeds()) {
        let deliveries = [Mode::CopyOnly, Mode::Copying { large: 0 }, Mode::Splicing { small: 0 }]
            .map(|mode| {
                let mut scene = Scene::new(mode, false);
                deeds.iter().for_each(|deed| scene.happen(deed));
                (scene.over, scene.lane.phase(), scene.world.delivered)
            });
        prop_assert_eq!(deliveries[0], deliveries[1]);
        prop_assert_eq!(deliveries[0], deliveries[2]);
    }
}

#[test]
fn a_short_read_before_the_fin_is_not_the_end_of_readiness() {
    let mut scene = Scene::new(Mode::Copying { large: 0 }, false);
    scene.sink.set_writable(true);
    scene.world.room = usize::MAX / 2;
    scene.happen(&Deed::Arrive(10));
    assert!(!scene.source.readable(), "a short read empties the queue");
    scene.world.arrived += 10;
    scene.happen(&Deed::End);
    assert_eq!(scene.lane.phase(), Phase::Ended, "the end that came with the bytes is seen");
}

#[test]
fn an_ended_source_is_drained_before_the_end() {
    let mut scene = Scene::new(Mode::Copying { large: 0 }, false);
    scene.sink.set_writable(true);
    scene.happen(&Deed::Arrive(100));
    scene.lane.end_source();
    assert_eq!(scene.lane.phase(), Phase::Draining);
    scene.world.ended = true;
    scene.happen(&Deed::Drain(1000));
    assert_eq!(scene.lane.phase(), Phase::Ended);
    assert_eq!(scene.world.delivered, 100);
}

#[test]
fn patience_brings_the_tail_that_no_event_tells_of() {
    let mut scene = Scene::with_heaps();
    scene.happen(&Deed::Drain(usize::MAX / 2));
    scene.happen(&Deed::Arrive(RAISED_MARK));
    assert!(scene.world.delivered > 0, "a heap is told");
    let before = scene.world.delivered;
    scene.happen(&Deed::Arrive(100));
    assert_eq!(scene.world.delivered, before, "this is none");
    scene.happen(&Deed::Wait);
    assert_eq!(scene.world.delivered, scene.world.arrived);
    scene.happen(&Deed::Arrive(100));
    assert_eq!(scene.world.delivered, scene.world.arrived, "the mark is down again");
}
