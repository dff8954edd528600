//! socat's command language: words in, a [`CommandLine`] out. No descriptor is touched here.

pub(crate) mod command;
mod data;
pub(crate) mod flags;
pub(crate) mod group;
pub(crate) mod help;
pub(crate) mod keyword;
mod number;
pub(crate) mod option;
mod print;
pub(crate) mod spec;
pub(crate) mod syntax;
#[cfg(test)]
mod tests;
pub(crate) mod value;

pub(crate) use command::{flags_before_fault, read, CommandLine, Errand};
pub(crate) use flags::Flags;
pub(crate) use keyword::Keyword;
pub(crate) use option::Opt;
pub(crate) use spec::{Address, Setting, Spec};
pub(crate) use value::Value;
