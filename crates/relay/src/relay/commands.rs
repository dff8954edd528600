//! A loop's answers to commands.

use std::sync::mpsc::Sender;

use crate::glimpse::Glimpse;
use crate::labels::LinkId;
use crate::link::Next;
use crate::outcome::Outcome;

use super::handle::Command;
use super::Relay;

/// The detail of a link, or a session, that a command has ended.
const ENDED_BY_COMMAND: &str = "ended by command";

/// Answers, if whoever has asked is there still.
fn reply<T>(answer: &Sender<T>, value: T) {
    let _ = answer.send(value);
}

impl Relay {
    /// Does what the loop has been told since, and answers. What it is told meanwhile is for the next
    /// turn: whoever asks again as soon as he is answered does not hold the loop up.
    pub(super) fn obey(&mut self) {
        let commands: Vec<Command> = self.commands.try_iter().collect();
        for command in commands {
            match command {
                Command::Serve(service, listeners, answer) => {
                    reply(&answer, self.add_service(*service, listeners));
                }
                Command::Replace(service, with, answer) => {
                    reply(&answer, self.replace(service, *with));
                }
                Command::Retire(service, time, answer) => {
                    reply(&answer, self.retire(service, time));
                }
                Command::Services(answer) => reply(&answer, self.reports()),
                Command::Links(answer) => reply(&answer, self.glimpses()),
                Command::Sessions(answer) => reply(&answer, self.session_glimpses()),
                Command::End(link, answer) => reply(&answer, self.end(link)),
                Command::EndSession(session, answer) => {
                    reply(&answer, self.end_session_by_command(session, ENDED_BY_COMMAND));
                }
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
