//! The words of the help: one line for each option, examples below.

/// The parts of the program's help; the words in braces are clap's.
pub(super) const TEMPLATE: &str = "\
{about}

USAGE:
    {usage}

COMMANDS:
{subcommands}
    socat         Run a socat command line: nsplice socat ...
    nsenter       Run an nsenter command line: nsplice nsenter ...
    help          Print this help, or that of a command: nsplice help COMMAND

OPTIONS:
{unified}

{after-help}";

/// The same for a command, which takes what `$arguments` shows. Of what the environment may say
/// there is an example that the command has.
macro_rules! command_template {
    ($arguments:literal, $variable:literal, $option:literal) => {
        concat!(
            "{about}\n\nUSAGE:\n    {usage}\n\n",
            $arguments,
            "OPTIONS:\n{unified}\n\n",
            "Options may also be set in the environment: ",
            $variable,
            " for ",
            $option,
            ", and so on.\n\n{after-help}"
        )
    };
    ($variable:literal, $option:literal) => {
        command_template!("ARGS:\n{positionals}\n\n", $variable, $option)
    };
}

pub(super) const FORWARD_TEMPLATE: &str = command_template!("NSPLICE_LOG=info", "--log info");
pub(super) const CONNECT_TEMPLATE: &str =
    command_template!("NSPLICE_BACKEND=setns", "--backend setns");
pub(super) const RUN_TEMPLATE: &str = command_template!("", "NSPLICE_LOG=warn", "--log warn");
pub(super) const SERVE_TEMPLATE: &str = command_template!("", "NSPLICE_API=1", "--api");
pub(super) const CHECK_TEMPLATE: &str = command_template!("NSPLICE_OUTPUT=json", "--output json");
pub(super) const TARGETS_TEMPLATE: &str = command_template!("NSPLICE_OUTPUT=json", "--output json");
pub(super) const COMPLETION_TEMPLATE: &str = "\
{about}

USAGE:
    {usage}

ARGS:
{positionals}

OPTIONS:
{unified}

{after-help}";
pub(super) const LOOKUP_TEMPLATE: &str = command_template!("NSPLICE_OUTPUT=json", "--output json");
pub(super) const INSTALL_TEMPLATE: &str = command_template!("NSPLICE_FORCE=1", "--force");
pub(super) const COMPARE_TEMPLATE: &str = command_template!("NSPLICE_QUICK=1", "--quick");

pub(super) const HELP: &str = "Print this help";
pub(super) const VERSION: &str = "Print the version";
pub(super) const USAGE: &str = "nsplice COMMAND [OPTIONS] ...";

pub(super) const ABOUT: &str =
    "Reach a TCP port inside a container's network namespace, from the node";

pub(super) const EXAMPLES: &str = "\
TARGET is KIND/NAME, or the NAME of a pod or container:
    pod/web, pod/default/web   a pod of this node
    container/web              a running container of any runtime, by name or ID
    docker/web                 a running Docker container, by name or ID
    pid/4947                   the network namespace of a process
    netns/blue                 a namespace of `ip netns`
    netns//proc/4947/ns/net    a namespace by its absolute path
    tcp/db.example             another machine, without a namespace

EXAMPLES:
    # Port 8080 of a container on localhost:18080
    nsplice forward docker/web 18080:8080

    # The pods and containers of this node, and their ports
    nsplice targets

    # What works here, and why the rest does not
    nsplice check docker/web 8080

See `nsplice COMMAND --help` for more about a command.";

pub(super) const FORWARD_ABOUT: &str = "Forward ports of this machine to ports of a target";

pub(super) const FORWARD_USAGE: &str = "nsplice forward [OPTIONS] TARGET [LOCAL:]REMOTE...";

pub(super) const FORWARD_EXAMPLES: &str = "\
Runs until Ctrl-C or SIGTERM, which end all connections at once. With pid/N it
also ends, with exit code 7, once that process has exited and its connections
have ended. SIGUSR1 logs the counters and the open connections.

