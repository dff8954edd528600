//! Values of the configuration file, each read by the parser that the command line uses for it.
//!
//! What is written as another type than it should be (`port = "80"`, `connect_timeout = 10`) is
//! refused with what to write instead.

use std::fmt;
use std::marker::PhantomData;
use std::str::FromStr;

use serde::de::{self, Deserializer, Visitor};
use serde::Deserialize;

/// A value that is written as a string.
#[derive(Debug)]
pub(super) struct Word<T>(pub(super) T);

/// A value that is written as a whole number.
#[derive(Debug)]
pub(super) struct Count<T>(pub(super) T);

/// A value that is `true` or `false`.
#[derive(Debug)]
pub(super) struct Switch(pub(super) bool);

impl<'de, T: FromStr<Err: fmt::Display>> Deserialize<'de> for Word<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(WordVisitor(PhantomData))
    }
}

impl<'de, T: FromStr<Err: fmt::Display>> Deserialize<'de> for Count<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(CountVisitor(PhantomData))
    }
}

impl<'de> Deserialize<'de> for Switch {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(SwitchVisitor)
    }
}

struct WordVisitor<T>(PhantomData<T>);

impl<T: FromStr<Err: fmt::Display>> WordVisitor<T> {
    /// Suggests what to write instead of the bare `text`: the same in quotes, or with a unit as
    /// well.
    fn unquoted<E: de::Error>(text: &str) -> E {
        let with_unit = format!("{text}s");
        let right = [text, &with_unit].into_iter().find(|word| word.parse::<T>().is_ok());
        E::custom(match (right, text.parse::<T>()) {
            (Some(right), _) => format!("`{text}` is not in quotes: write \"{right}\""),
            (None, Err(error)) => format!("{error}, in quotes"),
            (None, Ok(_)) => format!("`{text}` is not in quotes"),
        })
    }
}

impl<T: FromStr<Err: fmt::Display>> Visitor<'_> for WordVisitor<T> {
    type Value = Word<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value in quotes")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Word<T>, E> {
        text.parse().map(Word).map_err(E::custom)
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<Word<T>, E> {
        Err(Self::unquoted(&number.to_string()))
    }

    fn visit_f64<E: de::Error>(self, number: f64) -> Result<Word<T>, E> {
        Err(Self::unquoted(&number.to_string()))
    }

    fn visit_bool<E: de::Error>(self, is: bool) -> Result<Word<T>, E> {
        Err(Self::unquoted(&is.to_string()))
    }
}

struct CountVisitor<T>(PhantomData<T>);

impl<T: FromStr<Err: fmt::Display>> Visitor<'_> for CountVisitor<T> {
    type Value = Count<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a whole number")
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<Count<T>, E> {
        number.to_string().parse().map(Count).map_err(E::custom)
    }

    fn visit_f64<E: de::Error>(self, number: f64) -> Result<Count<T>, E> {
        number.to_string().parse().map(Count).map_err(E::custom)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Count<T>, E> {
        Err(E::custom(match text.parse::<T>() {
            Ok(_) => format!("\"{text}\" is in quotes: write {text}"),
            Err(error) => error.to_string(),
        }))
    }
}

struct SwitchVisitor;

impl Visitor<'_> for SwitchVisitor {
    type Value = Switch;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("true or false")
    }

    fn visit_bool<E: de::Error>(self, is: bool) -> Result<Switch, E> {
        Ok(Switch(is))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Switch, E> {
        Err(E::custom(format!("\"{text}\" is text: write true or false, without quotes")))
    }
}
