//! Suggestions for a misspelt word.

/// The word of `known` that `word` is most likely a misspelling of; `None` if it resembles none.
///
/// Close is what a third of the letters make the difference to (added, left out, wrong, or two of
/// them swapped), what letters were only left out of, after the first (`frwd` for `forward`), and
/// what begins like it.
pub fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let letters = letters_of(word);
    let close = known.into_iter().filter_map(|candidate| {
        let other = letters_of(candidate);
        let distance = distance(&letters, &other);
        let most = (letters.len().max(other.len()) / 3).max(1);
        (distance <= most && distance < letters.len() || is_short_for(&letters, &other))
            .then_some((distance, candidate))
    });
    close.min_by_key(|(distance, _)| *distance).map(|(_, candidate)| candidate)
}

/// Neither case nor the kind of a dash makes a difference that is worth telling.
fn letters_of(word: &str) -> Vec<char> {
    word.chars().map(|c| if c == '_' { '-' } else { c.to_ascii_lowercase() }).collect()
}

/// Returns whether `short` begins `long`, or is it without some of its letters, but with the first
/// and half of them.
fn is_short_for(short: &[char], long: &[char]) -> bool {
    let mut rest = long.iter();
    let is_first_half = 2 * short.len() >= long.len() && short.first() == long.first();
    match short.len() {
        0 | 1 => false,
        length if length > 2 && long.starts_with(short) => true,
        _ => is_first_half && short.iter().all(|letter| rest.any(|other| other == letter)),
    }
}

/// How many letters have to be added, taken out, replaced or swapped with the next one to make one
/// word of the other (the distance of Damerau and Levenshtein, restricted to one change a place).
fn distance(one: &[char], other: &[char]) -> usize {
    let mut before: Vec<usize> = Vec::new();
    let mut above: Vec<usize> = (0..=other.len()).collect();
    for (i, a) in one.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, b) in other.iter().enumerate() {
            let replaced = above[j] + usize::from(a != b);
            let mut least = replaced.min(above[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && *a == other[j - 1] && one[i - 1] == *b {
                least = least.min(before[j - 1] + 1);
            }
            row.push(least);
        }
        before = std::mem::replace(&mut above, row);
    }
    above.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const COMMANDS: [&str; 6] = ["forward", "connect", "run", "check", "install", "compare"];

    #[test]
    fn slips_of_the_hand_are_understood() {
        for (word, meant) in [
            ("frwd", "forward"),
            ("forwrad", "forward"),
            ("Forward", "forward"),
            ("conect", "connect"),
            ("chekc", "check"),
            ("instal", "install"),
            ("comp", "compare"),
            ("rnu", "run"),
            ("ins", "install"),
        ] {
            assert_eq!(nearest(word, COMMANDS), Some(meant), "{word}");
        }
        assert_eq!(nearest("max_links", ["max-links", "linger"]), Some("max-links"));
        assert_eq!(nearest("lnger", ["max_links", "linger"]), Some("linger"));
    }

    #[test]
    fn what_resembles_nothing_is_left_alone() {
        for word in ["", "x", "version", "docker", "pid/7", "-"] {
            assert_eq!(nearest(word, COMMANDS), None, "{word}");
        }
        assert_eq!(nearest("pod", ["pid/", "tcp/"]), None);
        assert_eq!(nearest("run", []), None);
    }

    proptest! {
        #[test]
        fn a_distance_is_the_same_both_ways_and_nothing_only_from_itself(
            one in "[a-d]{0,6}", other in "[a-d]{0,6}"
        ) {
            let (a, b) = (letters_of(&one), letters_of(&other));
            prop_assert_eq!(distance(&a, &b), distance(&b, &a));
            prop_assert_eq!(distance(&a, &b) == 0, one == other);
            prop_assert!(distance(&a, &b) <= a.len().max(b.len()));
        }
    }
}
