//! The programs that nsplice is when it is called by their names.
//!
//! `socat ...` through a link or a copy of that name, and `nsplice socat ...`, are the same. The
//! words after the name are the applet's own, `--help` included; `nsplice help socat` asks for the
//! same. This is asked before anything
//! else: applets are started once per connection, and must not wait for a start-up that is not
//! theirs.

use std::borrow::Cow;
use std::ffi::{OsStr, OsString};
use std::path::Path;

/// A program that nsplice can be called as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Applet {
    /// Two addresses and the bytes between them.
    Socat,
    /// A command in the namespaces of another process.
    Nsenter,
}

impl Applet {
    /// Returns the name it is called by.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Socat => "socat",
            Self::Nsenter => "nsenter",
        }
    }

    fn named(name: &OsStr) -> Option<Self> {
        [Self::Socat, Self::Nsenter].into_iter().find(|applet| name == applet.name())
    }

    /// Runs it on `words`, the first of which is its name, and answers the exit status.
    fn run(self, words: &[OsString]) -> u8 {
        match self {
            Self::Socat => nsplice_socat::socat(words),
            Self::Nsenter => nsplice_nsenter::nsenter(words),
        }
    }
}

/// Runs the applet that the command line `words` calls, and answers its exit status; `None` if it
/// calls nsplice itself.
pub(crate) fn run(words: &[OsString]) -> Option<u8> {
    let (applet, words) = called(words)?;
    Some(applet.run(&words))
}

/// The applet, and its words from its name on.
fn called(words: &[OsString]) -> Option<(Applet, Cow<'_, [OsString]>)> {
    let by_name = words.first().and_then(|word| Applet::named(Path::new(word).file_name()?));
    if let Some(applet) = by_name {
        return Some((applet, words.into()));
    }
    let words = words.get(1..)?;
    if words.first()? == "help" {
        let applet = Applet::named(words.get(1)?)?;
        return Some((applet, vec![applet.name().into(), HELP.into()].into()));
    }
    Some((Applet::named(words.first()?)?, words.into()))
}

/// The option for which both of them print their help.
const HELP: &str = "-h";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_applet_is_called_by_the_name_of_the_program_or_by_its_first_word() {
        let told = |line: &str| {
            let words: Vec<_> = line.split(' ').map(OsString::from).collect();
            called(&words).map(|(applet, words)| (applet, words.join(OsStr::new(" "))))
        };
        let found = |applet, words: &str| Some((applet, OsString::from(words)));
        assert_eq!(told("socat - -h"), found(Applet::Socat, "socat - -h"));
        assert_eq!(told("/a/b/nsenter -V"), found(Applet::Nsenter, "/a/b/nsenter -V"));
        assert_eq!(told("nsplice socat nsenter"), found(Applet::Socat, "socat nsenter"));
        assert_eq!(told("/x/nsplice nsenter -h"), found(Applet::Nsenter, "nsenter -h"));
        assert_eq!(told("nsplice help socat"), found(Applet::Socat, "socat -h"));
        assert_eq!(told("nsplice help nsenter -V"), found(Applet::Nsenter, "nsenter -h"));
        assert_eq!(told("socat help nsenter"), found(Applet::Socat, "socat help nsenter"));
        assert_eq!(told("socat nsenter"), found(Applet::Socat, "socat nsenter"));
        for other in [
            "nsplice",
            "nsplice check socat",
            "nsplice help",
            "nsplice help check",
            "socat.old x",
            "nsplice -h socat",
        ] {
            assert_eq!(told(other), None, "{other}");
        }
    }
}
