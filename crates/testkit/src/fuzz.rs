//! A small fuzzer: bytes that real programs have sent, broken in some places, for as long as it may
//! take.
//!
//! What a run does follows from one number, which it prints; so a run that failed can be repeated.

use std::env;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Numbers that look random: xorshift64* of Vigna, "An experimental exploration of Marsaglia's
/// xorshift generators" (2016).
#[derive(Debug, Clone)]
pub struct Dice(u64);

impl Dice {
    /// Dice whose throws follow from `seed`.
    pub fn new(seed: u64) -> Self {
        Self(seed | 1)
    }

    /// The next number.
    pub fn roll(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// The next number below `most`, or 0 where there is none.
    pub fn below(&mut self, most: usize) -> usize {
        let number = self.roll() % most.max(1) as u64;
        usize::try_from(number).unwrap_or(0)
    }

    /// The next byte.
    pub fn byte(&mut self) -> u8 {
        self.roll().to_le_bytes()[3]
    }
}

/// The bytes of all files in `directory`, in the order of their names.
///
/// # Panics
/// If there are none.
pub fn corpus(directory: &Path) -> Vec<Vec<u8>> {
    let entries = fs::read_dir(directory).expect("a directory of files");
    let mut paths: Vec<_> = entries.map(|entry| entry.expect("a file").path()).collect();
    assert!(!paths.is_empty(), "nothing in {}", directory.display());
    paths.sort();
    paths.iter().map(|path| fs::read(path).expect("a file that can be read")).collect()
}

/// Breaks `bytes` in a few places, with pieces of `others` and with what `noise` makes.
pub fn mutate(
    bytes: &mut Vec<u8>,
    others: &[Vec<u8>],
    dice: &mut Dice,
    noise: impl Fn(&mut Dice) -> Vec<u8>,
) {
    for _ in 0..=dice.below(6) {
        let at = dice.below(bytes.len());
        match dice.below(7) {
            0 if !bytes.is_empty() => bytes[at] ^= 1 << dice.below(8),
            1 if !bytes.is_empty() => bytes[at] = [0, 1, 0x7f, 0x80, 0xff][dice.below(5)],
            2 => bytes.truncate(at),
            3 => drop(bytes.drain(at..(at + dice.below(64)).min(bytes.len()))),
            4 => {
                let piece = bytes[at..(at + dice.below(200)).min(bytes.len())].to_vec();
                bytes.splice(at..at, piece);
            }
            5 => {
                let other = &others[dice.below(others.len())];
                let from = dice.below(other.len());
                bytes.extend_from_slice(&other[from..]);
            }
            _ => drop(bytes.splice(at..at, noise(dice))),
        }
    }
}

/// Plays `round`, with its number and the dice, for as many seconds as the environment says in
/// `NAME_SECONDS`, 2 if it says nothing, and 100 times at least. `NAME_SEED` sets the number that
/// all follows from.
pub fn play(name: &str, mut round: impl FnMut(usize, &mut Dice)) {
    let number = |name: String| env::var(name).ok().and_then(|value| value.parse::<u64>().ok());
    let time = Duration::from_secs(number(format!("{name}_SECONDS")).unwrap_or(2));
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let seed = number(format!("{name}_SEED")).unwrap_or_else(|| now.subsec_nanos().into());
    println!("{name}_SEED={seed}");
    let mut dice = Dice::new(seed);
    let (begun, mut rounds) = (Instant::now(), 0);
    while rounds < 100 || begun.elapsed() < time {
        round(rounds, &mut dice);
        rounds += 1;
    }
    println!("{rounds} rounds");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_dice_throw_follows_from_the_seed() {
        let throws = |seed| {
            let mut dice = Dice::new(seed);
            (0..20).map(|_| dice.below(1000)).collect::<Vec<_>>()
        };
        assert_eq!(throws(7), throws(7));
        assert_ne!(throws(7), throws(9));
        assert_eq!(Dice::new(0).below(0), 0);
    }
}
