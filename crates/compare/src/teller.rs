//! Tellers: they hear how far a comparison has come and what it has found, and may break it off.

use std::ops::ControlFlow;
use std::time::Duration;

use crate::load::report::Measurement;
use crate::model::Behaviour;

/// The point that a comparison has reached.
#[derive(Debug, Clone, Copy)]
pub struct Milestone<'a> {
    /// Steps that are finished.
    pub done: usize,
    /// Steps in all.
    pub total: usize,
    /// The work under way, e.g. `setns, bulk 1 stream up`.
    pub what: &'a str,
    /// The time that the rest will take, if that can be told.
    pub left: Option<Duration>,
    /// The findings by now.
    pub found: Found<'a>,
}

/// The findings of a part of a comparison so far, all of them.
#[derive(Debug, Clone, Copy)]
pub enum Found<'a> {
    /// The behaviours of subjects.
    Behaviours(&'a [Behaviour]),
    /// The costs of openings by themselves.
    Openings(&'a [Measurement]),
    /// The costs of everything else.
    Costs(&'a [Measurement]),
}

/// Hears of each step, from whichever thread has come to it. When it breaks, what is being done is
/// brought to its end and nothing else is begun: what has been found by then is the result.
pub type Teller<'a> = &'a (dyn Fn(&Milestone<'_>) -> ControlFlow<()> + Sync);
