//! One candidate divided by another.
//!
//! One candidate is the *lead*: the first backend of nsplice that was measured. It is set against
//! the best of its *rivals*, for each figure by itself. Rivals are the peers and commands, or where
//! there are none the other backends. A yardstick is no rival, nor is a variant of the lead, such
//! as `setns-copy` of `setns`. A subject `nsplice-NAME` is no rival either, being nsplice itself,
//! but is set against the subject NAME that it stands in for.

use std::collections::BTreeMap;

use super::case::{best_of, is_stand_in, Case, Row, STAND_IN};
use crate::load::report::{Better, Figure};
use crate::model::SubjectKind;

/// By what something is divided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum By<'a> {
    /// By the best of the rivals, whichever that is.
    BestRival,
    /// By the subject of this name.
    Row(&'a str),
}

/// One candidate divided by another, figure by figure.
#[derive(Debug)]
pub(crate) struct Ratio<'a> {
    /// The subject that is divided.
    pub of: &'a str,
    /// By what.
    pub by: By<'a>,
    /// Both in words, e.g. `setns / best peer`.
    pub label: String,
    /// The quotient, and of which rival it is the best where that differs from figure to figure.
    pub quotients: BTreeMap<Figure, (f64, Option<&'a str>)>,
}

impl<'a> Case<'a> {
    /// The quotients that say how nsplice does, none if there is nothing to divide by.
    pub(crate) fn ratios(&self) -> Vec<Ratio<'a>> {
        let mut ratios = Vec::new();
        let lead = self.rows.iter().find(|row| row.kind == SubjectKind::Backend);
        if let Some(lead) = lead {
            let (rivals, what) = self.rivals(lead.subject);
            ratios.push(self.ratio(lead, By::BestRival, what, |figure| {
                best_of(&rivals, figure).map(|(name, median)| (median, Some(name)))
            }));
            for yardstick in self.rows.iter().filter(|row| row.kind.is_yardstick()) {
                ratios.push(self.ratio_to_row(lead, yardstick));
            }
        }
        for row in &self.rows {
            let original = row.subject.strip_prefix(STAND_IN).and_then(|name| self.row(name));
            if let Some(original) = original {
                ratios.push(self.ratio_to_row(row, original));
            }
        }
        ratios.retain(|ratio| !ratio.quotients.is_empty());
        ratios
    }

    fn rivals(&self, lead: &str) -> (Vec<&Row<'a>>, &'static str) {
        let is_ours = |name: &str| name.starts_with(lead) || is_stand_in(name);
        let others = |peers: bool| {
            self.rows
                .iter()
                .filter(|row| !row.kind.is_yardstick() && !is_ours(row.subject))
                .filter(|row| (row.kind != SubjectKind::Backend) == peers)
                .collect::<Vec<_>>()
        };
        let peers = others(true);
        if peers.is_empty() {
            (others(false), "best other")
        } else {
            (peers, "best peer")
        }
    }

    fn ratio_to_row(&self, row: &Row<'a>, divisor: &Row<'a>) -> Ratio<'a> {
        self.ratio(row, By::Row(divisor.subject), divisor.subject, |figure| {
            divisor.spread(figure).map(|spread| (spread.median, None))
        })
    }

    fn ratio(
        &self,
        row: &Row<'a>,
        by: By<'a>,
        what: &str,
        divisor: impl Fn(Figure) -> Option<(f64, Option<&'a str>)>,
    ) -> Ratio<'a> {
        let quotients = self.figures.iter().filter_map(|&figure| {
            // A difference to direct has no ratio that means anything.
            if figure == Figure::AddedMicros || figure.column()?.better == Better::Neither {
                return None;
            }
            let (divisor, name) = divisor(figure)?;
            let quotient = row.spread(figure)?.median / divisor;
            quotient.is_finite().then_some((figure, (quotient, name)))
        });
        let label = format!("{} / {what}", row.subject);
        Ratio { of: row.subject, by, label, quotients: quotients.collect() }
    }
}
