use std::time::Duration;

use nsplice_backend::Choice;
use nsplice_relay::Limits;

use super::*;
use crate::log::LogFormat;
use crate::values::LoopCount;

const EXAMPLE: &str = include_str!("../../../../fixtures/nsplice.toml");

fn read(text: &str) -> Result<Config, Refusal> {
    parse(Path::new("test.toml"), text)
}

/// What is said about a forward with `extra` keys, which begin on line 6.
fn refusal(extra: &str) -> (usize, String) {
    let text = format!(
        "[[forward]]\nname = 'a'\nlisten = '127.0.0.1:1'\ntarget = 'pid/7'\nport = 80\n{extra}\n"
    );
    let refusal = read(&text).unwrap_err();
    (refusal.line, refusal.message)
}

#[test]
fn the_example_is_understood_whole() {
    let config = read(EXAMPLE).unwrap();
    assert_eq!(config.drain_timeout, Some(Duration::from_secs(30)));
    assert_eq!(config.loops, LoopCount(1));
    let names: Vec<_> = config.forwards.iter().map(|forward| forward.name.as_str()).collect();
    assert_eq!(names, ["web", "database", "blue", "mirror"]);
    let [web, database, blue, _] = config.forwards.as_slice() else { panic!("four forwards") };
    assert_eq!(web.listen, ["127.0.0.1:8080".parse().unwrap(), "[::1]:8080".parse().unwrap()]);
    assert_eq!(web.limits.idle_timeout, Some(Duration::from_secs(3600)));
    assert_eq!(web.limits.linger, Some(Duration::from_secs(300)));
    assert_eq!(web.max_links, Some(1000));
    assert_eq!(database.destination.to_string(), "db.internal:5432 in docker/web");
    assert_eq!(blue.destination.to_string(), "10.0.0.2:5432 in netns/blue");
    assert_eq!(blue.backend, Choice::External);
    assert!(blue.options.command.is_some());
    assert!(blue.wait_for_target && !web.wait_for_target);
    assert!(web.options.pod_ip && !database.options.pod_ip);
    assert_eq!(EXAMPLE.lines().nth(web.line - 1), Some("[[forward]]"));
}

#[test]
fn the_example_shows_every_key() {
    let keys = read("x = 1").unwrap_err().message + &refusal("x = 1").1;
    assert!(!keys.contains("did you mean"), "{keys}");
    for key in keys.split('`').skip(1).step_by(2).filter(|key| *key != "x" && *key != "forward") {
        assert!(EXAMPLE.contains(&format!("\n{key} = ")), "{key} is not shown");
    }
}

#[test]
fn defaults() {
    let text = "[[forward]]\nname='a'\nlisten='[::1]:0'\ntarget='tcp/db'\nport=1\n";
    let config = read(text).unwrap();
    assert_eq!(config.drain_timeout, Some(Duration::from_secs(30)));
    assert_eq!((config.log_format, config.splice), (LogFormat::Text, true));
    assert_eq!(config.forwards[0].limits, Limits::default());
    assert_eq!(config.forwards[0].max_links, None);
    assert!(!config.forwards[0].wait_for_target);
}

