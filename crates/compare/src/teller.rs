//! Who is told how far a comparison has come and what it has found, and may break it off.

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
    /// What is being done, e.g. `setns, bulk 1 stream up`.
    pub what: &'a str,
    /// How long the rest will take, if that can be told.
    pub left: Option<Duration>,
    /// What has been found by now.
    pub found: Found<'a>,
}

/// What a part of a comparison has found so far, all of it.
#[derive(Debug, Clone, Copy)]
pub enum Found<'a> {
    /// How subjects behave.
    Behaviours(&'a [Behaviour]),
    /// What openings cost by themselves.
    Openings(&'a [Measurement]),
    /// What everything else costs.
    Costs(&'a [Measurement]),
}

/// Hears of each step, from whichever thread has come to it. When it breaks, what is being done is
/// brought to its end and nothing else is begun: what has been found by then is the result.
pub type Teller<'a> = &'a (dyn Fn(&Milestone<'_>) -> ControlFlow<()> + Sync);
