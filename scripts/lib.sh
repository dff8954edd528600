# shellcheck shell=bash
#
# What the scripts share: being root or nearly so, and having the programs that are needed.

# install_missing COMMAND:PACKAGE...
# Installs the Debian packages of those commands that are not there. Only root may: everyone else is told, and goes on.
# Packages of services start them; a policy-rc.d that says no (the documented way) keeps them from it, so that nothing
# serves what nobody asked for. One that is there already is somebody's decision and stays.
install_missing() {
    local pair packages=() policy=/usr/sbin/policy-rc.d
    for pair in "$@"; do
        has "${pair%%:*}" || packages+=("${pair#*:}")
    done
    [ ${#packages[@]} -gt 0 ] || return 0
    if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
        echo "missing here; as root: apt-get install ${packages[*]}"
        return 0
    fi
    echo "installing ${packages[*]}"
    (
        if [ ! -e "$policy" ]; then
            trap 'rm -f "$policy"' EXIT
            printf '#!/bin/sh\nexit 101\n' >"$policy"
            chmod 755 "$policy"
        fi
        export DEBIAN_FRONTEND=noninteractive
        apt-get update -q=2 && apt-get install -q=2 --no-install-recommends "${packages[@]}" >/dev/null
    )
}

# has COMMAND: is it in PATH? Of busybox only the static one counts, because it has to run where there is no library.
has() {
    command -v "$1" >/dev/null || return 1
    [ "$1" != busybox ] || ! ldd "$(command -v busybox)" >/dev/null 2>&1
}

# enter_user_namespace COMMAND...
# Replaces this process by COMMAND as root of a user namespace, with a network and a run directory of its own, so that
# `ip netns` works. Returns if that is not allowed.
enter_user_namespace() {
    unshare --user --map-root-user --net --mount true 2>/dev/null || return 0
    # shellcheck disable=SC2016 # the inner shell expands it
    exec unshare --user --map-root-user --net --mount \
        sh -c 'mount -t tmpfs tmpfs /run && ip link set lo up && exec "$@"' sh "$@"
}
