//! Properties of the language: nothing makes it panic, and what it prints it reads as the same.

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use proptest::collection::vec;
use proptest::prelude::{any, prop_oneof, proptest, Just, Strategy};
use proptest::sample::select;
use proptest::{prop_assert, prop_assert_eq};

use crate::language::option::{self, Row};
use crate::language::value::Kind;
use crate::language::{keyword, read, Spec};

/// Words made of what has a meaning, so that most of the parser is reached.
fn words() -> impl Strategy<Value = Vec<u8>> {
    let marks = select(&b":,=!\\\"'([{}])-/0x"[..]).prop_map(|mark| vec![mark]);
    let names = select(keyword::TABLE).prop_map(|row| row.name.as_bytes().to_vec());
    let options = select(option::TABLE).prop_map(|row| row.name.as_bytes().to_vec());
    let bytes = vec(any::<u8>(), 0..4);
    vec(prop_oneof![marks, names, options, bytes], 0..20).prop_map(|parts| parts.concat())
}

/// A value of the right kind, with whatever must be quoted in it.
fn value(kind: Kind) -> String {
    match kind {
        Kind::Const => "",
        Kind::Time | Kind::Timespec => "=1.25",
        Kind::Text => r#"=a\,b"c!!d"'\\'[e:]"#,
        Kind::User | Kind::Group => "=root",
        Kind::SocketOption => r#"=1:0x2:x0a0b i-7 \"z\""#,
        Kind::SocketOptionInt => "=1:2:-3",
        Kind::SocketOptionString => r"=1:2:a\:b",
        _ => "=0",
    }
    .to_owned()
}

/// Addresses that are right, and have some options.
fn addresses() -> impl Strategy<Value = String> {
    let heads = select(
        &[
            "-",
            "STDIO",
            "tcp4:a:1",
            "TCP-L:[::1]",
            "unix:\"/a b\"",
            "7",
            "/a\\,b",
            "./x",
            "EXEC:'a \"b:c\"'",
            "system:x\\ny",
            "pipe",
            "Open:(a,b)",
            "vsock-l:1",
            "fd:0x3",
        ][..],
    );
    let options = vec(select(option::TABLE).prop_map(with_value), 0..6);
    (heads, options).prop_map(|(head, options)| format!("{head}{}", options.concat()))
}

fn with_value(row: Row) -> String {
    let name = row.aliases.last().unwrap_or(&row.name);
    format!(",{}{}", name.to_uppercase(), value(row.kind))
}

proptest! {
    #[test]
    fn no_words_make_it_panic(words in vec(vec(any::<u8>(), 0..40), 0..4)) {
        let words: Vec<_> = words.into_iter().map(OsString::from_vec).collect();
        let _ = read(&words);
    }

    #[test]
    fn no_flags_make_it_panic(flag in vec(any::<u8>(), 0..6), value in vec(any::<u8>(), 0..6)) {
        let flag = [b"-", &*flag].concat();
        let words = [flag, value, b"-".to_vec(), b"-".to_vec()].map(OsString::from_vec);
        let _ = read(&words);
    }

    #[test]
    fn what_was_read_is_read_again(text in words(), unchecked in any::<bool>()) {
        if let Ok(spec) = Spec::read(&text, unchecked) {
            let printed = spec.print();
            prop_assert_eq!(Spec::read(printed.as_bytes(), unchecked), Ok(spec));
        }
    }

    #[test]
    fn right_addresses_are_read_again(
        first in addresses(),
        second in prop_oneof![Just(None), addresses().prop_map(Some)],
    ) {
        let text = match second {
            Some(second) => format!("{first}!!{second}"),
            None => first,
        };
        let spec = Spec::read(text.as_bytes(), true);
        prop_assert!(spec.is_ok(), "{}: {:?}", text, spec);
        let spec = spec.unwrap();
        prop_assert_eq!(Spec::read(spec.print().as_bytes(), true), Ok(spec));
    }
}

#[test]
fn brackets_nest_as_deep_as_they_like() {
    for opening in ["(", "[", "{", "\"(", "'(", "(\"", "\""] {
        let text = format!("OPEN:{}", opening.repeat(100_000));
        let _ = Spec::read(text.as_bytes(), false);
    }
}

#[test]
fn every_name_leads_to_its_row() {
    for row in option::TABLE {
        for name in row.aliases.iter().chain([&row.name, &row.common]) {
            let found = option::row(name).map(|row| row.option);
            assert_eq!(found, Some(row.option), "{name}");
        }
    }
    for row in keyword::TABLE {
        for name in row.aliases.iter().chain([&row.name]) {
            let head = keyword::read(name.as_bytes().to_vec()).unwrap();
            assert_eq!(head.0, row.keyword, "{name}");
        }
        assert_eq!(keyword::of(row.keyword).name, row.name);
    }
}
