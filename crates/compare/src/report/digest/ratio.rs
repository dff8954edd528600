//! One candidate divided by another.
//!
//! One candidate is the *lead*: the first backend of nsplice that was measured. It is set against the best of its
//! *rivals*, for each figure by itself. Rivals are the peers and commands, or where there are none the other backends.
//! A yardstick is no rival, nor is a variant of the lead, such as `setns-copy` of `setns`. A subject `nsplice-NAME` is
//! no rival either, being nsplice itself, but is set against the subject NAME that it stands in for.

use std::collections::BTreeMap;

use super::{best_of, Case, Row};
use crate::load::report::{Better, Figure};
use crate::model::SubjectKind;

/// What a stand-in is called: this, and the name of the other.
const STAND_IN: &str = "nsplice-";

/// One candidate divided by another, figure by figure.
#[derive(Debug)]
pub struct Ratio<'a> {
    /// Which by which, e.g. `setns / best peer`.
    pub label: String,
    /// The quotient, and of which rival it is the best where that differs from figure to figure.
    pub quotients: BTreeMap<Figure, (f64, Option<&'a str>)>,
}

impl<'a> Case<'a> {
    /// The quotients that say how nsplice does, none if there is nothing to divide by.
    #[must_use]
    pub fn ratios(&self) -> Vec<Ratio<'a>> {
        let mut ratios = Vec::new();
        let lead = self.rows.iter().find(|row| row.kind == SubjectKind::Backend);
        if let Some(lead) = lead {
            let (rivals, what) = self.rivals(lead.subject);
            ratios.push(self.ratio(lead, format!("{} / {what}", lead.subject), |figure| {
                best_of(&rivals, figure).map(|(name, median)| (median, Some(name)))
            }));
            for yardstick in self.rows.iter().filter(|row| row.kind.is_yardstick()) {
                let label = format!("{} / {}", lead.subject, yardstick.subject);
                ratios.push(self.ratio(lead, label, |figure| {
                    yardstick.spread(figure).map(|spread| (spread.median, None))
                }));
            }
        }
        for row in &self.rows {
            let original = row.subject.strip_prefix(STAND_IN).and_then(|name| self.row(name));
            if let Some(original) = original {
                let label = format!("{} / {}", row.subject, original.subject);
                ratios.push(self.ratio(row, label, |figure| {
                    original.spread(figure).map(|spread| (spread.median, None))
                }));
            }
        }
        ratios.retain(|ratio| !ratio.quotients.is_empty());
        ratios
    }

    fn rivals(&self, lead: &str) -> (Vec<&Row<'a>>, &'static str) {
        let is_ours = |name: &str| name.starts_with(lead) || name.starts_with(STAND_IN);
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

    fn ratio(
        &self,
        row: &Row<'a>,
        label: String,
        by: impl Fn(Figure) -> Option<(f64, Option<&'a str>)>,
    ) -> Ratio<'a> {
        let quotients = self.figures.iter().filter_map(|&figure| {
            // A difference to direct has no ratio that means anything.
            if figure == Figure::AddedMicros || figure.column()?.better == Better::Neither {
                return None;
            }
            let (divisor, name) = by(figure)?;
            let quotient = row.spread(figure)?.median / divisor;
            quotient.is_finite().then_some((figure, (quotient, name)))
        });
        Ratio { label, quotients: quotients.collect() }
    }
}
