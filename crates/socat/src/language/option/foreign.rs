//! The table of the options that only socat has.

use super::super::group::Groups;

const IP: Groups = Groups::IP4.and(Groups::IP6);
const FILES: Groups = Groups::FD.and(Groups::OPEN);
const SEEKABLE: Groups = Groups::BLK.and(Groups::REG);

/// The options, aliases included, that socat understands and nsplice does not, by their groups.
pub(crate) const FOREIGN: &[(Groups, &str)] = &[
    (FILES, "async noatime o-async o-noatime"),
    (
        Groups::TERMIOS,
        "b0 b1000000 b110 b115200 b1152000 b1200 b134 b150 b1500000 b1800 b19200 b200 b2000000 \
         b230400 b2400 b2500000 b300 b3000000 b3500000 b38400 b4000000 b460800 b4800 b50 b500000 \
         b57600 b576000 b600 b75 b921600 b9600 brkint bs0 bs1 bsdly clocal cr0 cr1 cr2 cr3 crdly \
         cread crterase crtkill crtscts cs5 cs6 cs7 cs8 csize cstopb ctlecho discard echoctl \
         echoe echok echoke echonl echoprt eof eol eol2 erase ff0 ff1 ffdly flusho hup hupcl \
         icrnl iexten ignbrk igncr ignpar imaxbel inlcr inpck intr ispeed istrip iuclc ixany \
         ixoff ixon kill lnext min nl0 nl1 nldly noflsh ocrnl ofdel ofill olcuc onlcr onlret \
         onocr opost ospeed parenb parmrk parodd pendin prterase quit reprint rprnt start stop \
         susp swtc swtch tab0 tab1 tab2 tab3 tabdly tandem time tostop vdiscard veof veol veol2 \
         verase vintr vkill vlnext vmin vquit vreprint vstart vstop vsusp vswtc vt0 vt1 vtdly \
         vtime vwerase werase xcase xtabs",
    ),
    (Groups::PROCESS, "cd chdir chroot-early setgid-early setuid-early su-e substuser-early"),
    (
        Groups::FD,
        "f-setlk f-setlk-rd f-setlk-wr f-setlkw-rd f-setpipe-sz flock flock-ex flock-ex-nb \
         flock-nb flock-sh flock-sh-nb gid-l group-late ioctl ioctl-bin ioctl-int ioctl-intp \
         ioctl-string ioctl-void perm-late pipesz setlk setlk-rd setlk-wr setlkw-rd uid-l \
         user-late",
    ),
    (
        Groups::SOCKET,
        "acceptconn attach-filter attachfilter broadcast bsdcompat debug detach-filter \
         detachfilter dontroute error fiosetown no-check nocheck null-eof oobinline passcred peercred \
         protocol prototype rcvbuf-late rcvlowat rcvtimeo security-authentication \
         security-encryption-network security-encryption-transport securityauthentication \
         securityencryptionnetwork securityencryptiontransport setsockopt-connected \
         setsockopt-socket siocspgrp sndbuf-late sndlowat sndtimeo \
         so-acceptconn so-attach-filter so-broadcast so-bsdcompat so-debug so-detach-filter \
         so-dontroute so-error so-no-check so-oobinline so-passcred so-peercred so-protocol \
         so-prototype so-rcvbuf-late so-rcvbufforce so-rcvlowat so-rcvtimeo \
         so-security-authentication so-security-encryption-network \
         so-security-encryption-transport so-sndbuf-late so-sndlowat so-sndtimeo so-timestamp \
         so-type sockopt-connected sockopt-sock socktype timestamp type",
    ),
    (
        Groups::REG,
        "compr dirsync ext2-append ext2-compr ext2-dirsync ext2-immutable ext2-journal-data \
         ext2-noatime ext2-nodump ext2-notail ext2-secrm ext2-sync ext2-topdir ext2-unrm \
         ext3-append ext3-compr ext3-dirsync ext3-immutable ext3-journal-data ext3-noatime \
         ext3-nodump ext3-notail ext3-secrm ext3-sync ext3-topdir ext3-unrm fs-append fs-compr \
         fs-dirsync fs-immutable fs-journal-data fs-noatime fs-nodump fs-notail fs-secrm fs-sync \
         fs-topdir fs-unrm ftruncate ftruncate32 ftruncate64 immutable journal journal-data \
         nodump secrm topdir truncate unrm",
    ),
    (
        Groups::INTERFACE,
        "allmulti automedia iff-allmulti iff-automedia iff-broadcast iff-debug iff-loopback \
         iff-master iff-multicast iff-no-pi iff-noarp iff-notrailers iff-pointopoint iff-portsel \
         iff-promisc iff-running iff-slave iff-up loopback master multicast no-pi noarp \
         notrailers pointopoint portsel promisc running slave tun-device tun-name tun-no-pi \
         tun-type up",
    ),
    (
        Groups::HTTP,
        "http-version ignorecr proxy-auth proxy-authorization proxy-authorization-file \
         proxy-http-version proxy-resolve proxyauth proxyauthfile proxyport resolv resolve",
    ),
    (
        IP,
        "add-membership addrconfig ai-addrconfig ai-all ai-numericserv ai-passive ai-v4mapped \
         defnames dns dnsrch freebind hdrincl igntc ip-add-membership ip-add-source-membership \
         ip-freebind ip-hdrincl ip-membership ip-mtu ip-mtu-discover ip-multicast ip-multicast-if \
         ip-multicast-loop ip-multicast-ttl ip-options ip-pktinfo ip-pktoptions ip-recverr \
         ip-recvopts ip-recvtos ip-recvttl ip-retopts ip-router-alert ipfreebind iphdrincl ipmtu \
         ipmtudiscover ipmulticastloop ipmulticastttl ipoptions ippktinfo ippktoptions iprecverr \
         iprecvopts iprecvtos iprecvttl ipretopts iprouteralert membership mtu mtudiscover \
         multicast-if multicast-loop multicast-ttl multicastloop multicastttl nsaddr passive \
         pktinfo pktoptions pktopts recurse recverr recvopts recvtos recvttl res-debug \
         res-defnames res-dnsrch res-igntc res-nsaddr res-recurse res-retrans res-retry \
         res-stayopen res-usevc retopts retrans routeralert source-membership stayopen usevc \
         v4mapped",
    ),
    (
        Groups::IP6,
        "authhdr dstopts hoplimit hopopts ipv6-add-membership ipv6-add-source-membership \
         ipv6-authhdr ipv6-dstopts ipv6-hoplimit ipv6-hopopts ipv6-join-group \
         ipv6-join-source-group ipv6-pktinfo ipv6-recvdstopts ipv6-recverr ipv6-recvhoplimit \
         ipv6-recvhopopts ipv6-recvpathmtu ipv6-recvpktinfo ipv6-recvrthdr ipv6-recvtclass \
         ipv6-rthdr ipv6-tclass ipv6-unicast-hops join-group join-source-group recvdstopts \
         recvhoplimit recvhopopts recvpktinfo recvrthdr rthdr unicast-hops",
    ),
    (Groups::APPL, "lockfile waitlock"),
    (
        SEEKABLE,
        "lseek32 lseek32-cur lseek32-end lseek32-set lseek64-cur lseek64-end seek-cur seek-end",
    ),
    (
        Groups::OPEN,
        "direct directory dsync largefile noctty nofollow o-direct o-directory o-dsync \
         o-largefile o-noctty o-nofollow o-rsync o-sync o-tmpfile o_direct o_directory o_dsync \
         o_largefile o_noctty o_nofollow o_rsync o_sync rsync sync tmpfile",
    ),
    (
        Groups::PTY,
        "link openpty ptmx pty-interval pty-intervall pty-wait-slave sitout-eio symbolic-link \
         wait-slave waitslave",
    ),
    (
        Groups::OPENSSL,
        "cafile capath cert certificate cipher cipherlist ciphers cn commonname compress dh \
         dhparam dhparams egd key max-version maxfraglen maxsendfrag min-version no-sni nosni \
         openssl-cafile openssl-capath openssl-certificate openssl-cipherlist openssl-commonname \
         openssl-compress openssl-dhparam openssl-dhparams openssl-egd openssl-key \
         openssl-max-proto-version openssl-maxfraglen openssl-maxsendfrag \
         openssl-min-proto-version openssl-no-sni openssl-pseudo openssl-snihost openssl-verify \
         pseudo snihost verify",
    ),
    (Groups::FORK, "pgid pty setpgid"),
    (Groups::SOCKS4, "sockspass socksport socksuser"),
    (
        Groups::TCP,
        "cork defer-accept info linger2 maxseg-late mss-late quickack syncnt tcp-cork \
         tcp-defer-accept tcp-info tcp-linger2 tcp-maxseg-late tcp-md5sig tcp-quickack tcp-syncnt \
         tcp-window-clamp window-clamp",
    ),
    (
        Groups::RANGE,
        "allow-table deny-table hosts-allow hosts-deny libwrap tcpwrap tcpwrap-dir tcpwrap-etc \
         tcpwrap-hosts-allow-table tcpwrap-hosts-deny-table tcpwrapper tcpwrappers wrap",
    ),
    (Groups::UNIX, "bind-tempname tightsocklen unix-bind-tempname unix-tightsocklen"),
    (Groups::NAMED, "unlink-late"),
    (Groups::CHILD, "children-shutdown shutdown-children"),
];
