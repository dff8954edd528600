# Runs containerd in a network and a mount namespace of its own until standard input ends, and then takes away
# all that it has made, whatever state that is in. $1 is its directory.
#
# The shims and the containers outlive containerd, so they are ended one by one: shims share this mount
# namespace, containers are those that the state directory names, if their control group does, too.
set -u
directory=$1
tasks=/run/containerd/io.containerd.runtime.v2.task/k8s.io
# Its state, its sockets, those of the shims, runc's state and the names of network namespaces are below /run as
# usual, but nobody else sees them there. The same with what libcni keeps of each pod (`CacheDir`), which no pod
# that is killed takes with it.
mkdir -p /var/lib/cni && mount -t tmpfs tmpfs /var/lib/cni || exit 1
mount -t tmpfs tmpfs /run && ip link set lo up || exit 1
containerd -c "$directory/config.toml" >"$directory/log" 2>&1 </dev/null &
daemon=$!
echo "$daemon"
# As long as the test lives.
cat >/dev/null

kill -KILL "$daemon" 2>/dev/null
wait "$daemon" 2>/dev/null
own=$(readlink /proc/self/ns/mnt)
for process in /proc/[0-9]*; do
    pid=${process#/proc/}
    if [ "$pid" -ne $$ ] && [ "$(readlink "$process/ns/mnt" 2>/dev/null)" = "$own" ]; then
        case $(tr '\0' ' ' 2>/dev/null <"$process/cmdline") in
        *containerd-shim*) kill -KILL "$pid" ;;
        esac
    fi
done
for task in "$tasks"/*/; do
    id=$(basename "$task")
    pid=$(cat "$task/init.pid" 2>/dev/null) || continue
    count=0
    while grep -q "$id" "/proc/$pid/cgroup" 2>/dev/null && [ "$count" -lt 100 ]; do
        kill -KILL "$pid" 2>/dev/null
        sleep 0.05
        count=$((count + 1))
    done
done
# The control groups are in one of its name, in each hierarchy.
find /sys/fs/cgroup -depth -type d -path "*/$(basename "$directory")*" -exec rmdir {} + 2>/dev/null
cut -d' ' -f2 /proc/self/mounts | grep "^$directory/" | sort -r | while read -r mount; do umount -l "$mount"; done
rm -rf --one-file-system "$directory"
