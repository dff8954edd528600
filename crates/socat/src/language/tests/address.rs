//! Addresses: how they are cut, which words they begin with, what options they take.

use std::ffi::OsString;

use super::{one, refusal, spec};
use crate::language::{Keyword, Opt, Spec};

#[test]
fn quotes_escapes_and_brackets() {
    for (text, path) in [
        (r"OPEN:n/a\:b,rdonly", "n/a:b"),
        (r"OPEN:n/a\,b", "n/a,b"),
        (r#"OPEN:n/"a:b,c!!d"e"#, "n/a:b,c!!de"),
        ("OPEN:n/'a:b,c!!d'e", "n/a:b,c!!de"),
        ("OPEN:n/(a:b,c!!d)e", "n/(a:b,c!!d)e"),
        ("OPEN:n/[a:b,c!!d]e", "n/[a:b,c!!d]e"),
        ("OPEN:n/{a:b,c!!d}e", "n/{a:b,c!!d}e"),
        (r"OPEN:n/a\\b", r"n/a\b"),
        (r"OPEN:n/a\nb", "n/a\nb"),
        (r"OPEN:n/\a\b\t\n\v\f\r\e\z", "n/\x07\x08\t\n\x0b\x0c\rez"),
        (r#"OPEN:n/a\"b"#, r#"n/a"b"#),
        (r#"OPEN:n/"a\"b\\c\nd:e""#, "n/a\"b\\c\nd:e"),
        (r#"OPEN:n/'a\'b"c"'"#, r#"n/a'b"c""#),
        (r#"OPEN:n/'a"b,c"d'"#, r#"n/a"b,c"d"#),
        ("OPEN:n/'a(b'c)d", "n/a(bc)d"),
        ("OPEN:n/'(a'b)", "n/(ab)"),
        (r"OPEN:n/'\n\t\z'", "n/\n\tz"),
        (r"OPEN:n/(\n\z\t)", "n/(\nz\t)"),
        ("OPEN:n/'unclosed", "n/unclosed"),
        ("OPEN:n/(unclosed", "n/(unclosed"),
        ("OPEN:n/a)b", "n/a)b"),
        ("OPEN:n/a]b}c", "n/a]b}c"),
        ("OPEN:n/(a(b)c:d)", "n/(a(b)c:d)"),
        ("OPEN:n/([a)]b", "n/([a)]b"),
        (r#"OPEN:n/(a"b)c"d)"#, r#"n/(a"b)c"d)"#),
        ("OPEN:n/(a'b)c'd)", "n/(a'b)c'd)"),
        (r"OPEN:n/(a\)b)c", "n/(a)b)c"),
        (r#"OPEN:n/("a:b")"#, r#"n/("a:b")"#),
        ("OPEN:n/(a'b)", "n/(a'b)"),
        (r#"OPEN:n/(a"b)"#, r#"n/(a"b)"#),
        (r#"OPEN:n/"a[b:]c""#, "n/a[b:]c"),
        (r#"OPEN:n/"a'b'c""#, "n/a'b'c"),
        (r#"OPEN:n/"a'b"d'c""#, r#"n/a'b"d'c"#),
        (r#"OPEN:n/(a:"b\")c")"#, r#"n/(a:"b")c")"#),
        (r#"OPEN:n/"a""b""#, "n/ab"),
        (r"OPEN:n/a\!!b", "n/a!!b"),
        (r"OPEN:n/a!\!b", "n/a!!b"),
        ("OPEN:n/a!b", "n/a!b"),
        ("OPEN:n/a=b", "n/a=b"),
        ("OPEN: n/a", " n/a"),
        ("OPEN:n/a ,rdonly", "n/a "),
        ("OPEN:n/a,,rdonly", "n/a"),
        ("OPEN:n/a,", "n/a"),
        ("OPEN:n/a,=5", "n/a"),
        ("OPEN:", ""),
        (r#""OPEN":n/a"#, "n/a"),
        (r"O\PEN:n/a", "n/a"),
        ("'OPEN':n/a", "n/a"),
    ] {
        let address = one(text);
        assert_eq!(address.keyword, Keyword::Open, "{text}");
        assert_eq!(address.parameters, [OsString::from(path)], "{text}");
    }
    for text in [
        r#"OPEN:n/"a'b"c"#,
        r#"OPEN:n/"unclosed"#,
        r#"OPEN:n/"a\"#,
        r#"OPEN:n/"a(b"c"#,
        r#"OPEN:n/"a(b"c)d"e"#,
    ] {
        assert_eq!(refusal(text), format!("unexpected end of address \"{text}\""));
    }
    // Mistakes are told from left to right.
    for (text, message) in [
        (r#"OPEN:n/!!"{:]"#, r#"unexpected end of address ""{:]""#),
        (r#"OPEN:n/a,rdonly=1,append="x"#, r#"syntax error in ""x""#),
        (r#"OPEN:n/a,fo"x"#, r#"syntax error in "fo"x""#),
        (r#"OPEN:n/a!!OPEN:b,x""#, r#"syntax error in "x"""#),
        (r#"OPEN:n/a!!-,fo,x""#, r#"parseopts_table(): unknown option "fo""#),
        (r#"FOO:"x"#, r#"unknown device/address "FOO""#),
        (r#"OPEN:a:b,"x"#, r#"syntax error in ""x""#),
        ("TCP:a!!FOO", r#"unknown device/address "FOO""#),
    ] {
        assert_eq!(refusal(text), message, "{text}");
    }
}

#[test]
fn words_that_are_no_keywords() {
    for (text, path) in [
        ("n/a,rdonly", "n/a"),
        ("\"n/a\"", "n/a"),
        (r"n\/b", "n/b"),
        ("(n/b)", "(n/b)"),
        ("n/(a,b)", "n/(a,b)"),
        ("foo=n/b", "foo=n/b"),
        ("OP\"EN:n/a\"", "OPEN:n/a"),
        ("./foo", "./foo"),
        ("/", "/"),
    ] {
        let address = one(text);
        assert_eq!(address.keyword, Keyword::Gopen, "{text}");
        assert_eq!(address.word, "GOPEN");
        assert_eq!(address.parameters, [OsString::from(path)], "{text}");
    }
    let digit = one("7,cloexec");
    assert_eq!((digit.keyword, &*digit.word), (Keyword::Fd, "FD"));
    assert_eq!(digit.parameters, [OsString::from("7")]);
    for (text, word) in [
        ("", ""),
        ("12", "12"),
        (",rdonly", ""),
        ("!!n/b", ""),
        ("n/b!!", ""),
        ("OPEN:n/a!!b", "b"),
        ("OPEN:n/a!!!b", "!b"),
        ("[OPEN]:n/a", "[OPEN]"),
        ("OPEN :n/a", "OPEN "),
        ("foo,n/b", "foo"),
        ("foo:n/b", "foo"),
        ("FOO:x,foo", "FOO"),
        ("abstract-l:a", "abstract-l"),
    ] {
        assert_eq!(refusal(text), format!("unknown device/address \"{word}\""), "{text}");
    }
}

#[test]
fn aliases_in_any_case() {
    for (text, keyword) in [
        ("-", Keyword::Stdio),
        ("stdin", Keyword::Stdin),
        ("STDOUT", Keyword::Stdout),
        ("Stderr", Keyword::Stderr),
        ("fd:12", Keyword::Fd),
        ("accept:3", Keyword::AcceptFd),
        ("ACCEPT-FD:3", Keyword::AcceptFd),
        ("tcp:a:1", Keyword::TcpConnect),
        ("inet:a:1", Keyword::TcpConnect),
        ("tcp-connect:a:1", Keyword::TcpConnect),
        ("INET4:a:1", Keyword::Tcp4Connect),
        ("tcp6:[::1]:1", Keyword::Tcp6Connect),
        ("TCP-L:1", Keyword::TcpListen),
        ("inet-listen:1", Keyword::TcpListen),
        ("tcp4-listen:1", Keyword::Tcp4Listen),
        ("INET6-L:1", Keyword::Tcp6Listen),
        ("unix:a", Keyword::UnixClient),
        ("UNIX-CLIENT:a", Keyword::UnixClient),
        ("local:a", Keyword::UnixConnect),
        ("unix-l:a", Keyword::UnixListen),
        ("abstract:a", Keyword::AbstractClient),
        ("vsock:1:2", Keyword::VsockConnect),
        ("vsock-l:2", Keyword::VsockListen),
        ("file:a", Keyword::Open),
        ("creat:a", Keyword::Create),
        ("echo", Keyword::Pipe),
        ("fifo:a", Keyword::Pipe),
        ("exec:true", Keyword::Exec),
        ("system:true", Keyword::System),
    ] {
        assert_eq!(one(text).keyword, keyword, "{text}");
    }
    assert_eq!(one("tcp4-l:1").word, "tcp4-l", "the word stays as it was typed");
}

#[test]
fn parameters_are_counted() {
    for (text, counted) in [
        ("TCP4:a", "TCP4: wrong number of parameters (1 instead of 2)"),
        ("tcp:a:b:c", "tcp: wrong number of parameters (3 instead of 2)"),
        ("TCP4:::1:80", "TCP4: wrong number of parameters (4 instead of 2)"),
        ("tcp4-l", "tcp4-l: wrong number of parameters (0 instead of 1)"),
        ("TCP:\"localhost:1\"", "TCP: wrong number of parameters (1 instead of 2)"),
        ("STDIO:1", "STDIO: wrong number of parameters (1 instead of 0)"),
        ("-:", "-: wrong number of parameters (1 instead of 0)"),
        ("PIPE:a:b", "PIPE: wrong number of parameters (2 instead of 1)"),
        ("n/a:b", "GOPEN: wrong number of parameters (3 instead of 1)"),
        ("OPEN", "OPEN: wrong number of parameters (1 instead of 1)"),
        ("FILE:a:b", "FILE: wrong number of parameters (3 instead of 1)"),
        ("creat", "creat: wrong number of parameters (1 instead of 1)"),
        ("1:2", "FD:1: wrong number of parameters (2 instead of 1)"),
        ("EXEC:a:b", "\"EXEC:a\": wrong number of parameters (2 instead of 1)"),
        ("VSOCK:1:2:3", "VSOCK: wrong number of parameters (3 instead of 2)"),
        ("UNIX-CLIENT", "UNIX-CLIENT: wrong number of parameters (0 instead of 1)"),
        ("-:x!!-", "-: wrong number of parameters (1 instead of 0)"),
        // Here socat itself crashes, or does nothing.
        ("EXEC", "EXEC: wrong number of parameters (0 instead of 1)"),
        ("SYSTEM", "SYSTEM: wrong number of parameters (0 instead of 1)"),
        ("FD", "FD: wrong number of parameters (0 instead of 1)"),
    ] {
        assert_eq!(refusal(text), counted, "{text}");
    }
    assert_eq!(one("SYSTEM:echo a:b").parameters, [OsString::from("echo a")]);
}

#[test]
fn dual_addresses() {
    let Ok(Spec::Split { read, write }) = spec("STDIN,ignoreeof!!OPEN:a,creat!!junk") else {
        panic!("not split");
    };
    assert_eq!(read.keyword, Keyword::Stdin);
    assert!(read.has(Opt::IgnoreEof));
    assert_eq!(write.keyword, Keyword::Open);
    assert!(write.has(Opt::Creat));
}

#[test]
fn options_unknown_or_unsuitable() {
    for (text, message) in [
        ("TCP:1,foo", "parseopts_table(): unknown option \"foo\""),
        ("OPEN:n/a,RDONLY:1", "parseopts_table(): unknown option \"RDONLY:1\""),
        ("OPEN:n/a, rdonly", "parseopts_table(): unknown option \" rdonly\""),
        ("TCP:x:1,'bind=1.2.3.4'", "parseopts_table(): unknown option \"bind=1.2.3.4\""),
        ("TCP:x:1,[bind]=1", "parseopts_table(): unknown option \"[bind]\""),
    ] {
        assert_eq!(refusal(text), message, "{text}");
    }
    for (text, option) in [
        ("OPEN:n/a,fork", "fork"),
        ("-,fork", "fork"),
        ("OPEN:n/a,bind=1", "bind"),
        ("TCP:x:1,raw", "raw"),
        ("UNIX:n/a,fork", "fork"),
        ("TCP:x:1,cert=a", "cert"),
        ("CREATE:n/a,trunc", "trunc"),
        ("VSOCK:1:2,nodelay", "nodelay"),
        ("UNIX:n/a,NoDelay", "NoDelay"),
        ("EXEC:true,nodelay", "nodelay"),
        ("TCP:x:1,path=a", "path"),
        ("TCP:x:1,range=1", "range"),
        ("UNIX-L:n/a,range=1", "range"),
        ("VSOCK-L:1,range=1", "range"),
        ("VSOCK:1:1,accept-timeout=1", "accept-timeout"),
        ("OPEN:n/a,retry=1", "retry"),
        ("TCP:x:1,umask=7", "umask"),
        ("1,rdonly", "rdonly"),
    ] {
        let message =
            format!("parseopts_table(): option \"{option}\" not supported with this address type");
        assert_eq!(refusal(text), message, "{text}");
        if option != "cert" {
            let spec = Spec::read(text.as_bytes(), true);
            assert!(spec.is_ok(), "-g allows {text}: {spec:?}");
        }
    }
    for text in [
        "OPEN:n/a,su=root,setsid,shut-down",
        "PIPE,ignoreeof",
        "PIPE:n/a,mode=600",
        "TCP:x:1,mode=600,fork,max-children=2",
        "CREATE:n/a,append,seek=5",
        "GOPEN:n/a,creat,umask=7",
        "ABSTRACT:a,mode=1",
        "EXEC:true,su=root,chroot=/",
        "TCP:x:1,SO-KeepAlive",
    ] {
        assert!(spec(text).is_ok(), "{text}: {:?}", spec(text));
    }
}

#[test]
fn what_only_socat_can_do_is_told_apart() {
    for (text, what) in [
        ("OPENSSL:a:1", "address type \"OPENSSL\""),
        ("udp4-recvfrom:53,fork", "address type \"udp4-recvfrom\""),
        ("PTY,link=a", "address type \"PTY\""),
        ("POSIXMQ-READ:/a", "address type \"POSIXMQ-READ\""),
        ("TCP-L:1,tcpwrap=a", "option \"tcpwrap\""),
        ("EXEC:a,pty,raw", "option \"pty\""),
        ("TCP-L:1,pktinfo", "option \"pktinfo\""),
        ("-,crnl!!READLINE", "address type \"READLINE\""),
    ] {
        let fault = spec(text).unwrap_err();
        assert!(fault.foreign, "{text}");
        let told = format!("{what} is not implemented in nsplice (socat compatibility); ");
        assert_eq!(
            fault.message.strip_prefix(&told),
            Some("NSPLICE_SOCAT_FALLBACK=/path/to/socat hands it to a real one"),
        );
    }
    assert!(!spec("FOO:a").unwrap_err().foreign);
    assert!(!spec("TCP:a:1,foo").unwrap_err().foreign);
}

#[test]
fn the_last_setting_counts() {
    let address = one("TCP-L:1,backlog=5,backlog=6,fork,fork=0,keepalive,retry=3,bind=a");
    assert_eq!(address.number(Opt::Backlog), Some(6));
    assert!(!address.has(Opt::Fork));
    assert!(address.has(Opt::KeepAlive) && address.has(Opt::Retry));
    assert_eq!(address.number(Opt::KeepAlive), Some(1));
    assert_eq!(address.text(Opt::Bind), Some("a".as_ref()));
    assert_eq!(address.number(Opt::Linger), None);
}
