//! Command lines that are in use: the words of public scripts, images and units, with placeholders
//! filled in.

use std::ffi::OsString;

use super::command_line;
use crate::fault::Fault;
use crate::language::{CommandLine, Errand};

/// Command lines that are to be understood. Blanks separate words; a word with blanks is in `«»`.
const UNDERSTOOD: &[&str] = &[
    "- TCP4:localhost:8080",
    "TCP-LISTEN:5000,reuseaddr,fork TCP:host.docker.internal:5000",
    "TCP-LISTEN:5000,reuseaddr,fork TCP:192.168.49.2:5000",
    "tcp-listen:10000,fork,reuseaddr unix-connect:/csi/csi.sock",
    "-d -d -d UNIX-LISTEN:/tmp/socat,fork TCP-LISTEN:9000,reuseport",
    "TCP-LISTEN:2000,fork,reuseaddr TCP:kafka:19092",
    "TCP-LISTEN:6443,reuseaddr,fork «EXEC:'docker exec -i NAME socat STDIO TCP:localhost:6443'»",
    "TCP-LISTEN:1,reuseaddr,fork «EXEC:'docker exec -i portforward socat STDIO TCP4:localhost:1'»",
    "- UNIX-CONNECT:/run/crio/crio.sock",
    "-t 30 - tcp4:127.0.0.1:3000",
    "-t 30 - unix:/run/a.sock",
    "-t 30 - VSOCK-CONNECT:1:3000",
    "-v UNIX-LISTEN:/run/a,fork,reuseaddr,unlink-early UNIX-CONNECT:/run/b",
    "TCP-LISTEN:80,bind=127.0.0.1,fork -",
    "- VSOCK-CONNECT:2:1025",
    "TCP4-LISTEN:53,bind=127.5.5.5 «EXEC:sleep 3»",
    "- TCP4:10.0.0.1:53",
    "tcp4-listen:4321 exec:/bin/cat",
    "- tcp4:127.0.0.1:80,shut-down",
    "unix-listen:/run/a,unlink-early exec:/bin/cat",
    "TCP-LISTEN:1337,reuseaddr,fork UNIX-CONNECT:/run/docker/runsc-metrics.sock",
    "- UNIX-CONNECT:/host/system/run/machined/machine.sock",
    "-T 5 TCP-LISTEN:80,bind=127.0.0.1,reuseaddr,fork SYSTEM:/path/script.sh",
    "UNIX-LISTEN:/run/a,perm=0666,fork UNIX-CONNECT:/run/b",
    "UNIX-LISTEN:/run/a,fork,mode=660,user=root,backlog=128 UNIX-CONNECT:/run/b",
    "-u TCP-LISTEN:80,bind=10.0.0.1 STDOUT",
    "-u STDIN TCP:host:80,connect-timeout=3",
    "-,echo=0,icanon=0 unix-connect:serial.sock",
    "stdin unix-connect:kata.hvsock",
    "stdin,raw,echo=0,escape=0x11 unix-connect:console.sock",
    "UNIX-LISTEN:/run/a,fork,backlog=5 exec:'/bin/cat'",
    "VSOCK-LISTEN:52,backlog=128,reuseaddr,fork EXEC:'/bin/cat'",
    "- UNIX-LISTEN:./v.sock_52",
    "TCP6-LISTEN:6443,fork,reuseaddr TCP4:127.0.0.1:6443",
    "-d -d -d TCP4-LISTEN:80,bind=10.0.0.1,reuseaddr,fork TCP4:localhost:80",
    "UNIX-LISTEN:/run/a,fork,reuseaddr TCP:localhost:80,keepalive,keepidle=10,keepintvl=5,keepcnt=3",
    "STDIO TCP:host.docker.internal:8811",
    "-u OPEN:f TCP6:[::1]:80",
    "-u TCP4-LISTEN:80 OPEN:f,create,trunc",
    "tcp-listen:2375,fork,reuseaddr,ignoreeof unix-connect:/var/run/docker.sock",
    "TCP-LISTEN:2375,reuseaddr,fork UNIX-CLIENT:/var/run/docker.sock",
    "-t 100000000 TCP4-LISTEN:80,fork,reuseaddr TCP4:host:80",
    "TCP-LISTEN:80,fork TCP-CONNECT:10.0.0.1:80",
    "-d -d TCP4-LISTEN:9222,reuseaddr,reuseport,fork,retry=3 TCP4:127.0.0.1:9221",
    "TCP-LISTEN:80,fork,reuseaddr TCP:localhost:80,forever,shut-down",
    "vsock-listen:9000,reuseaddr,fork tcp-connect:127.0.0.1:80",
    "TCP-LISTEN:1234,bind=127.0.0.1,reuseaddr,fork,su=root,range=127.0.0.0/8 UNIX-CLIENT:/run/a",
    "TCP-LISTEN:80,reuseaddr,fork «EXEC:qrexec-client-vm 'D' qubes.ConnectTCP+80»",
    "UNIX-LISTEN:\"/run/a\" -",
    "/var/run/haproxy.stat -",
    "stdio /tmp/sock1",
    "-t300 /var/run/haproxy-master.sock stdin",
    "unix-connect:/run/a stdio",
    "-4 TCP4-LISTEN:80,crlf,reuseaddr,fork «SYSTEM:sleep 1; echo 'HTTP/1.0 200 OK'; \
     echo 'Content-Length\\: 5'»",
    "UNIX:/run/haproxy/admin.sock -",
    "-u TCP-LISTEN:4444,reuseaddr,retry=30 stdio",
    "-u stdio TCP:host:3307,retry=30",
    "-u TCP-LISTEN:80,bind=10.0.0.1,fork OPEN:f,append",
    "TCP-LISTEN:8080,crlf,reuseaddr,end-close,fork «SYSTEM:echo a»",
    "-T 30 -t 30 UNIX-CLIENT:/run/a -",
    "-U - UNIX-CONNECT:/run/a",
    "- TCP:127.0.0.1:8080,forever",
    "- «EXEC:kctf_pow socat STDIN TCP\\:localhost\\:1338»",
    "unix-listen:/run/a,fork exec:true",
    "ACCEPT-FD:3 PIPE",
    "UNIX-LISTEN:/run/a,fork «EXEC:relay.exe -ei -s PATH»,nofork",
    "TCP-LISTEN:9999,reuseaddr,fork EXEC:./x,stderr",
    "-dd -T300 TCP-LISTEN:9999,reuseaddr,fork,keepalive,su=root EXEC:./x",
    "TCP-LISTEN:80,fork,max-children=100,interval=1,intervall=2 TCP:a:1,sourceport=5,reuseport",
];

