//! What clients ask for, and what they should not.

use super::*;
use crate::messages::Coding;
use proptest::prelude::*;

const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";

/// The headers of a handshake, and `more`; one of `more` replaces one with the same name.
fn headers<'a>(more: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    let all = [
        ("Host", "127.0.0.1:8001"),
        ("Connection", "Upgrade"),
        ("Upgrade", "websocket"),
        ("Sec-WebSocket-Version", "13"),
        ("Sec-WebSocket-Key", KEY),
    ];
    let is_kept = |(name, _): &(&str, &str)| !more.iter().any(|(other, _)| other == name);
    all.into_iter().filter(is_kept).chain(more.iter().copied()).collect()
}

fn answer(more: &[(&str, &str)]) -> Result<(Protocol, String), Refused> {
    accept("GET", &headers(more))
        .map(|accepted| (accepted.protocol, String::from_utf8(accepted.head).unwrap()))
}

/// The key and its answer are those of section 1.3.
#[test]
fn a_client_that_offers_nothing_is_answered_without_a_protocol() {
    let head = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";
    for more in [&[][..], &[("Sec-WebSocket-Protocol", "")], &[("Sec-WebSocket-Protocol", " , ")]] {
        assert_eq!(answer(more), Ok((Protocol::Channels(Coding::Binary), head.to_owned())));
    }
}

#[test]
fn the_first_protocol_that_is_spoken_is_echoed_to_the_letter() {
    let binary = (Protocol::Channels(Coding::Binary), "v4.channel.k8s.io");
    let base64 = (Protocol::Channels(Coding::Base64), "v4.base64.channel.k8s.io");
    let tunnel = (Protocol::Tunnel, "SPDY/3.1+portforward.k8s.io");
    for (offers, (protocol, echoed)) in [
        // kubectl, Python, Rust, JavaScript.
        (&["SPDY/3.1+portforward.k8s.io"][..], tunnel),
        (&["v5.channel.k8s.io,v4.channel.k8s.io"], binary),
        (&["v5.channel.k8s.io, v4.channel.k8s.io"], binary),
        (
            &["v5.channel.k8s.io,v4.channel.k8s.io,v3.channel.k8s.io,v2.channel.k8s.io,channel.k8s.io"],
            binary,
        ),
        (&["v4.base64.channel.k8s.io"], base64),
        (&["v4.base64.channel.k8s.io,v4.channel.k8s.io"], base64),
        (&["v5.channel.k8s.io", "\tv4.channel.k8s.io ,,"], binary),
        (&["base64url.bearer.authorization.k8s.io.dG9rZW4", "v4.channel.k8s.io"], binary),
    ] {
        let more: Vec<_> = offers.iter().map(|it| ("sec-websocket-protocol", *it)).collect();
        let (chosen, head) = answer(&more).unwrap();
        assert_eq!(chosen, protocol, "{offers:?}");
        let line = format!("\r\nSec-WebSocket-Protocol: {echoed}\r\n\r\n");
        assert!(head.ends_with(&line), "{offers:?}: {head}");
    }
}

#[test]
fn extensions_are_declined() {
    let (_, head) =
        answer(&[("Sec-WebSocket-Extensions", "permessage-deflate; client_max_window_bits")])
            .unwrap();
    assert!(!head.to_lowercase().contains("extension"), "{head}");
}

#[test]
fn names_and_words_may_be_of_any_case_and_in_lists() {
    for more in [
        &[("Connection", "keep-alive, Upgrade")][..],
        &[("Connection", "upgrade"), ("Upgrade", "WebSocket")],
        &[("Connection", "keep-alive"), ("connection", "UPGRADE")],
        &[("Upgrade", "h2c, websocket")],
    ] {
        assert!(answer(more).is_ok(), "{more:?}");
    }
    let shouted = [
        ("CONNECTION", "upgrade"),
        ("UPGRADE", "websocket"),
        ("SEC-WEBSOCKET-VERSION", " 13 "),
        ("SEC-WEBSOCKET-KEY", KEY),
    ];
    assert!(accept("GET", &shouted).is_ok());
}

#[test]
fn what_is_no_handshake_is_refused() {
    let spoken = "SPDY/3.1+portforward.k8s.io, v4.channel.k8s.io, v4.base64.channel.k8s.io";
    let no_protocol = Refused::Protocol { spoken: spoken.into() };
    for (more, refused, status) in [
        (&[("Connection", "close")][..], Refused::NoUpgrade, 400),
        (&[("Connection", "no-upgrade")], Refused::NoUpgrade, 400),
        (&[("Upgrade", "SPDY/3.1")], Refused::NoUpgrade, 400),
        (&[("Upgrade", "websocket2")], Refused::NoUpgrade, 400),
        (&[("Sec-WebSocket-Version", "8")], Refused::Version, 426),
        (&[("Sec-WebSocket-Version", "")], Refused::Version, 426),
        (&[("Sec-WebSocket-Version", "13"), ("Sec-WebSocket-Version", "8")], Refused::Version, 426),
        (&[("Sec-WebSocket-Key", "")], Refused::Key, 400),
        (&[("Sec-WebSocket-Key", "c2hvcnQ=")], Refused::Key, 400),
        (&[("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ")], Refused::Key, 400),
        (&[("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZSE=")], Refused::Key, 400),
        (&[("Sec-WebSocket-Key", "not base64 at all======")], Refused::Key, 400),
        (&[("Sec-WebSocket-Key", KEY), ("Sec-WebSocket-Key", KEY)], Refused::Key, 400),
        (&[("Sec-WebSocket-Protocol", "v5.channel.k8s.io")], no_protocol.clone(), 403),
        (&[("Sec-WebSocket-Protocol", "V4.CHANNEL.K8S.IO")], no_protocol.clone(), 403),
        (&[("Sec-WebSocket-Protocol", "channel.k8s.io,chat")], no_protocol, 403),
    ] {
        assert_eq!(answer(more), Err(refused.clone()), "{more:?}");
        assert_eq!(refused.status(), status);
    }
    let refused = accept("POST", &headers(&[])).unwrap_err();
    assert_eq!((refused.status(), refused.header()), (405, Some(("Allow", "GET"))));
    assert_eq!(Refused::Version.header(), Some(("Sec-WebSocket-Version", "13")));
    assert_eq!(accept("GET", &[]), Err(Refused::NoUpgrade));
}

proptest! {
    /// Nothing that a client sends gets into the answer but the name of a protocol that is spoken.
    #[test]
    fn an_answer_has_nothing_of_the_clients(
        offers in proptest::collection::vec("v4\\.channel\\.k8s\\.io|[ -~\t]{0,20}|.{0,9}", 0..4),
        method in "GET|.{0,9}",
    ) {
        let more: Vec<_> = offers.iter().map(|it| ("Sec-WebSocket-Protocol", it.as_str())).collect();
        if let Ok(accepted) = accept(&method, &headers(&more)) {
            let head = String::from_utf8(accepted.head).unwrap();
            let head = head.replace("Sec-WebSocket-Protocol: v4.channel.k8s.io\r\n", "");
            prop_assert_eq!(head, answer(&[]).unwrap().1);
        }
    }
}
