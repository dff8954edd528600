//! What nsenter prints when it is asked about itself.

/// The answer to `--version`: in the first line what scripts look for, then who it really is.
pub(crate) fn version(short: &[u8]) -> Vec<u8> {
    let rest = concat!(
        " from util-linux 2.38.1\nplayed by nsplice ",
        env!("CARGO_PKG_VERSION"),
        ", for compatibility\n"
    );
    [short, rest.as_bytes()].concat()
}

/// The answer to `--help`.
pub(crate) fn help(short: &[u8]) -> Vec<u8> {
    let usage: [&[u8]; 3] = [b"\nUsage:\n ", short, b" [options] [<program> [<argument>...]]\n"];
    [usage.concat().as_slice(), HELP.as_bytes()].concat()
}

const HELP: &str = "
Enter namespaces of another process and become a program there.
This is nsplice, which understands the options of util-linux 2.38.1.

Options:
 -t, --target <pid>     the process whose namespaces are meant
 -a, --all              all of its namespaces
 -m, --mount[=<file>]   mounts
 -u, --uts[=<file>]     host name
 -i, --ipc[=<file>]     System V IPC
 -n, --net[=<file>]     network
 -p, --pid[=<file>]     process numbers
 -C, --cgroup[=<file>]  control groups
 -U, --user[=<file>]    users
 -T, --time[=<file>]    clocks
 -r, --root[=<dir>]     root directory
 -w, --wd[=<dir>]       working directory
 -W, --wdns <dir>       working directory, looked up after the namespaces were entered
 -S, --setuid <uid>     become this user
 -G, --setgid <gid>     become this group
     --preserve-credentials  stay who you are in a user namespace
 -F, --no-fork          do not fork for a PID namespace

 -h, --help             print this help
 -V, --version          print the version

Without <file> or <dir>, that of the target is meant. Without <program>, a shell.
";
