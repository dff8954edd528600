//! A test, alone in its process, between two censuses.

use std::thread;

use nsplice_relay::{Clock, Settings};
use nsplice_testkit::census::alone;
use nsplice_testkit::Census;

/// Plays a test, and checks that the process then holds what it held before.
#[track_caller]
pub(crate) fn scene(play: impl FnOnce()) {
    let _alone = alone();
    let before = Census::own();
    play();
    before.assert_restored();
}

/// Plays a test twice at the same time: with splice(2) and without.
#[track_caller]
pub(crate) fn in_both_modes(play: impl Fn(Settings) + Sync) {
    scene(|| {
        let play = &play;
        thread::scope(|scope| {
            for (name, splice) in [("splice", true), ("copy", false)] {
                let settings = Settings { splice, ..Settings::default() };
                // A panic names its thread, and so the mode that failed.
                let thread = thread::Builder::new().name(name.to_owned());
                thread.spawn_scoped(scope, move || play(settings)).expect("a thread");
            }
        });
    });
}

/// The same with a clock that the play moves.
#[track_caller]
pub(crate) fn in_both_modes_at_leisure(play: impl Fn(Settings) + Sync) {
    in_both_modes(|settings| play(Settings { clock: Clock::movable(), ..settings }));
}

/// Runs two things at the same time: the two directions of a link, mostly.
pub(crate) fn at_once(one: impl FnOnce() + Send, other: impl FnOnce()) {
    thread::scope(|scope| {
        scope.spawn(one);
        other();
    });
}
