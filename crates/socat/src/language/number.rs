//! Numbers as C reads them: from the beginning of a text, for as far as it goes.
//!
//! Blanks and a sign may come first. `None` means that there is no number at all.

/// The number at the beginning of `text`, and what follows it; `base` 0 is told by the prefix.
/// Numbers that are too large become the largest.
pub(crate) fn integer(text: &[u8], base: u32) -> Option<(i64, &[u8])> {
    let (negative, number, rest) = magnitude(text, base)?;
    let number = i64::try_from(number).unwrap_or(i64::MAX);
    Some((if negative { -number } else { number }, rest))
}

/// The same as C's unsigned numbers are read: a minus makes it count down from zero, and so from the
/// largest.
pub(crate) fn unsigned(text: &[u8]) -> Option<(u64, &[u8])> {
    let (negative, number, rest) = magnitude(text, 0)?;
    Some((if negative { number.wrapping_neg() } else { number }, rest))
}

/// Whether a minus comes first, the number behind it, and what follows that.
fn magnitude(text: &[u8], base: u32) -> Option<(bool, u64, &[u8])> {
    let (negative, text) = sign(text);
    let (base, digits) = match (base, text) {
        (0, [b'0', b'x' | b'X', digit, ..]) if digit.is_ascii_hexdigit() => (16, &text[2..]),
        (0, [b'0', ..]) => (8, text),
        (0, _) => (10, text),
        _ => (base, text),
    };
    let length = digits.iter().take_while(|digit| char::from(**digit).is_digit(base)).count();
    let (digits, rest) = digits.split_at(length);
    if digits.is_empty() {
        return None;
    }
    let number = digits.iter().fold(0_u64, |number, digit| {
        let digit = char::from(*digit).to_digit(base).unwrap_or(0);
        number.saturating_mul(u64::from(base)).saturating_add(u64::from(digit))
    });
    Some((negative, number, rest))
}

/// The fraction at the beginning of `text`, and what follows it.
pub(crate) fn decimal(text: &[u8]) -> Option<(f64, &[u8])> {
    let (negative, text) = sign(text);
    let lower: Vec<u8> = text.iter().take(8).map(u8::to_ascii_lowercase).collect();
    if let Some(word) =
        ["infinity", "inf", "nan"].iter().find(|it| lower.starts_with(it.as_bytes()))
    {
        let number = if *word == "nan" { f64::NAN } else { f64::INFINITY };
        return Some((if negative { -number } else { number }, &text[word.len()..]));
    }
    if let (b"0x", Some((number, rest))) = (lower.get(..2).unwrap_or_default(), integer(text, 0)) {
        // What follows a hexadecimal point is left over, since nobody writes that.
        return Some((if negative { -(number as f64) } else { number as f64 }, rest));
    }
    let digits = |text: &[u8]| text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let mut length = digits(text);
    let mut figures = length;
    if text.get(length) == Some(&b'.') {
        let fraction = digits(&text[length + 1..]);
        figures += fraction;
        if figures > 0 {
            length += 1 + fraction;
        }
    }
    if figures == 0 {
        return None;
    }
    if matches!(text.get(length), Some(b'e' | b'E')) {
        let signed = usize::from(matches!(text.get(length + 1), Some(b'+' | b'-')));
        let exponent = text.get(length + 1 + signed..).map_or(0, digits);
        if exponent > 0 {
            length += 1 + signed + exponent;
        }
    }
    let (number, rest) = text.split_at(length);
    let number: f64 = std::str::from_utf8(number).ok()?.parse().ok()?;
    Some((if negative { -number } else { number }, rest))
}

/// Whether a minus comes first, and what follows it.
fn sign(text: &[u8]) -> (bool, &[u8]) {
    let text = text.trim_ascii_start();
    match text.first() {
        Some(b'-') => (true, &text[1..]),
        Some(b'+') => (false, &text[1..]),
        _ => (false, text),
    }
}
