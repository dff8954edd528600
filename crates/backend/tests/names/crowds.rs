//! One look-up for all who want the same name in the same place.

use std::net::Ipv4Addr;

use nsplice_backend::Choice;
use nsplice_relay::{Attempt, Progress, Upstream, Wake};
use nsplice_testkit::{NameKeeper, Namespace, Server};

use crate::common::{counted, finish, opener, Container};
use crate::upstreams::behind;

const CONF: [(&str, &str); 1] = [("resolv.conf", "nameserver 127.0.0.1\noptions timeout:20\n")];

#[track_caller]
fn wait(attempt: &mut dyn Attempt) {
    assert!(matches!(attempt.advance(Wake::START), Progress::Waiting));
}

#[track_caller]
fn answer(keeper: &NameKeeper) {
    let questions = keeper.take_both();
    for question in &questions {
        assert_eq!(question.name(), "db");
        keeper.answer(question, Ipv4Addr::LOCALHOST);
    }
    assert_eq!(questions.iter().filter(|question| question.is_for_ipv4()).count(), 1);
}

#[track_caller]
fn opens(attempt: &mut dyn Attempt) {
    assert!(matches!(finish(attempt), Ok(Upstream::Stream(_))));
}

#[test]
fn many_clients_at_once_ask_once() {
    const TEST: &str = "many_clients_at_once_ask_once";
    counted(|| {
        let Some(namespace) = Namespace::for_test(TEST) else { return };
        let Some(container) = Container::new(TEST, &namespace, &CONF) else { return };
        let keeper = NameKeeper::in_namespace(&namespace);
        let server = Server::in_namespace(&namespace, "127.0.0.1:0", |_| ());
        let destination = behind(&container.target(), "db", server.port());
        // Two forwards, and two loops of each.
        let mut openers: Vec<_> = (0..4).map(|_| opener(&destination, Choice::Setns)).collect();
        let mut attempts: Vec<_> =
            openers.iter_mut().flat_map(|opener| [(); 25].map(|()| opener.open(None))).collect();
        attempts.iter_mut().for_each(|attempt| wait(attempt.as_mut()));
        answer(&keeper);
        attempts.iter_mut().for_each(|attempt| opens(attempt.as_mut()));
        assert!(keeper.take().is_none(), "asked again");
        // Nothing is kept: whoever comes later asks anew.
        let mut later = openers[0].open(None);
        wait(later.as_mut());
        answer(&keeper);
        opens(later.as_mut());
    });
}

#[test]
fn who_gives_up_stops_nobody_else() {
    const TEST: &str = "who_gives_up_stops_nobody_else";
    counted(|| {
        let Some(namespace) = Namespace::for_test(TEST) else { return };
        let Some(container) = Container::new(TEST, &namespace, &CONF) else { return };
        let keeper = NameKeeper::in_namespace(&namespace);
        let server = Server::in_namespace(&namespace, "127.0.0.1:0", |_| ());
        let destination = behind(&container.target(), "db", server.port());
        let mut opener = opener(&destination, Choice::Setns);
        let mut attempts = [(); 3].map(|()| opener.open(None));
        attempts.iter_mut().for_each(|attempt| wait(attempt.as_mut()));
        let questions = keeper.take_both();
        // All of them, one by one; the look-up goes on for whoever comes next.
        drop(attempts);
        let mut late = opener.open(None);
        wait(late.as_mut());
        questions.iter().for_each(|question| keeper.answer(question, Ipv4Addr::LOCALHOST));
        opens(late.as_mut());
        assert!(keeper.take().is_none(), "asked again");
        let mut two = [(); 2].map(|()| opener.open(None));
        two.iter_mut().for_each(|attempt| wait(attempt.as_mut()));
        let [impatient, mut patient] = two;
        drop(impatient);
        answer(&keeper);
        opens(patient.as_mut());
    });
}

/// Its predecessor may have other files, and its answers would lead elsewhere.
#[test]
fn a_look_up_in_one_container_is_no_answer_in_another() {
    const TEST: &str = "a_look_up_in_one_container_is_no_answer_in_another";
    counted(|| {
        let Some(one) = Namespace::for_test(TEST) else { return };
        let Some(other) = Namespace::for_test(TEST) else { return };
        let keepers = [&one, &other].map(NameKeeper::in_namespace);
        let server = Server::in_namespace(&other, "127.0.0.1:0", |_| ());
        let containers = [&one, &other].map(|each| Container::new(TEST, each, &CONF));
        let [Some(first), Some(second)] = containers else { return };
        let mut openers = [&first, &second]
            .map(|each| opener(&behind(&each.target(), "db", server.port()), Choice::Setns));
        let mut attempts = openers.each_mut().map(|opener| opener.open(None));
        attempts.iter_mut().for_each(|attempt| wait(attempt.as_mut()));
        keepers.iter().for_each(answer);
        let [first, mut second] = attempts;
        drop(first);
        opens(second.as_mut());
    });
}
