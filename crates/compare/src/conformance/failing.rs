//! The fate of links when the target or the process of a link is lost.

use std::io::ErrorKind;

use nix::sys::signal::{kill, Signal};
use nix::unistd::Pid;
use nsplice_trial::Ending;
use socket2::Domain;

use super::census::descendants;
use super::scene::{Entrance, Link, Miss, Scene, Seen};
use crate::player::{Fault, Player};
use crate::subject::{Means, Route};

/// The process that is the target ends, and all that serves there.
///
/// On a stage with a target of its own: nobody else's is touched.
pub(super) fn target_gone(scene: &Scene<'_>) -> Seen {
    if matches!(scene.subject.means, Means::Peer(_)) {
        return Err(Miss::not_tried("it leads to a target that is not ours to end"));
    }
    if !scene.stage.is_own() {
        return Err(Miss::not_tried("the target is not ours to end"));
    }
    let mut stage = scene.stage.twin().map_err(|error| Miss::not_tried(error.to_string()))?;
    let running = scene
        .launcher
        .start(scene.subject, &stage, &Route::default())
        .map_err(|error| Miss::fault(error.to_string()))?;
    let address = running.address();
    // Where nobody is any more, no socket can be made.
    let socket = stage
        .connect_socket(scene.subject.birth(), Domain::for_address(address))
        .map_err(|error| Miss::not_tried(format!("cannot make a socket: {error}")))?;
    let entrance = Entrance::default();
    let there =
        Scene::new(&stage, scene.launcher, scene.subject, &running, stage.port(), &entrance);
    let Link { client, server } = there.link()?;
    server.say(0, 1)?;
    client.hear("first byte", 0, 1)?;
    stage.end_target();
    drop(server);
    let told = match client.ending() {
        ending @ (Ending::Fin | Ending::Reset) => ending,
        seen => return Err(client.otherwise("the end of its link", seen).into()),
    };
    drop(client);
    match Player::connect(socket, address) {
        Ok(next) => next.expect_reset()?,
        // It has stopped listening, or is a little late with the same answer.
        Err(Fault::Unconnected(error))
            if matches!(
                error.kind(),
                ErrorKind::ConnectionReset | ErrorKind::ConnectionRefused
            ) => {}
        Err(fault) => return Err(fault.into()),
    }
    Ok(format!("{told} to the link, RST to the next client"))
}

/// The process that carries a link is killed.
pub(super) fn child_killed(scene: &Scene<'_>) -> Seen {
    if !scene.subject.has_children() {
        return Err(Miss::not_tried(match scene.subject.means {
            Means::Peer(_) => "only what was started here is killed",
            _ => "there is no process for each link",
        }));
    }
    let pid = scene.pid()?;
    let before = descendants(pid);
    let Link { client, server } = scene.link()?;
    server.say(0, 1)?;
    client.hear("first byte", 0, 1)?;
    let children: Vec<_> =
        descendants(pid).into_iter().filter(|child| !before.contains(child)).collect();
    if children.is_empty() {
        return Err(Miss::fault("the link has no process"));
    }
    for child in children.iter().filter_map(|child| i32::try_from(*child).ok()) {
        // One that has ended just now needs no killing.
        let _ = kill(Pid::from_raw(child), Signal::SIGKILL);
    }
    client.expect_reset()?;
    Ok("RST".to_owned())
}