/// Command lines that only a real socat can run.
const FOREIGN: &[&str] = &[
    "udp4-recvfrom:53,reuseaddr,fork,bind=10.0.0.1 UDP:host:53",
    "-u STDIN unix-sendto:/run/notify",
    "- udp:127.0.0.1:80",
    "-v UDP-LISTEN:8080,fork,reuseaddr PIPE",
    "-v -T1 UDP-RECVFROM:80,fork STDOUT",
    "-u UDP4-LISTEN:80,null-eof OPEN:f",
    "/run/a readline",
    "tcp-listen:1337,pktinfo,reuseaddr,fork exec:x,pty,ctty,raw,echo=0,stderr",
    "pty,link=/tmp/tty,raw tcp:host:80",
    "OPENSSL-LISTEN:443,cert=a,fork TCP:host:80",
];

/// Command lines with mistakes that are in use as well.
const WRONG: &[&str] =
    &["TCP-LISTEN:80,reuse,fork TCP:host:80", "-gx - -", "TCP-LISTEN:80 TCP:::1:80"];

fn words(line: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut apart = true;
    for letter in line.chars() {
        match (letter, words.last_mut()) {
            ('«' | '»', _) => apart = letter == '»',
            (' ', _) if apart => words.push(String::new()),
            (_, Some(word)) => word.push(letter),
            _ => {}
        }
    }
    words
}

/// Reads a command line of the lists.
fn read(line: &str) -> Result<CommandLine, Fault> {
    let words = words(line);
    command_line(&words.iter().map(String::as_str).collect::<Vec<_>>())
}

#[test]
fn command_lines_in_use_are_understood() {
    for line in UNDERSTOOD {
        let read = read(line);
        assert!(read.is_ok(), "{line}: {read:?}");
    }
}

#[test]
fn command_lines_for_others_are_handed_over() {
    for line in FOREIGN {
        let fault = read(line).unwrap_err();
        assert!(fault.foreign, "{line}: {fault}");
    }
}

#[test]
fn mistakes_are_refused() {
    for line in WRONG {
        let words: Vec<_> = words(line).into_iter().map(OsString::from).collect();
        match super::read(&words) {
            Err(fault) => assert!(!fault.foreign, "{line}: {fault}"),
            Ok(errand) => assert!(matches!(errand, Errand::Scold(_)), "{line}: {errand:?}"),
        }
    }
}
