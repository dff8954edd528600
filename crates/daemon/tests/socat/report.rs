//! What came of a run: everything that a user, a script or a peer of the program could notice.

use std::collections::BTreeMap;
use std::fmt::Write;

use nsplice_testkit::ramp;

/// Bytes that are shown of a long stream.
const SHOWN: usize = 400;

/// What came of a run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Report {
    /// `status N` or `signal N`.
    pub(crate) end: String,
    /// Standard output.
    pub(crate) stdout: Vec<u8>,
    /// Standard error, masked.
    pub(crate) stderr: String,
    /// What the peers saw, by the name of the connection.
    pub(crate) peers: BTreeMap<&'static str, Peer>,
    /// What is in the directory afterwards: kind, mode, owner, name and content.
    pub(crate) files: Vec<String>,
    /// What the shell commands of the play printed, masked.
    pub(crate) shell: Vec<String>,
    /// What did not come about. Never happens in a sound case.
    pub(crate) broken: Vec<String>,
}

/// What a peer saw of its connection.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Peer {
    /// All bytes that came.
    pub(crate) bytes: Vec<u8>,
    /// How the stream ended.
    pub(crate) end: StreamEnd,
}

/// How a peer saw a stream end.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum StreamEnd {
    /// It did not.
    #[default]
    Open,
    /// By a FIN.
    Fin,
    /// By an RST.
    Reset,
    /// The play has reset it itself.
    Gone,
}

impl Report {
    /// The fields by name, as text.
    fn fields(&self) -> Vec<(String, String)> {
        let mut fields = vec![
            ("end".to_owned(), self.end.clone()),
            ("stdout".to_owned(), shown(&self.stdout)),
            ("stderr".to_owned(), self.stderr.clone()),
        ];
        for (name, peer) in &self.peers {
            fields.push((format!("peer {name}, bytes"), shown(&peer.bytes)));
            fields.push((format!("peer {name}, end"), format!("{:?}", peer.end)));
        }
        fields.push(("files".to_owned(), self.files.join("\n")));
        fields.push(("shell".to_owned(), self.shell.join("")));
        fields.push(("in vain".to_owned(), self.broken.join("\n")));
        fields
    }

    /// Where `ours` is not as this one, or nothing.
    pub(crate) fn difference_to(&self, ours: &Self) -> Option<String> {
        if self == ours {
            return None;
        }
        let (theirs, ours): (BTreeMap<_, _>, BTreeMap<_, _>) =
            (self.fields().into_iter().collect(), ours.fields().into_iter().collect());
        let mut told = String::new();
        for name in theirs.keys().chain(ours.keys().filter(|name| !theirs.contains_key(*name))) {
            let [their, our] = [&theirs, &ours].map(|of| of.get(name).map_or("-", String::as_str));
            if their != our {
                let [their, our] = [their, our].map(|text| text.replace('\n', "\n           "));
                let _ = writeln!(told, "    {name}\n    socat: {their}\n     ours: {our}");
            }
        }
        Some(told)
    }

    /// Everything, for a message.
    pub(crate) fn whole(&self) -> String {
        let mut told = String::new();
        for (name, value) in self.fields().into_iter().filter(|(_, value)| !value.is_empty()) {
            let _ = writeln!(told, "    {name}: {}", value.replace('\n', "\n      "));
        }
        told
    }
}

/// Bytes as text; long ones by their length, their beginning and whether they are the ramp.
fn shown(bytes: &[u8]) -> String {
    let text = |bytes: &[u8]| match std::str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(_) => bytes.escape_ascii().to_string(),
    };
    if bytes.len() <= SHOWN {
        return text(bytes);
    }
    match ramp::verify(0, bytes) {
        Ok(()) => format!("{} bytes of the ramp", bytes.len()),
        Err(_) => {
            // Where two long texts differ is not known here; their hash tells that they do.
            let hash = bytes
                .iter()
                .fold(0_u32, |hash, byte| hash.wrapping_mul(31).wrapping_add(u32::from(*byte)));
            format!("{} bytes ({hash:08x}): {}...", bytes.len(), text(&bytes[..SHOWN]))
        }
    }
}