EXAMPLES:
    # Listen on port 8080 locally, forwarding to 8080 in the container
    nsplice forward docker/web 8080

    # Two ports; the first on another number
    nsplice forward pid/4947 18080:8080 9090

    # Listen on a free port, which is printed
    nsplice forward netns/blue :5432

    # What only the pod reaches, by a name that only the pod knows
    nsplice forward --to db.internal pod/web 5432

    # Listen on all addresses of this machine
    nsplice forward --address 0.0.0.0,:: docker/web 8080

    # As the kubelet did: nsenter and socat for each connection
    nsplice forward --backend external pid/4947 8080";

pub(super) const CONNECT_ABOUT: &str = "Connect standard input and output to a port of a target";

pub(super) const CONNECT_USAGE: &str = "nsplice connect [OPTIONS] TARGET PORT";

pub(super) const CONNECT_EXAMPLES: &str = "\
End of file on standard input is passed on as a half-close; what the target
still sends is read to its end.

EXAMPLES:
    # What `nsenter -t 4947 -n socat - TCP4:localhost:8080` does
    nsplice connect pid/4947 8080

    # Ask a web server
    printf 'GET / HTTP/1.0\\r\\n\\r\\n' | nsplice connect docker/web 80

    # As a way in for ssh
    ssh -o ProxyCommand='nsplice connect netns/blue 22' root@blue";

pub(super) const RUN_ABOUT: &str = "Run the daemon: the forwards of a configuration file";

pub(super) const RUN_USAGE: &str = "nsplice run [OPTIONS] --config FILE";

pub(super) const RUN_EXAMPLES: &str = "\
SIGTERM, SIGINT and SIGQUIT stop listening and give open connections their
drain_timeout; a second SIGTERM or SIGINT ends them at once. SIGUSR1 logs the
counters and the open connections; other signals are ignored. Options override
the file. A forward whose target is missing refuses connections until the target
appears.

EXAMPLES:
    nsplice run --config /etc/nsplice.toml

    # The smallest configuration
    [[forward]]
    name = \"web\"
    listen = \"127.0.0.1:8080\"
    target = \"docker/web\"
    port = 80";

pub(super) const SERVE_ABOUT: &str = "Serve the pods of this node to kubectl port-forward";

pub(super) const SERVE_USAGE: &str = "nsplice serve [OPTIONS]";

pub(super) const SERVE_EXAMPLES: &str = "\
Answers at the paths of the API server and of the kubelet. Whoever can connect
can reach every pod of this node: there is no authentication. With --api,
kubectl needs no cluster: what runs on this node is there, containers without a
pod as pods of the namespace default. SIGTERM, SIGINT and SIGQUIT drain for
30s; a second SIGTERM or SIGINT ends it at once.

EXAMPLES:
    nsplice serve --api

    # Elsewhere on this node
    kubectl --server http://127.0.0.1:8001 get pods --all-namespaces
    kubectl --server http://127.0.0.1:8001 port-forward pod/web 8080:80";

pub(super) const CHECK_ABOUT: &str = "Show what works here, what does not, and why";

pub(super) const CHECK_USAGE: &str = "nsplice check [OPTIONS] [TARGET PORT]";

pub(super) const CHECK_EXAMPLES: &str = "\
With a target and a port, looks the target up and connects to it with each
backend. Exits with 0 if any backend is usable and, given a target, did connect;
else with 1.

EXAMPLES:
    # Tools, privileges and limits of this machine
    nsplice check

    # Whether and how port 8080 of a container is reached, for a script
    nsplice check --output json docker/web 8080";

pub(super) const LOOKUP_ABOUT: &str = "Look a name up as a target resolves it";

pub(super) const LOOKUP_USAGE: &str = "nsplice lookup [OPTIONS] TARGET NAME";

pub(super) const LOOKUP_EXAMPLES: &str = "\
Reads the target's own /etc/hosts and /etc/resolv.conf, and asks its name
servers from inside its network namespace. Nothing is run there. Exits with 1
if the name has no address.

EXAMPLES:
    # The address of a service, as a pod finds it
    nsplice lookup pod/web db";

pub(super) const TARGETS_ABOUT: &str =
    "List the node's pods and containers, and what listens there";

pub(super) const TARGETS_USAGE: &str = "nsplice targets [OPTIONS] [FILTER]";

