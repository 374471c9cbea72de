#!/bin/sh
# Makes the folder $1 the root of the namespaces that this runs in, and systemd its first process, to start the target $2.
# The units that systemd brings along are those of the folder units/ in it, and no others.
set -eu
cd "$1"

mount --bind . .
cd "$1"
mount --rbind /usr usr
mount -o remount,bind,ro usr
mount --bind units usr/lib/systemd/system
for generators in system-generators system-environment-generators; do
    [ ! -d "usr/lib/systemd/$generators" ] || mount --bind nothing "usr/lib/systemd/$generators"
done
while read -r from to; do
    mount --bind "$from" "$to"
    mount -o remount,bind,ro "$to"
done <mounts

mount -t proc proc proc
for path in proc/sys proc/sysrq-trigger; do
    [ -e "$path" ] || continue
    mount --bind "$path" "$path"
    mount -o remount,bind,ro "$path"
done
mount -t sysfs -o ro sysfs sys
mount -t cgroup2 cgroup2 sys/fs/cgroup

mount -t tmpfs -o mode=755 tmpfs dev
for node in null zero full random urandom tty; do
    : >"dev/$node"
    mount --bind "/dev/$node" "dev/$node"
done
mkdir dev/pts dev/shm
mount -t devpts -o newinstance,ptmxmode=0666,mode=620 devpts dev/pts
mount -t tmpfs -o mode=1777 tmpfs dev/shm
ln -s pts/ptmx dev/ptmx
ln -s /proc/self/fd dev/fd
for number in 0 1 2; do
    ln -s "fd/$number" "dev/$(echo stdin stdout stderr | cut -d ' ' -f $((number + 1)))"
done
mount -t tmpfs -o mode=755 tmpfs run
mount -t tmpfs -o mode=1777 tmpfs tmp

pivot_root . old
umount -l /old
exec env -i container=defib-test PATH=/usr/sbin:/usr/bin \
    /usr/lib/systemd/systemd --unit="$2" --show-status=no --log-target=journal </dev/null
