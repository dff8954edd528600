//! What a loop answers to commands.

use std::sync::mpsc::Sender;

use crate::glimpse::Glimpse;
use crate::labels::LinkId;
use crate::link::Next;
use crate::outcome::Outcome;

use super::handle::Command;
use super::Relay;

/// What is said of a link that a command has ended.
const ENDED_BY_COMMAND: &str = "ended by command";

/// Answers, if whoever has asked is there still.
fn reply<T>(answer: &Sender<T>, value: T) {
    let _ = answer.send(value);
}

impl Relay {
    /// Does what the loop has been told since, and answers.
    pub(super) fn obey(&mut self) {
        while let Ok(command) = self.commands.try_recv() {
            match command {
                Command::Serve(forward, listeners, answer) => {
                    reply(&answer, self.add_forward(*forward, listeners));
                }
                Command::Replace(service, forward, answer) => {
                    reply(&answer, self.replace(service, *forward));
                }
                Command::Retire(service, time, answer) => {
                    reply(&answer, self.retire(service, time));
                }
                Command::Services(answer) => reply(&answer, self.reports()),
                Command::Links(answer) => reply(&answer, self.glimpses()),
                Command::End(link, answer) => reply(&answer, self.end(link)),
                Command::AddSource(source, answer) => reply(&answer, self.add_source(source)),
                Command::RemoveSource(source, answer) => {
                    reply(&answer, self.remove_source(source));
                }
                Command::Drain(time, answer) => {
                    self.drain(time);
                    reply(&answer, self.links.len());
                }
                Command::Stop(answer) => {
                    self.stop();
                    reply(&answer, self.links.len());
                }
            }
        }
    }

    fn glimpses(&self) -> Vec<Glimpse> {
        self.links.iter().map(|link| link.glimpse(self.now)).collect()
    }

    /// Ends the link that is named, if it is one of this loop's.
    fn end(&mut self, id: LinkId) -> bool {
        let Some(key) = self.links.iter().find(|link| link.id == id).map(|link| link.key) else {
            return false;
        };
        self.with_link(key, |link, turn| {
            if link.is_closing() {
                return link.hurry(turn.now);
            }
            link.detail = Some(ENDED_BY_COMMAND.to_owned());
            Next::End(Outcome::Stopped)
        });
        true
    }
}
