//! The values of options.

use std::ffi::OsString;
use std::time::Duration;

use super::{one, refusal};
use crate::language::Value;

#[test]
fn values_that_make_no_sense() {
    let missing =
        |option: &str| format!("parseopts(): missing numerical value of option \"{option}\"");
    let garbage = |option: &str| {
        format!("parseopts(): trailing garbage in numerical arg of option \"{option}\"")
    };
    for option in [
        "keepalive=yes",
        "keepalive=",
        "sndbuf=",
        "sndbuf=x",
        "fork=yes",
        "fork=",
        "mode=",
        "mode=8",
        "mode=x",
        "connect-timeout=",
        "connect-timeout=x",
        "interval=x",
        "retry=x",
        "retry=",
        "sp=",
        "sp=http",
        "setsockopt=x:2:3",
        "setsockopt=:2:3",
        "setsockopt-int=1:2:x",
        "setsockopt-int=1:2:",
        "readbytes=",
        "readbytes=x",
        "linger=x",
        "escape=x",
    ] {
        assert_eq!(refusal(&format!("TCP:localhost:1,{option}")), missing(option));
    }
    for option in [
        "sndbuf=1x",
        "sndbuf=08",
        "fork=1x",
        "mode=660x",
        "mode=0x1",
        "user=12x",
        "group=1x",
        "connect-timeout=1x",
        "interval=1x",
        "retry=1x",
        "setsockopt-int=1:2:3x",
        "readbytes=1x",
        "linger=5x",
    ] {
        assert_eq!(refusal(&format!("TCP:localhost:1,{option}")), garbage(option));
    }
    for (option, message) in [
        ("bind", "option \"bind\": value required"),
        ("mode", "option \"mode\": value required"),
        ("user", "option \"user\": value required"),
        ("connect-timeout", "option \"connect-timeout\": value required"),
        ("interval", "option \"interval\": value required"),
        ("linger", "option \"linger\": value required"),
        ("pf", "option \"pf\": value required"),
        ("if", "option \"if\": value required"),
        ("user=nosuch user", "getpwnam(\"nosuch user\"): no such user"),
        ("user=", "getpwnam(\"\"): no such user"),
        ("user=-1", "getpwnam(\"-1\"): no such user"),
        ("su=nosuch", "getpwnam(\"nosuch\"): no such user"),
        ("group=nosuch", "getgrnam(\"nosuch\"): no such group"),
        ("setsockopt", "option \"setsockopt\": values required"),
        ("setsockopt=1", "option \"setsockopt\": 3 arguments required"),
        ("setsockopt=1:2", "option \"setsockopt\": 3 arguments required"),
        ("setsockopt-int=1:2", "parseopts(): option \"setsockopt-int\": 3 arguments required"),
        (
            "setsockopt=1x:2:3",
            "parseopts(): trailing garbage in 1st numerical arg of option \"setsockopt=1x:2:3\"",
        ),
        (
            "setsockopt=1:x:3",
            "parseopts(): trailing garbage in 2nd numerical arg of option \"setsockopt=1:x:3\"",
        ),
        ("setsockopt=6:1:x0", "parseopts_table(): problem with \"x0\" data"),
        ("crnl=1", "no value permitted for option \"crnl\""),
        ("crnl=", "no value permitted for option \"crnl\""),
    ] {
        assert_eq!(refusal(&format!("TCP:localhost:1,{option}")), message);
    }
}

#[test]
fn values_as_they_are_read() {
    let value = |option: &str| {
        let options = one(&format!("TCP:localhost:1,{option}")).options;
        options.into_iter().next().map(|setting| setting.value)
    };
    let socket = |level, option, data: &[u8]| {
        Some(Value::SocketOption { level, option, data: data.to_vec() })
    };
    for (option, expected) in [
        ("keepalive", Some(Value::Flag(true))),
        ("keepalive=0", Some(Value::Flag(false))),
        ("keepalive=7", Some(Value::Flag(true))),
        ("reuseaddr=", Some(Value::Flag(false))),
        ("fork=00000", Some(Value::Flag(false))),
        ("fork= -1", Some(Value::Flag(true))),
        ("crnl", Some(Value::Flag(true))),
        ("sndbuf", Some(Value::Number(1))),
        ("sndbuf=0x10", Some(Value::Number(16))),
        ("sndbuf=010", Some(Value::Number(8))),
        ("sndbuf=-5", Some(Value::Number(-5))),
        ("sndbuf= +5", Some(Value::Number(5))),
        ("retry=-1", Some(Value::Number(i64::from(u32::MAX)))),
        ("readbytes=-1", Some(Value::Number(i64::MAX))),
        ("mode=660", Some(Value::Number(0o660))),
        ("mode=0660", Some(Value::Number(0o660))),
        ("connect-timeout=.5", Some(Value::Time(Duration::from_millis(500)))),
        ("connect-timeout=1e1", Some(Value::Time(Duration::from_secs(10)))),
        ("connect-timeout=0x2", Some(Value::Time(Duration::from_secs(2)))),
        ("connect-timeout=5.", Some(Value::Time(Duration::from_secs(5)))),
        ("bind=", Some(Value::Text(OsString::new()))),
        ("bind=[1.2.3.4]:5", Some(Value::Text("[1.2.3.4]:5".into()))),
        ("bind=\"1.2.3.4\":5", Some(Value::Text("1.2.3.4:5".into()))),
        ("bind=1.2.3.4=7", Some(Value::Text("1.2.3.4=7".into()))),
        ("\"bind\"='::1'", Some(Value::Text("::1".into()))),
        ("user=root", Some(Value::Text("root".into()))),
        ("user=0x1", Some(Value::Text("0x1".into()))),
        ("setsockopt=6:1:3", socket(6, 1, &3_i32.to_ne_bytes())),
        ("setsockopt=6::-1", socket(6, 0, &(-1_i32).to_ne_bytes())),
        ("setsockopt=6:1:x01000000", socket(6, 1, &[1, 0, 0, 0])),
        ("setsockopt=6:1:i1i2", socket(6, 1, &[1_i32.to_ne_bytes(), 2_i32.to_ne_bytes()].concat())),
        ("setsockopt=6:1:1 2", socket(6, 1, &[1_i32.to_ne_bytes(), 2_i32.to_ne_bytes()].concat())),
        ("setsockopt=6:1:l1", socket(6, 1, &1_i64.to_ne_bytes())),
        ("setsockopt=6:1:B255", socket(6, 1, &[255])),
        ("setsockopt=1:25:\\\"lo\\\"", socket(1, 25, b"lo")),
        ("setsockopt=1:25:\\\"a\\\"x00", socket(1, 25, b"a\0")),
        ("setsockopt=6:1:\\'a\\'", socket(6, 1, b"a")),
        ("setsockopt=6:1:", socket(6, 1, b"")),
        ("setsockopt-int=6:1:0x3", socket(6, 1, &3_i32.to_ne_bytes())),
        ("setsockopt-string=6:1:lo", socket(6, 1, b"lo\0")),
    ] {
        assert_eq!(value(option), expected, "{option}");
    }
    assert!(refusal("TCP:a:1,sp=65536").contains("out of range"));
    assert!(refusal("TCP:a:1,connect-timeout=-1").contains("not a length of time"));
}
