//! Bytes that wait in memory, in one piece, taken from the front and added to the back.
//!
//! An empty queue owns no memory. What it owned goes to a few [`Spares`] of the loop, so that a
//! session that is busy asks the allocator for nothing.

/// A queue of bytes.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    bytes: Vec<u8>,
    /// So many of them have been taken already.
    taken: usize,
}

impl Queue {
    pub(crate) fn len(&self) -> usize {
        self.bytes.len() - self.taken
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The bytes that are queued.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes[self.taken..]
    }

    /// The last `count` bytes; `None` if there are fewer.
    pub(crate) fn tail(&mut self, count: usize) -> Option<&mut [u8]> {
        let from = self.bytes.len().checked_sub(count)?;
        (from >= self.taken).then(|| &mut self.bytes[from..])
    }

    /// Adds `bytes` to the back.
    pub(crate) fn push(&mut self, bytes: &[u8], spares: &mut Spares) {
        if self.bytes.capacity() == 0 {
            self.bytes = spares.take(bytes.len());
        } else if self.taken > 0 && self.bytes.len() + bytes.len() > self.bytes.capacity() {
            // What is moved is less than what has been taken, or the block grows: either way each
            // byte is moved a bounded number of times.
            if self.len() <= self.taken {
                self.bytes.drain(..self.taken);
                self.taken = 0;
            }
        }
        self.bytes.extend_from_slice(bytes);
    }

    /// Takes `count` bytes from the front.
    pub(crate) fn take(&mut self, count: usize, spares: &mut Spares) {
        self.taken = self.bytes.len().min(self.taken + count);
        if self.is_empty() {
            self.clear(spares);
        }
    }

    /// Throws away all bytes.
    pub(crate) fn clear(&mut self, spares: &mut Spares) {
        self.taken = 0;
        spares.give_back(std::mem::take(&mut self.bytes));
    }
}

/// Blocks of memory that are not in use.
#[derive(Debug, Default)]
pub(crate) struct Spares {
    blocks: Vec<Vec<u8>>,
}

/// Blocks that a loop keeps.
const MOST_SPARES: usize = 4;

/// A block that is kept has at least this capacity: less is cheap to allocate.
const LEAST: usize = 16 * 1024;

/// And at most this, so that a loop at rest keeps little.
const MOST: usize = 512 * 1024;

impl Spares {
    /// A block for at least `room` bytes, empty.
    fn take(&mut self, room: usize) -> Vec<u8> {
        // A small message is not to hold a large block for as long as nobody takes it.
        if room < LEAST {
            return Vec::with_capacity(room);
        }
        self.blocks.pop().unwrap_or_default()
    }

    fn give_back(&mut self, mut block: Vec<u8>) {
        if (LEAST..=MOST).contains(&block.capacity()) && self.blocks.len() < MOST_SPARES {
            block.clear();
            self.blocks.push(block);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_goes_in_comes_out_in_order(
            pushes in proptest::collection::vec((0..5000usize, 0..9000usize), 1..60),
        ) {
            let (mut queue, mut spares) = (Queue::default(), Spares::default());
            let mut model = std::collections::VecDeque::new();
            let mut next = 0u8;
            for (push, take) in pushes {
                let bytes: Vec<u8> = (0..push).map(|_| { next = next.wrapping_add(1); next }).collect();
                queue.push(&bytes, &mut spares);
                model.extend(bytes);
                let take = take.min(model.len());
                let taken: Vec<u8> = model.drain(..take).collect();
                prop_assert_eq!(&queue.bytes()[..take], &taken[..]);
                queue.take(take, &mut spares);
                prop_assert_eq!(queue.len(), model.len());
                prop_assert!(queue.tail(model.len() + 1).is_none());
                let tail = queue.tail(model.len().min(100)).unwrap().to_vec();
                prop_assert!(model.iter().skip(model.len() - tail.len()).eq(&tail));
                prop_assert!(!queue.is_empty() || queue.bytes.capacity() == 0, "an empty queue owns memory");
            }
            prop_assert!(spares.blocks.len() <= MOST_SPARES);
        }
    }
}
