//! The tables of keywords: those that nsplice implements, and those that only socat does.

use super::super::group::Groups;

/// An address type that nsplice implements. Aliases are read into one of these.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Keyword {
    /// `-`, `STDIO`
    Stdio,
    Stdin,
    Stdout,
    Stderr,
    /// `FD:n`, or a single digit
    Fd,
    /// `ACCEPT-FD:n`, `ACCEPT:n`
    AcceptFd,
    /// `TCP`, `TCP-CONNECT`, `INET`: the IP version by preference
    TcpConnect,
    Tcp4Connect,
    Tcp6Connect,
    TcpListen,
    Tcp4Listen,
    Tcp6Listen,
    UnixConnect,
    UnixListen,
    /// `UNIX-CLIENT`, `UNIX`, `LOCAL`: a stream, else a datagram socket
    UnixClient,
    AbstractConnect,
    AbstractListen,
    AbstractClient,
    VsockConnect,
    VsockListen,
    /// A bare path, `GOPEN:path`
    Gopen,
    /// `OPEN`, `FILE`
    Open,
    /// `CREATE`, `CREAT`
    Create,
    /// `PIPE`, `ECHO`, `FIFO`, with or without a name
    Pipe,
    Exec,
    System,
}

/// The number of parameters that a keyword takes, and their names in the help.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Usage {
    /// Exactly these.
    Exactly(&'static [&'static str]),
    /// One, which is a file's name; if the number is wrong, the keyword is counted as well.
    File,
    /// One descriptor.
    Descriptor,
    /// None or one, a file's name.
    Perhaps,
    /// One, a command line.
    Command,
    /// One, of which more colons are no part, a command for the shell.
    Shell,
}

/// A row of the table of keywords.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Row {
    pub(crate) keyword: Keyword,
    /// The name in the help, in lower case.
    pub(crate) name: &'static str,
    pub(crate) aliases: &'static [&'static str],
    pub(crate) usage: Usage,
    pub(crate) groups: Groups,
}

const ANY_FD: Groups = Groups::FD
    .and(Groups::FIFO)
    .and(Groups::CHR)
    .and(Groups::BLK)
    .and(Groups::REG)
    .and(Groups::SOCKET)
    .and(Groups::TERMIOS)
    .and(Groups::UNIX)
    .and(Groups::IP4)
    .and(Groups::IP6)
    .and(Groups::UDP)
    .and(Groups::TCP)
    .and(Groups::SCTP);
const CONNECT: Groups = Groups::FD.and(Groups::SOCKET).and(Groups::CHILD).and(Groups::RETRY);
const LISTEN: Groups = CONNECT.and(Groups::LISTEN);
const TCP4: Groups = Groups::IP4.and(Groups::TCP);
const TCP6: Groups = Groups::IP6.and(Groups::TCP);
const TCP: Groups = TCP4.and(TCP6);
const ABSTRACT: Groups = Groups::FD.and(Groups::SOCKET).and(Groups::RETRY).and(Groups::UNIX);
const UNIX: Groups = ABSTRACT.and(Groups::NAMED);
const ACCEPTING: Groups = Groups::LISTEN.and(Groups::CHILD);
const CREATE: Groups = Groups::FD.and(Groups::REG).and(Groups::NAMED);
const OPEN: Groups = CREATE
    .and(Groups::FIFO)
    .and(Groups::CHR)
    .and(Groups::BLK)
    .and(Groups::OPEN)
    .and(Groups::TERMIOS);
const GOPEN: Groups = OPEN.and(Groups::SOCKET).and(Groups::UNIX);
/// The groups of a pipe without a name.
pub(crate) const UNNAMED_PIPE: Groups = Groups::FD.and(Groups::FIFO);
const NAMED_PIPE: Groups = UNNAMED_PIPE.and(Groups::NAMED).and(Groups::OPEN);
const PROGRAM: Groups = UNNAMED_PIPE
    .and(Groups::SOCKET)
    .and(Groups::EXEC)
    .and(Groups::FORK)
    .and(Groups::TERMIOS)
    .and(Groups::PTY)
    .and(Groups::PARENT)
    .and(Groups::UNIX);

const fn row(
    keyword: Keyword,
    name: &'static str,
    aliases: &'static [&'static str],
    usage: Usage,
    groups: Groups,
) -> Row {
    Row { keyword, name, aliases, usage, groups }
}

const NONE: Usage = Usage::Exactly(&[]);
const PATH: Usage = Usage::Exactly(&["filename"]);
const PORT: Usage = Usage::Exactly(&["port"]);
const HOST: Usage = Usage::Exactly(&["host", "port"]);
const CID: Usage = Usage::Exactly(&["cid", "port"]);

