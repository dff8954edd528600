//! A link through a name reaches what goes by it now, or nobody: never who has its number, nor who had its
//! name.

use std::io::Write;
use std::process::{Command, Stdio};

use nsplice_testkit::skip::{require_tool, unavailable};
use nsplice_testkit::{wait_until, Dockerd, Namespace, Server};

use crate::daemon::wrapped;
use crate::journal::listening;
use crate::peers::{echo_to_any_end, ping};
use crate::{cases, Testbed};

cases! {
    numbers_that_wrap_lead_to_no_stranger on setns external;
}

/// In a PID namespace that has room for a hundred processes, so that numbers are given again within a moment
/// (pid_namespaces(7); `kernel.pid_max` is each namespace's own since Linux 6.14). A container is killed, a
/// stranger gets its number, and another container its name.
fn numbers_that_wrap_lead_to_no_stranger(testbed: &Testbed) {
    const NAME: &str = "numbers_that_wrap_lead_to_no_stranger";
    if require_tool(NAME, "unshare").is_none() || require_tool(NAME, "nsenter").is_none() {
        return;
    }
    if !has_own_pid_max() {
        unavailable(NAME, "before Linux 6.14 the greatest PID is the whole machine's");
        return;
    }
    let meant = testbed.serve(echo_to_any_end);
    let address = format!("127.0.0.1:{}", meant.port());
    let [stranger, heir] = [(); 2].map(|()| Namespace::new().unwrap());
    let [strange, new] = [&stranger, &heir]
        .map(|namespace| Server::in_namespace(namespace, &address, echo_to_any_end));
    let dockerd = Dockerd::start();
    let daemon = testbed.daemon(meant.port()).target("docker/web");
    let daemon = daemon.variable("DOCKER_HOST", &dockerd.host());
    let (nsplice, directory) = daemon.command();
    let script = format!(
        "inside() {{
            nsenter --net=$1 sleep 1000 & inside=$!
            until [ $(readlink /proc/$inside/ns/net) != $(readlink /proc/1/ns/net) ]; do :; done
        }}
        echo 400 > /proc/sys/kernel/pid_max
        # What is below 300 is given once only.
        inside=0; while [ $inside -le 300 ]; do : & inside=$!; wait $inside; done
        inside {meant}; meant=$inside
        echo meant $meant
        read start
        {nsplice} run --config {config} & nsplice=$!
        read kill
        kill -9 $meant; wait $meant
        echo killed
        read wrap
        tries=0; inside=0
        while [ $inside != $meant ] && [ $tries -lt 1000 ]; do
            : & inside=$!; tries=$((tries + 1))
            # The one before it is next.
            wait $inside
            if [ $((inside + 1)) = $meant ]; then inside {stranger}; fi
            if [ $inside != $meant ] && kill -9 $inside 2>/dev/null; then wait $inside; fi
        done
        echo stranger $inside
        read heir
        inside {heir}
        echo heir $inside
        read end
        kill $nsplice; wait $nsplice; echo ended $?",
        meant = testbed.container().path().display(),
        stranger = stranger.path().display(),
        heir = heir.path().display(),
        nsplice = nsplice.get_program().display(),
        config = directory.path().join("nsplice.toml").display(),
    );
    let unshare = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc", "sh", "-c"];
    let mut command = wrapped(&unshare.map(str::to_owned), &Command::new(&script));
    command.env("DOCKER_HOST", dockerd.host()).stdin(Stdio::piped());
    let mut program = testbed.start(&mut command);
    let mut stdin = program.take_stdin().unwrap();
    let mut say = |word: &str| writeln!(stdin, "{word}").unwrap();
    let number = |line: String| line.rsplit(' ').next().unwrap().parse::<u32>().unwrap();

    let pid = number(program.expect_stdout("meant "));
    assert!(pid > 300, "{pid}");
    dockerd.runs("web", "c0ffee", pid);
    say("start");
    program.expect_stderr("\"msg\":\"listening\"");
    let address = program.stderr().iter().find_map(|line| listening(line)).unwrap();
    let connect = || testbed.connect(address);
    let first = connect();
    ping(&first);
    let refused = || {
        testbed.node().inside(|| nsplice_testkit::peer::connect_expecting_reset(address));
    };

    // The engine has not noticed yet.
    say("kill");
    program.expect_stdout("killed");
    refused();
    // It has, and somebody else has the number.
    dockerd.runs("web", "c0ffee", 0);
    say("wrap");
    assert_eq!(number(program.expect_stdout("stranger ")), pid, "the number is not given again");
    for _ in 0..5 {
        refused();
    }
    program.expect_stderr_lines("\"outcome\":\"target-gone\"", 6);
    // Another one has the name.
    say("heir");
    dockerd.runs("web", "beef", number(program.expect_stdout("heir ")));
    let serves = || {
        let client = connect();
        let mut answer = [0];
        (&client).write_all(b"?").is_ok()
            && std::io::Read::read_exact(&mut &client, &mut answer).is_ok()
    };
    wait_until("the heir to be found", serves);
    ping(&connect());
    ping(&first);
    assert_eq!((meant.accepted(), strange.accepted()), (1, 0), "a stranger was connected to");
    assert!(new.accepted() >= 2);
    drop(first);
    say("end");
    program.expect_stdout("ended 0");
    drop(stdin);
    program.wait();
}

/// Whether a PID namespace has a greatest PID of its own.
fn has_own_pid_max() -> bool {
    let release = nix::sys::utsname::uname().unwrap().release().display().to_string();
    let mut numbers = release.split(|letter: char| !letter.is_ascii_digit()).map(str::parse::<u32>);
    let mut number = || numbers.next().and_then(Result::ok).unwrap_or_default();
    (number(), number()) >= (6, 14)
}
