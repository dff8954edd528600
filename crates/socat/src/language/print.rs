//! Writing specifications down, so that reading them again gives the same.

use std::ffi::OsString;
use std::fmt;
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use super::syntax::quote;
use super::value::Kind;
use super::{option, Address, Setting, Spec, Value};

impl Spec {
    /// The word of a command line that means this.
    pub(crate) fn print(&self) -> OsString {
        let mut out = Vec::new();
        match self {
            Self::One(address) => address.print(&mut out),
            Self::Split { read, write } => {
                read.print(&mut out);
                out.extend(b"!!");
                write.print(&mut out);
            }
        }
        OsString::from_vec(out)
    }
}

impl fmt::Display for Spec {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.print().to_string_lossy())
    }
}

impl Address {
    fn print(&self, out: &mut Vec<u8>) {
        out.extend(self.word.as_bytes());
        for parameter in &self.parameters {
            out.push(b':');
            out.extend(quote(parameter.as_bytes()));
        }
        for setting in &self.options {
            out.push(b',');
            setting.print(out);
        }
    }
}

impl Setting {
    fn print(&self, out: &mut Vec<u8>) {
        out.extend(self.word.as_bytes());
        let kind = option::row(&self.word).map_or(Kind::Text, |row| row.kind);
        let value = match (&self.value, kind) {
            (Value::Flag(_), Kind::Const) => return,
            (Value::Flag(on), _) => u8::from(*on).to_string(),
            (Value::Number(mode), Kind::Mode) => format!("{mode:o}"),
            (Value::Number(number), _) => number.to_string(),
            (Value::Time(time), _) => format!("{}.{:09}", time.as_secs(), time.subsec_nanos()),
            (Value::Text(text), _) => {
                out.push(b'=');
                out.extend(quote(text.as_bytes()));
                return;
            }
            (Value::SocketOption { level, option, data }, _) => {
                out.extend(format!("={level}:{option}:").as_bytes());
                out.extend(binary(data, kind));
                return;
            }
        };
        out.push(b'=');
        out.extend(value.as_bytes());
    }
}

/// The data of a socket option, in the way `kind` takes it.
fn binary(data: &[u8], kind: Kind) -> Vec<u8> {
    match (kind, <[u8; 4]>::try_from(data)) {
        (Kind::SocketOptionInt, Ok(bytes)) => i32::from_ne_bytes(bytes).to_string().into_bytes(),
        (Kind::SocketOptionString, _) => quote(data.strip_suffix(b"\0").unwrap_or(data)),
        _ if data.is_empty() => Vec::new(),
        _ => {
            let digits = data.iter().map(|byte| format!("{byte:02x}"));
            format!("x{}", digits.collect::<String>()).into_bytes()
        }
    }
}
