//! What waits to be sent.

use std::ops::Range;

/// Bytes that the owner takes from the front, with one answer to a ping among them at most.
///
/// A peer that pings and never reads must not make them grow. So the answer to a ping replaces the one
/// before, if that is still here as a whole; it is the last ping that has to be answered (RFC 6455
/// section 5.5.3).
#[derive(Debug, Default)]
pub(crate) struct Output {
    pub(crate) bytes: Vec<u8>,
    answer: Option<Answer>,
}

/// Where the last answer to a ping stands, counted from the end: that does not change when the owner
/// takes bytes from the front.
#[derive(Debug, Clone, Copy)]
struct Answer {
    from_end: usize,
    length: usize,
}

impl Output {
    /// Adds bytes that are still to be filled in, and answers them.
    pub(crate) fn room(&mut self, length: usize) -> &mut [u8] {
        let at = self.bytes.len();
        self.bytes.resize(at + length, 0);
        if let Some(answer) = &mut self.answer {
            answer.from_end = answer.from_end.saturating_add(length);
        }
        &mut self.bytes[at..]
    }

    /// Adds the answer to a ping, a whole frame, or puts it where the last one still waits.
    pub(crate) fn answer(&mut self, frame: &[u8]) {
        let from_end = match self.waiting() {
            Some((range, answer)) => {
                drop(self.bytes.splice(range, frame.iter().copied()));
                answer.from_end - answer.length + frame.len()
            }
            None => {
                self.bytes.extend_from_slice(frame);
                frame.len()
            }
        };
        self.answer = Some(Answer { from_end, length: frame.len() });
    }

    /// The answer of which the owner has taken nothing yet.
    fn waiting(&self) -> Option<(Range<usize>, Answer)> {
        let answer = self.answer?;
        let at = self.bytes.len().checked_sub(answer.from_end)?;
        Some((at..at + answer.length, answer))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[derive(Debug, Clone)]
    enum Deed {
        Push(usize),
        Answer(usize),
        Take(usize),
    }

    proptest! {
        /// Against a list of what was put in, each byte of which says what it belongs to.
        #[test]
        fn only_the_last_answer_waits_and_nothing_else_is_touched(
            deeds in proptest::collection::vec(prop_oneof![
                (0..9usize).prop_map(Deed::Push),
                (2..9usize).prop_map(Deed::Answer),
                (0..12usize).prop_map(Deed::Take),
            ], 0..60),
        ) {
            let (mut output, mut model) = (Output::default(), Vec::<(u8, bool)>::new());
            // Where in the model the last answer is as a whole.
            let mut last: Option<Range<usize>> = None;
            for (number, deed) in (0..).zip(deeds) {
                match deed {
                    Deed::Push(length) => {
                        output.room(length).fill(number);
                        model.extend(std::iter::repeat_n((number, false), length));
                    }
                    Deed::Answer(length) => {
                        output.answer(&vec![number; length]);
                        let range = last.take().unwrap_or(model.len()..model.len());
                        last = Some(range.start..range.start + length);
                        model.splice(range, std::iter::repeat_n((number, true), length));
                    }
                    Deed::Take(length) => {
                        let length = length.min(model.len());
                        output.bytes.drain(..length);
                        model.drain(..length);
                        let left = last.as_ref().and_then(|it| it.start.checked_sub(length));
                        last = left.zip(last).map(|(start, it)| start..start + it.len());
                    }
                }
                let bytes: Vec<_> = model.iter().map(|(byte, _)| *byte).collect();
                prop_assert_eq!(&output.bytes, &bytes);
                // One that has begun to leave, and a whole one.
                prop_assert!(model.iter().filter(|(_, answer)| *answer).count() < 2 * 9);
            }
        }
    }
}