pub(super) const TARGETS_EXAMPLES: &str = "\
FILTER is a part of a target or of its names, a runtime, or the beginning of an
ID; with * or ? it is a pattern for all of one of them. Lists what runs, and the
named network namespaces that are none of those. A port that is `localhost only`
can be reached from outside by nsplice alone. A narrow terminal shows fewer
columns; a pipe gets a line for each target. --watch looks again every second,
or after four times what a look takes. What could not be seen is told on
standard error: then exits with 5 if a privilege is missing, or with 1; exits
with 7 if nothing passes the FILTER.

EXAMPLES:
    # Everything, and then a port of it on localhost
    nsplice targets
    nsplice forward pod/default/web 5432

    # The pods of a Kubernetes namespace, for a script
    nsplice targets 'pod/kube-system/*' --output json

    # What comes and goes, one line for each change
    nsplice targets --watch docker | cat";

pub(super) const COMPLETION_ABOUT: &str = "Print a script that completes command lines in a shell";

pub(super) const COMPLETION_USAGE: &str = "nsplice completion SHELL";

pub(super) const COMPLETION_EXAMPLES: &str = "\
Completes commands, options, the names of pods, containers and namespaces of
this node, and the ports that are open there.

EXAMPLES:
    # For this shell
    source <(nsplice completion bash)

    # For all shells of this machine
    nsplice completion bash >/usr/share/bash-completion/completions/nsplice
    nsplice completion zsh >/usr/local/share/zsh/site-functions/_nsplice
    nsplice completion fish >/usr/share/fish/vendor_completions.d/nsplice.fish";

pub(super) const INSTALL_ABOUT: &str = "Link the names socat and nsenter to this program";

pub(super) const INSTALL_USAGE: &str = "\
nsplice install [--nsenter] [--force] DIR
    nsplice install --uninstall DIR";

pub(super) const INSTALL_EXAMPLES: &str = "\
Makes the symbolic link DIR/socat, and with --nsenter DIR/nsenter. Command lines
that nsplice cannot run are handed to another socat: the program that
NSPLICE_SOCAT_FALLBACK names, or `socat1` in PATH.

EXAMPLES:
    # Ahead of /usr/bin in most PATHs; replaces nothing
    nsplice install /usr/local/bin

    # In place of the real socat, which is kept as socat.nsplice-saved
    nsplice install --force /usr/bin

    # Undo that
    nsplice install --uninstall /usr/bin";

pub(super) const COMPARE_ABOUT: &str = "Compare the backends: how they behave and what they cost";

pub(super) const COMPARE_USAGE: &str = "nsplice compare [OPTIONS] [TARGET [PORT]]";

pub(super) const COMPARE_EXAMPLES: &str = "\
Brings its own servers and clients. With a TARGET its servers listen inside it,
on PORT or on a free port; without one it makes two namespaces and removes them
afterwards. Takes three minutes, and shows how much is left; Ctrl-C stops it and
reports what was measured so far, a second Ctrl-C stops it at once. A --command
may use {pid} {netns} {address} {port}; a --peer must forward to PORT.

EXAMPLES:
    # On any machine, as root or where user namespaces are allowed
    nsplice compare --quick

    # The same for a container, to keep and to show
    nsplice compare docker/web --output json --report new.html > new.json

    # What changed since
    nsplice compare docker/web --compare old.json

    # Beside a relay that forwards 127.0.0.1:9000 to port 8080 of this machine
    nsplice compare tcp/127.0.0.1 8080 --backends dial \\
        --peer haproxy=127.0.0.1:9000,pid=4947

    # Another program in the place of nsenter and socat
    nsplice compare --workloads conformance \\
        --command 'nc=nsenter -t {pid} -n nc 127.0.0.1 {port}'";

pub(super) const COMPARE_TARGET: &str = "Where to measure [default: a namespace made for it]";
pub(super) const COMPARE_PORT: &str = "The servers' port inside the target [default: a free one]";
pub(super) const BACKENDS: &str = "Any of setns, setns-copy, external, dial [default: all]";
pub(super) const COMPARE_COMMAND: &str = "Also nsplice running this command for each link";
pub(super) const PEER: &str = "Also a running relay; ,pid=N or ,cgroup=DIR counts its CPU";
pub(super) const WORKLOADS: &str = "Any of conformance, open, requests, bulk, idle [default: all]";
pub(super) const ROUNDS: &str = "Rounds of measurements [default: 4, with --quick 1]";
pub(super) const SECONDS: &str = "Seconds per measurement [default: to fit into 3 min]";
pub(super) const QUICK: &str = "Take 20 seconds: shows orders of magnitude";
pub(super) const REPORT: &str = "Also write a self-contained HTML page";
pub(super) const OLDER: &str = "Show what changed since OLD.json, made by --output json";

