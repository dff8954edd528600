//! A client, from its first request to its last forwarded connection.
//!
//! It goes through three states: a head is read, a question about pods may have to be answered, and
//! after the answer the next head is read; or what was asked for is an upgrade, and the rest of the
//! connection is `forwarding.rs`. While a question is open, what the client sends is kept, up to a bound.

use std::sync::Arc;
use std::time::{Duration, Instant};

use nsplice_relay::{Ending, Life, Limit, Limits, Ops, Outbox, Outcome, Session, Side, StreamId};

use crate::answer::{document, Connection, Refusal};
use crate::api::{self, Api, Form};
use crate::carriage::Bare;
use crate::forwarding::Forwarding;
use crate::head::{Head, HeadError, Received, LONGEST};
use crate::pods::{Asked, NoPod, Phase, Pod, PodName, PodView, Pods};
use crate::request::{switching, Request};

/// The time that a head may take, from its first byte to its last; and that for the first byte of the
/// first one.
const HEAD_TIME: Duration = Duration::from_secs(10);

/// The time that a connection is kept for another request.
const KEPT_TIME: Duration = Duration::from_secs(60);

/// The time that an answer about pods may take.
const ANSWER_TIME: Duration = Duration::from_secs(30);

/// How often an answer is looked for, while one is waited for. Nothing wakes a session but its client
/// and its time.
const LOOK_AGAIN: Duration = Duration::from_millis(4);

/// A client that speaks HTTP, and then SPDY.
#[derive(Debug)]
pub(crate) struct HttpSession {
    pods: Arc<dyn Pods>,
    api: Api,
    limits: Limits,
    /// What has come and was not understood yet.
    received: Received,
    state: State,
}

#[derive(Debug)]
enum State {
    /// A head is read.
    Reading { until: Instant },
    /// Somebody is asked about pods.
    Asking { question: Question, connection: Connection, next: Instant, until: Instant },
    /// Connections are forwarded.
    Forwarding(Box<Forwarding>),
}

/// What was asked, and what the answer is for.
#[derive(Debug)]
enum Question {
    Forward(PodName, Box<dyn Asked<Arc<dyn Pod>>>),
    Pod(PodName, Form, Box<dyn Asked<Arc<dyn Pod>>>),
    Pods(Form, Box<dyn Asked<Vec<PodView>>>),
}

/// What is done about a question.
#[derive(Debug)]
enum Reply {
    Document(serde_json::Value),
    Refused(Refusal),
    Forward(Arc<dyn Pod>),
}

impl HttpSession {
    pub(crate) fn new(pods: Arc<dyn Pods>, api: Api, limits: Limits, now: Instant) -> Self {
        let state = State::Reading { until: now + HEAD_TIME };
        Self { pods, api, limits, received: Received::default(), state }
    }

    /// Goes on as far as that is possible with what has come.
    fn go_on(&mut self, ops: &mut Ops<'_>) -> Life {
        loop {
            let life = match &mut self.state {
                State::Reading { .. } => match self.received.head() {
                    Ok(None) => return Life::Goes,
                    Ok(Some(head)) => self.begin(&head, ops),
                    Err(error) => return refuse(&unreadable(error), ops),
                },
                State::Asking { question, connection, .. } => {
                    let Some(reply) = question.reply() else { return Life::Goes };
                    let connection = *connection;
                    self.reply(reply, connection, ops)
                }
                State::Forwarding(forwarding) => {
                    let rest = self.received.take();
                    return forwarding.receive(&rest, ops);
                }
            };
            if life != Life::Goes {
                return life;
            }
        }
    }

    /// Does what a head asks for.
    fn begin(&mut self, head: &Head, ops: &mut Ops<'_>) -> Life {
        let connection = if head.is_kept() { Connection::Kept } else { Connection::Closed };
        let request = match Request::read(head, self.api) {
            Ok(request) => request,
            // What follows is not to be taken for a head.
            Err(refusal) if head.has_body() => return refuse(&refusal, ops),
            Err(refusal) => return self.reply(Reply::Refused(refusal), connection, ops),
        };
        let question = match request {
            Request::Document(path) => {
                let reply = api::document(&path).map(Reply::Document);
                let reply = reply.unwrap_or_else(|| Reply::Refused(Refusal::no_path()));
                return self.reply(reply, connection, ops);
            }
            Request::Forward(name) => {
                let asked = self.pods.find(&name);
                Question::Forward(name, asked)
            }
            Request::Pod(name, form) => {
                let asked = self.pods.find(&name);
                Question::Pod(name, form, asked)
            }
            Request::Pods(namespace, form) => {
                Question::Pods(form, self.pods.list(namespace.as_deref()))
            }
        };
        let now = ops.now();
        let (next, until) = (now + LOOK_AGAIN, now + ANSWER_TIME);
        self.state = State::Asking { question, connection, next, until };
        Life::Goes
    }