/// All keywords, in the order of the help.
pub(crate) const TABLE: &[Row] = &[
    row(Keyword::AbstractClient, "abstract-client", &["abstract"], PATH, ABSTRACT),
    row(Keyword::AbstractConnect, "abstract-connect", &[], PATH, ABSTRACT),
    row(Keyword::AbstractListen, "abstract-listen", &[], PATH, ABSTRACT.and(ACCEPTING)),
    row(
        Keyword::AcceptFd,
        "accept-fd",
        &["accept"],
        Usage::Descriptor,
        LISTEN.and(Groups::RANGE).and(TCP).and(Groups::UNIX),
    ),
    row(Keyword::Create, "create", &["creat"], Usage::File, CREATE),
    row(Keyword::Exec, "exec", &[], Usage::Command, PROGRAM),
    row(Keyword::Fd, "fd", &[], Usage::Descriptor, ANY_FD),
    row(Keyword::Gopen, "gopen", &[], Usage::File, GOPEN),
    row(Keyword::Open, "open", &["file"], Usage::File, OPEN),
    row(Keyword::Pipe, "pipe", &["echo", "fifo"], Usage::Perhaps, NAMED_PIPE),
    row(Keyword::Stderr, "stderr", &[], NONE, ANY_FD),
    row(Keyword::Stdin, "stdin", &[], NONE, ANY_FD),
    row(Keyword::Stdio, "stdio", &["-"], NONE, ANY_FD),
    row(Keyword::Stdout, "stdout", &[], NONE, ANY_FD),
    row(Keyword::System, "system", &[], Usage::Shell, PROGRAM),
    row(Keyword::TcpConnect, "tcp-connect", &["inet", "tcp"], HOST, CONNECT.and(TCP)),
    row(
        Keyword::TcpListen,
        "tcp-listen",
        &["inet-l", "inet-listen", "tcp-l"],
        PORT,
        LISTEN.and(Groups::RANGE).and(TCP),
    ),
    row(Keyword::Tcp4Connect, "tcp4-connect", &["inet4", "tcp4"], HOST, CONNECT.and(TCP4)),
    row(
        Keyword::Tcp4Listen,
        "tcp4-listen",
        &["inet4-l", "inet4-listen", "tcp4-l"],
        PORT,
        LISTEN.and(Groups::RANGE).and(TCP4),
    ),
    row(Keyword::Tcp6Connect, "tcp6-connect", &["inet6", "tcp6"], HOST, CONNECT.and(TCP6)),
    row(
        Keyword::Tcp6Listen,
        "tcp6-listen",
        &["inet6-l", "inet6-listen", "tcp6-l"],
        PORT,
        LISTEN.and(Groups::RANGE).and(TCP6),
    ),
    row(Keyword::UnixClient, "unix-client", &["unix"], PATH, UNIX),
    row(Keyword::UnixConnect, "unix-connect", &["local"], PATH, UNIX),
    row(Keyword::UnixListen, "unix-listen", &["unix-l"], PATH, UNIX.and(ACCEPTING)),
    row(Keyword::VsockConnect, "vsock-connect", &["vsock"], CID, CONNECT),
    row(Keyword::VsockListen, "vsock-listen", &["vsock-l"], PORT, LISTEN),
];

/// The words that socat understands and nsplice does not, of 1.7 and of 1.8.
pub(crate) const FOREIGN: &str =
    "abstract-recv abstract-recvfrom abstract-sendto datagram dccp dccp-connect dccp-l \
    dccp-listen dccp4 dccp4-connect dccp4-l dccp4-listen dccp6 dccp6-connect dccp6-l \
    dccp6-listen dgram dtls dtls-c dtls-client dtls-connect dtls-l dtls-listen dtls-server if \
    interface ip ip-datagram ip-dgram ip-recv ip-recvfrom ip-send ip-sendto ip4 ip4-datagram \
    ip4-dgram ip4-recv ip4-recvfrom ip4-send ip4-sendto ip6 ip6-datagram ip6-dgram ip6-recv \
    ip6-recvfrom ip6-send ip6-sendto openssl openssl-connect openssl-dtls-client \
    openssl-dtls-connect openssl-dtls-listen openssl-dtls-server openssl-listen posixmq \
    posixmq-bidir posixmq-bidirectional posixmq-r posixmq-read posixmq-receive posixmq-recv \
    posixmq-s posixmq-send posixmq-w posixmq-write proxy proxy-connect pty readline sctp \
    sctp-connect sctp-l sctp-listen sctp4 sctp4-connect sctp4-l sctp4-listen sctp6 \
    sctp6-connect sctp6-l sctp6-listen sendto shell socket-connect socket-datagram \
    socket-listen socket-recv socket-recvfrom socket-sendto socketpair socks socks4 socks4a \
    socks5 socks5-connect socks5-listen ssl ssl-l tun udp udp-connect udp-datagram udp-dgram \
    udp-l udp-listen udp-recv udp-recvfrom udp-send udp-sendto udp4 udp4-connect udp4-datagram \
    udp4-dgram udp4-l udp4-listen udp4-recv udp4-recvfrom udp4-send udp4-sendto udp6 \
    udp6-connect udp6-datagram udp6-dgram udp6-l udp6-listen udp6-recv udp6-recvfrom udp6-send \
    udp6-sendto udplite udplite-connect udplite-datagram udplite-dgram udplite-l udplite-listen \
    udplite-recv udplite-recvfrom udplite-send udplite-sendto udplite4 udplite4-connect \
    udplite4-datagram udplite4-dgram udplite4-l udplite4-listen udplite4-recv udplite4-recvfrom \
    udplite4-send udplite4-sendto udplite6 udplite6-connect udplite6-datagram udplite6-dgram \
    udplite6-l udplite6-listen udplite6-recv udplite6-recvfrom udplite6-send udplite6-sendto \
    unix-recv unix-recvfrom unix-send unix-sendto";