#[test]
fn bad_values_are_told_with_line_key_and_what_is_allowed() {
    for (extra, line, message) in [
        (
            "backend = 'socat'",
            6,
            "backend: `socat` is not a backend: write auto, setns, external or dial",
        ),
        (
            "\nidle_timeout = '10'",
            7,
            "idle_timeout: `10` is not a time limit: write for example 30s, 5m or 1h, \
             at most 365days, or none for no limit",
        ),
        ("max_links = 0", 6, "max_links: `0` is not a number of links: 1 to 4294967295"),
        ("max_links = '5'", 6, "max_links: \"5\" is in quotes: write 5"),
        ("max_links = 'many'", 6, "max_links: `many` is not a number of links: 1 to 4294967295"),
        ("max_links = 2.5", 6, "max_links: `2.5` is not a number of links: 1 to 4294967295"),
        ("linger = 5", 6, "linger: `5` is not in quotes: write \"5s\""),
        ("connect_timeout = 0.5", 6, "connect_timeout: `0.5` is not in quotes: write \"0.5s\""),
        (
            "linger = false",
            6,
            "linger: `false` is not a time limit: write for example 30s, 5m or 1h, at most \
             365days, or none for no limit, in quotes",
        ),
        (
            "wait_for_target = 'yes'",
            6,
            "wait_for_target: \"yes\" is text: write true or false, without quotes",
        ),
        (
            "wait_for_target = true",
            1,
            "wait_for_target: pid/7 cannot be waited for: a process that has the number later is \
             another one; a pod, a container or a name of `ip netns` can",
        ),
        ("to = 10", 6, "to: `10` is not in quotes: write \"10\""),
        ("max_links = [5]", 6, "max_links: invalid type: sequence, expected a whole number"),
        ("linger = ['5s']", 6, "linger: invalid type: sequence, expected a value in quotes"),
        (
            "linger = '5s'\nlnger = '5s'",
            7,
            "unknown field `lnger`, expected one of `name`, `listen`, `target`, `to`, `pod_ip`, \
             `port`, `backend`, `command`, `connect_timeout`, `idle_timeout`, `linger`, `max_links`, \
             `wait_for_target`; did you mean `linger`?",
        ),
        (
            "command = 'nc {host}'",
            6,
            "command: the command has an unknown placeholder {host}; \
             {pid}, {netns}, {address} and {port} are known, and {{ is a brace",
        ),
    ] {
        assert_eq!(refusal(extra), (line, message.to_owned()), "{extra}");
    }
}

#[test]
fn the_root_is_that_of_all_forwards() {
    let forward = |name: &str| {
        format!(
            "[[forward]]\nname = '{name}'\nlisten = '[::1]:0'\ntarget = 'pod/{name}'\nport = 80\n"
        )
    };
    let both = forward("a") + &forward("b");
    let root = tempfile::tempdir().unwrap();
    let text = format!("root = '{}'\n{both}", root.path().display());
    let roots = |text: &str| -> Vec<_> {
        read(text).unwrap().forwards.into_iter().map(|forward| forward.options.root).collect()
    };
    assert_eq!(roots(&text), [Some(root.path().to_owned()), Some(root.path().to_owned())]);
    assert_eq!(roots(&both), [None, None]);
}

#[test]
fn what_is_missing_is_named() {
    let refusal = read("\n[[forward]]\nname = 'a'\n").unwrap_err();
    assert_eq!((refusal.line, refusal.message.as_str()), (2, "missing field `listen`"));
    let refusal = read("loops = 2\n# nothing else\n").unwrap_err();
    assert_eq!(refusal.line, 2);
    assert_eq!(refusal.message, "there is no [[forward]]: at least one is needed");
}

#[test]
fn top_level_values_and_broken_toml() {
    for (text, line, start) in [
        ("loops = 0", 1, "loops: `0` is not a number of loops: 1 to 256"),
        ("\n\ndrain_timeout = 'soon'", 3, "drain_timeout: `soon` is not a time"),
        ("log = 'loud'", 1, "log: `loud` is not a log level: write error, warn, info or debug"),
        ("log_format = 'xml'", 1, "log_format: `xml` is not a log format: write text or json"),
        ("splice = 'yes'", 1, "splice: \"yes\" is text: write true or false, without quotes"),
        ("splice = 1", 1, "splice: invalid type: integer `1`, expected true or false"),
        ("root = 'host'", 1, "root: `host` is not an absolute path"),
        ("root = ''", 1, "root: `` is not an absolute path"),
        ("root = '/etc/passwd'", 1, "root: /etc/passwd is not a directory"),
        (
            "\nroot = '/nonexistent'",
            2,
            "root: cannot look below /nonexistent: No such file or directory",
        ),
        ("loop = 1", 1, "unknown field `loop`, expected one of `drain_timeout`, `log_format`"),
        ("loops = '2'", 1, "loops: \"2\" is in quotes: write 2"),
        ("drain_timeout = 30", 1, "drain_timeout: `30` is not in quotes: write \"30s\""),
        ("\n[forward]\nname = 'a'", 2, "forward: there may be several: write [[forward]], with"),
        ("forward = 1", 1, "forward: invalid type: integer `1`, expected a table for each"),
        ("\nloops = = 1", 2, ""),
    ] {
        let refusal = read(text).unwrap_err();
        assert_eq!(refusal.line, line, "{text}: {}", refusal.message);
        assert!(refusal.message.starts_with(start), "{text}: {}", refusal.message);
    }
}