    /// Answers a request, and is ready for the next or for what was asked for.
    fn reply(&mut self, reply: Reply, connection: Connection, ops: &mut Ops<'_>) -> Life {
        let now = ops.now();
        let answer = match reply {
            Reply::Forward(pod) => {
                ops.out().push(&switching());
                let forwarding = Forwarding::new(pod, self.limits.clone(), Box::new(Bare), now);
                self.state = State::Forwarding(Box::new(forwarding));
                return Life::Goes;
            }
            Reply::Document(value) => document(&value, connection),
            Reply::Refused(refusal) => refusal.answer(connection),
        };
        ops.out().push(&answer);
        let time = if self.received.is_empty() { KEPT_TIME } else { HEAD_TIME };
        self.state = State::Reading { until: now + time };
        match connection {
            Connection::Kept => Life::Goes,
            Connection::Closed => Life::Over(Outcome::Clean, None),
        }
    }
}

impl Question {
    /// What the answer comes to, once it is there.
    fn reply(&mut self) -> Option<Reply> {
        Some(match self {
            Self::Forward(name, asked) => match asked.take()? {
                Ok(pod) if pod.view().phase == Phase::Stopped => {
                    Reply::Refused(Refusal::not_running(name))
                }
                Ok(pod) => Reply::Forward(pod),
                Err(why) => Reply::Refused(refused(name, &why)),
            },
            Self::Pod(name, form, asked) => match asked.take()? {
                Ok(pod) => Reply::Document(api::pod(pod.view(), *form)),
                Err(why) => Reply::Refused(refused(name, &why)),
            },
            Self::Pods(form, asked) => match asked.take()? {
                Ok(pods) => Reply::Document(api::pods(&pods, *form)),
                Err(why) => Reply::Refused(Refusal::of(None, &why)),
            },
        })
    }
}

fn refused(name: &PodName, why: &NoPod) -> Refusal {
    Refusal::of(Some(name), why)
}

fn unreadable(error: HeadError) -> Refusal {
    match error {
        HeadError::TooLong => Refusal::too_long(error.to_string()),
        HeadError::Malformed(_) => Refusal::bad_request(error.to_string()),
    }
}

/// Says why, and ends the connection.
fn refuse(refusal: &Refusal, ops: &mut Ops<'_>) -> Life {
    ops.out().push(&refusal.answer(Connection::Closed));
    Life::Over(Outcome::Failed(Side::Downstream), Some(refusal.message.clone()))
}

impl Session for HttpSession {
    fn receive(&mut self, bytes: &[u8], ops: &mut Ops<'_>) -> Life {
        let length = self.received.len() + bytes.len();
        match &mut self.state {
            State::Forwarding(forwarding) => return forwarding.receive(bytes, ops),
            // Requests may follow each other closely, but each is answered before the next is read.
            State::Reading { .. } if length > 2 * LONGEST => {
                return refuse(&unreadable(HeadError::TooLong), ops);
            }
            State::Reading { until } if self.received.is_empty() => {
                *until = (*until).min(ops.now() + HEAD_TIME);
            }
            State::Reading { .. } => {}
            State::Asking { .. } if length > LONGEST => {
                let refusal = Refusal::bad_request("too much was sent before the answer");
                return refuse(&refusal, ops);
            }
            State::Asking { .. } => {}
        }
        self.received.push(bytes);
        self.go_on(ops)
    }

    fn send(&mut self, stream: StreamId, bytes: &[u8], out: &mut Outbox<'_>) {
        if let State::Forwarding(forwarding) = &mut self.state {
            forwarding.send(stream, bytes, out);
        }
    }

    fn finish(&mut self, stream: StreamId, out: &mut Outbox<'_>) {
        if let State::Forwarding(forwarding) = &mut self.state {
            forwarding.finish(stream, out);
        }
    }

    fn close(&mut self, stream: StreamId, ending: Ending<'_>, out: &mut Outbox<'_>) {
        if let State::Forwarding(forwarding) = &mut self.state {
            forwarding.close(stream, ending, out);
        }
    }

    fn deadline(&self) -> Option<Instant> {
        match &self.state {
            State::Reading { until } => Some(*until),
            State::Asking { next, .. } => Some(*next),
            State::Forwarding(forwarding) => forwarding.deadline(),
        }
    }

    fn expire(&mut self, ops: &mut Ops<'_>) -> Life {
        let now = ops.now();
        match &mut self.state {
            State::Forwarding(forwarding) => forwarding.expire(ops),
            // Nothing is on its way, and nobody is told anything.
            State::Reading { until } if *until <= now && self.received.is_empty() => {
                Life::Over(Outcome::Clean, None)
            }
            State::Reading { until } if *until <= now => {
                let refusal = Refusal::slow();
                ops.out().push(&refusal.answer(Connection::Closed));
                Life::Over(Outcome::Expired(Limit::Idle), Some(refusal.message))
            }
            State::Reading { .. } => Life::Goes,
            State::Asking { until, .. } if *until <= now => refuse(&Refusal::no_answer(), ops),
            State::Asking { next, .. } => {
                *next = now + LOOK_AGAIN;
                self.go_on(ops)
            }
        }
    }

    fn drain(&mut self, out: &mut Outbox<'_>) {
        if let State::Forwarding(forwarding) = &mut self.state {
            forwarding.drain(out);
        }
    }
}