pub(super) const LINK_DIRECTORY: &str = "Where to make the links";
pub(super) const LINK_NSENTER: &str = "Also link nsenter";
pub(super) const FORCE: &str = "Rename another program of that name instead of failing";
pub(super) const BOTH_WAYS: &str = "\
error: --uninstall cannot be used with --nsenter or --force; if you did not type it, \
NSPLICE_UNINSTALL=1 is in the environment";
pub(super) const UNINSTALL: &str = "Remove the links and restore renamed programs";

pub(super) const TARGET: &str =
    "What to reach: pod/NAME, container/NAME, docker/NAME, pid/N, netns/NAME or tcp/HOST";
pub(super) const PORTS: &str = "Ports: 8080, 18080:8080, or :8080 for a free local port";
pub(super) const PORT: &str = "The TCP port inside the target";
pub(super) const ADDRESS: &str = "Listen on these: IP addresses or localhost [default: localhost]";
pub(super) const TO: &str = "An address or name inside the target [default: localhost]";
pub(super) const BACKEND: &str = "How to connect: auto, setns, external or dial [default: auto]";
pub(super) const COMMAND: &str = "Run this instead; may use {pid} {netns} {address} {port}";
pub(super) const ROOT: &str = "Find pods and containers below this root [default: /]";
pub(super) const NSENTER: &str = "The nsenter program [default: from PATH]";
pub(super) const SOCAT: &str = "The socat program [default: from PATH]";
pub(super) const POD_IP: &str = "Try the pod's own address, too, after localhost";
pub(super) const NO_SPLICE: &str = "Copy bytes instead of splicing them";
pub(super) const CONNECT_TIMEOUT: &str = "Time limit for opening a connection [default: 10s]";
pub(super) const FILTER: &str = "Which targets [default: all]";
pub(super) const WATCH: &str = "Show changes until Ctrl-C";
pub(super) const SHELL: &str = "bash, zsh or fish";
pub(super) const LOOKUP_NAME: &str = "The name";
pub(super) const LOOKUP_TIMEOUT: &str = "Time limit for the answer [default: 10s]";
pub(super) const IDLE_TIMEOUT: &str = "End connections idle for this long [default: none]";
pub(super) const LINGER: &str = "The same for half-closed connections [default: none]";
pub(super) const MAX_LINKS: &str = "Most connections at once per local port [default: no limit]";
pub(super) const WAIT_FOR_TARGET: &str = "Wait for a missing target before listening";
pub(super) const LOOPS: &str = "Relay threads [default: 1]";
pub(super) const LOG_FORMAT: &str = "Log format: text or json [default: text]";
pub(super) const FORWARD_LOG: &str =
    "Level: error, warn, info (each connection) or debug [default: warn]";
pub(super) const RUN_LOG: &str =
    "Level: error, warn, info (each connection) or debug [default: info]";
pub(super) const LISTEN: &str = "Listen here: IP:PORT [default: 127.0.0.1:8001]";
pub(super) const EXPOSE: &str = "Listen at addresses that other machines reach, too";
pub(super) const API: &str = "Also answer what kubectl asks first, read-only";
pub(super) const SERVE_MAX_LINKS: &str = "Most connections at once [default: no limit]";
pub(super) const QUIET: &str = "Print errors only";
pub(super) const VERBOSE: &str = "Log each connection; -vv its start as well";
pub(super) const CONFIG: &str = "Configuration file (TOML)";
pub(super) const CONFIG_MISSING: &str = "\
error: The following required arguments were not provided:
    --config <FILE>

USAGE:
    nsplice run [OPTIONS] --config FILE

For more information try --help";
pub(super) const OUTPUT: &str = "Output format: table or json [default: table]";
