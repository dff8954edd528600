//! Measurements, summed up and put in order: for each workload a case, with a row for each subject.
//!
//! Cases come section by section, within a section as they were measured. Rows begin with the
//! direct connect, then the floor, then the candidates in the order of the comparison.
//!
//! Rounds in which other work on the machine took much CPU are left out wherever a subject has
//! calmer ones, by the same rule for all: caches and a CPU taken away cost the relay too. A row
//! that had none but such is not calm.

mod case;
mod headline;
mod ratio;
mod section;

pub(crate) use case::{cases, is_calm, is_stand_in, Case, Row, DISTURBED, NEVER_CALM};
pub(in crate::report) use case::{in_order, in_order_of_rows};
pub(crate) use headline::{headlines, Headline};
pub(crate) use ratio::{By, Ratio};
pub(crate) use section::Section;