#[test]
fn listen_takes_an_address_or_a_list() {
    let listen = |value: &str| {
        let text = format!("[[forward]]\nname='a'\ntarget='pid/7'\nport=1\nlisten = {value}\n");
        read(&text).map(|config| config.forwards[0].listen.len()).map_err(|refusal| {
            assert_eq!(refusal.line, 5, "{value}: {}", refusal.message);
            refusal.message
        })
    };
    assert_eq!(listen("'127.0.0.1:1'"), Ok(1));
    assert_eq!(listen("['127.0.0.1:1', '[::1]:1']"), Ok(2));
    assert_eq!(listen("['127.0.0.1:0', '127.0.0.1:0']"), Ok(2));
    let hint = "is not an address with a port: write 127.0.0.1:8080 or [::1]:8080";
    assert_eq!(listen("'8080'"), Err(format!("listen: `8080` {hint}")));
    assert_eq!(listen("['127.0.0.1:1', 'x']"), Err(format!("listen: `x` {hint}")));
    assert_eq!(
        listen("[]").unwrap_err(),
        "listen: the list is empty: at least one address is needed"
    );
    assert_eq!(
        listen("80").unwrap_err(),
        "listen: a port alone is no address: write \"127.0.0.1:80\""
    );
    assert!(listen("true").unwrap_err().contains("an address such as"));
}

#[test]
fn forwards_must_not_get_in_each_others_way() {
    let forward = |name: &str, listen: &str, target: &str| {
        format!("[[forward]]\nname='{name}'\nlisten={listen}\ntarget='{target}'\nport=80\n")
    };
    let first = forward("a", "'127.0.0.1:1'", "pid/7");
    for (second, message) in [
        (
            forward("a", "'127.0.0.1:2'", "pid/7"),
            "name: `a` is already the name of the forward in line 1",
        ),
        (
            forward("b", "['[::1]:1', '127.0.0.1:1']", "pid/7"),
            "listen: 127.0.0.1:1 is already the address of `a` in line 1",
        ),
        (forward("b", "['[::1]:1', '[::1]:1']", "pid/7"), "listen: [::1]:1 is listed twice"),
        (
            forward("b", "'127.0.0.1:80'", "tcp/127.0.0.1"),
            "target: tcp/127.0.0.1:80 is this forward's own listener",
        ),
        (
            forward("b", "'0.0.0.0:80'", "tcp/127.0.0.1"),
            "target: tcp/127.0.0.1:80 is this forward's own listener",
        ),
        (
            forward("b", "'127.0.0.1:80'", "tcp/localhost"),
            "target: tcp/localhost:80 is this forward's own listener",
        ),
    ] {
        let refusal = read(&format!("{first}{second}")).unwrap_err();
        assert_eq!((refusal.line, refusal.message.as_str()), (6, message));
    }
    for fine in [
        forward("b", "'127.0.0.1:80'", "pid/7"),
        forward("b", "'127.0.0.1:80'", "tcp/10.0.0.1"),
        forward("b", "'127.0.0.1:81'", "tcp/127.0.0.1"),
        forward("b", "'[::1]:80'", "tcp/localhost"),
    ] {
        assert!(read(&format!("{first}{fine}")).is_ok(), "{fine}");
    }
}

#[test]
fn names_are_plain() {
    let text = "[[forward]]\nname = 'a b'\nlisten = '127.0.0.1:1'\ntarget = 'pid/7'\nport = 80\n";
    let refusal = read(text).unwrap_err();
    assert_eq!(refusal.line, 2);
    assert_eq!(
        refusal.message,
        "name: `a b` is not a name: letters, digits and `-_.:/` are allowed"
    );
}

#[test]
fn what_is_no_text_is_refused_with_its_line() {
    assert_eq!(decoded("loops = 1\n# \u{fc}".as_bytes()), Ok("loops = 1\n# \u{fc}"));
    let message = "invalid UTF-8: the byte 0xff (TOML must be UTF-8)".to_owned();
    assert_eq!(decoded(b"loops = 1\n\n# \xff\n"), Err(Refusal { line: 3, message }));
}
